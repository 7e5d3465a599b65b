"""Checking a store: every checkpoint, and every block of every object once."""

from __future__ import annotations

import time

from ann_ckpt.errors import CheckpointError, FileMissingError, PrunedError
from ann_ckpt.format.sharing import BlockPlace
from ann_ckpt.report import Note, Progress, VerifyReport
from ann_ckpt.store.catalog import open_inside
from ann_ckpt.store.view import SeriesView

__all__ = ["verify_store"]


def verify_store(store: SeriesView, *, progress: Progress | None = None) -> VerifyReport:
    """Read everything in a store against its digests and say what is damaged.

    A checkpoint that is pruned meanwhile is left out.

    Parameters
    ----------
    store : SeriesView
        May be written to, or pruned, at the same time.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.
    """
    began = time.perf_counter()
    infos = store.checkpoints
    total = sum({n: size for info in infos for n, size in info.objects.items()}.values())
    seen: set[BlockPlace] = set()
    checked: set[str] = set()
    damaged: list[Note] = []
    done = 0
    for info in infos:
        try:
            with open_inside(info.path) as checkpoint:
                for path, count, error in checkpoint.verify(seen):
                    checked.add(f"{info.name}/{path}")
                    done += count
                    if error is not None:
                        damaged.append(Note(f"{info.name}:/{path}", error.fact))
                    if progress is not None:
                        progress(f"{info.name}/{path}", done, max(total, done))
        except (FileMissingError, PrunedError):
            continue
        except CheckpointError as error:
            damaged.append(Note(info.name, error.fact))
    return VerifyReport(store.path, len(checked), tuple(damaged), done, time.perf_counter() - began)
