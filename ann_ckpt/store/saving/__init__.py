"""One save: cuts, writes and commits a checkpoint, here, in a thread or in a forked child."""
