"""The version of this package: here once, read by the build and by provenance."""

__version__ = "0.1.0"
