"""The HDF5 layout of one checkpoint; the specification is ``docs/format.md``."""
