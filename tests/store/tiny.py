"""Blocks small enough that a network of a hundred synapses has many of them."""

from __future__ import annotations

import pytest

from ann_ckpt.store.saving import blocks, placement


def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "INLINE_BYTES", 64)
    monkeypatch.setattr(blocks, "ROW_BLOCK", 8)
    monkeypatch.setattr(blocks, "LONGEST", 12)
    monkeypatch.setattr(blocks, "_EVEN_BYTES", 64)
    monkeypatch.setattr(blocks, "_BATCH_BYTES", 256)
