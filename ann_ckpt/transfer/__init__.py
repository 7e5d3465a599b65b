"""Loads a stored state into a live network: all checks first, then all changes."""

from ann_ckpt.transfer.load import load_into
from ann_ckpt.transfer.plan import LoadPlan, plan_load

__all__ = ["LoadPlan", "load_into", "plan_load"]
