"""Blocks small enough that a network of a hundred synapses has many of them."""

from __future__ import annotations

import pytest

from ann_ckpt.store import cuts, plan, weave


def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "INLINE_BYTES", 64)
    monkeypatch.setattr(cuts, "ROW_BLOCK", 8)
    monkeypatch.setattr(cuts, "LONGEST", 12)
    monkeypatch.setattr(cuts, "_EVEN_BYTES", 64)
    monkeypatch.setattr(weave, "_BATCH_BYTES", 256)
