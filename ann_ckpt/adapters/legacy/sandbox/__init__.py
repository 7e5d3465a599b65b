"""Reading old files in a process of its own, with limits."""
