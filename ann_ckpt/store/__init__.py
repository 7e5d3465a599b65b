"""Stores: series of checkpoints that share unchanged data; see ``docs/store.md``."""
