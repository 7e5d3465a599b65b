"""The text of a file: bytes to values, each with the place where it stands."""
