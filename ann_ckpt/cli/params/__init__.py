"""``ann-ckpt params``: everything about parameter files."""

from ann_ckpt.cli.params.group import params

__all__ = ["params"]
