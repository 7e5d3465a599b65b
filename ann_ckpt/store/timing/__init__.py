"""When a running simulation saves, and how it goes on from its last checkpoint."""
