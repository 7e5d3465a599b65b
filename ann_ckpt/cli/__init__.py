"""The command line ``ann-ckpt``: the only part of this package that prints."""

from ann_ckpt.cli.main import main

__all__ = ["main"]
