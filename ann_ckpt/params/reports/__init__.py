"""What was found, for people and for machines."""

from ann_ckpt.params.reports.formats import REPORTS, Render

__all__ = ["REPORTS", "Render"]
