"""A series of checkpoints that share what did not change; ``docs/store.md`` explains it."""
