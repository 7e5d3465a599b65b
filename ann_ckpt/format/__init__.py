"""How one checkpoint is laid out in HDF5; ``docs/format.md`` is the specification."""
