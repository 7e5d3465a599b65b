"""Blocks small enough that a network of a hundred synapses has many of them."""

from __future__ import annotations

import pytest

from ann_ckpt.store import block_bounds, block_hashing, placement


def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "INLINE_BYTES", 64)
    monkeypatch.setattr(block_bounds, "ROW_BLOCK", 8)
    monkeypatch.setattr(block_bounds, "LONGEST", 12)
    monkeypatch.setattr(block_bounds, "_EVEN_BYTES", 64)
    monkeypatch.setattr(block_hashing, "_BATCH_BYTES", 256)
