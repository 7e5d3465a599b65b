"""Verifies that a resumed run equals the uninterrupted one."""
