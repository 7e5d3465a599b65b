"""Adapters: simulators and old file formats, connected to the common model."""
