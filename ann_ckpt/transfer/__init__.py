"""From a stored state into a live network: everything is checked, then everything is set."""

from ann_ckpt.transfer.load import load_into
from ann_ckpt.transfer.plan import LoadPlan, plan_load

__all__ = ["LoadPlan", "load_into", "plan_load"]
