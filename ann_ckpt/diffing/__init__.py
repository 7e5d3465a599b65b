"""Compares two networks: changed values, added and removed synapses."""

from ann_ckpt.diffing.networks import compare_networks, diff
from ann_ckpt.diffing.report import StateDiff, SynapseChange, ValueChange

__all__ = [
    "StateDiff",
    "SynapseChange",
    "ValueChange",
    "compare_networks",
    "diff",
]
