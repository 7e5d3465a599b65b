"""Reads old files in a separate process with resource limits."""
