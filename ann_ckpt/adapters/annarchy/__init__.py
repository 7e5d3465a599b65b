"""Live ANNarchy networks, versions 4.8 and 5.0, read and written row by row."""

from ann_ckpt.adapters.annarchy.adapt import adapt, prepare
from ann_ckpt.adapters.annarchy.simulator import AnnarchySimulator
from ann_ckpt.adapters.annarchy.uncompiled import DeclaredNetwork, DeclaredObject, declared_network

__all__ = ["AnnarchySimulator", "DeclaredNetwork", "DeclaredObject", "adapt", "declared_network", "prepare"]
