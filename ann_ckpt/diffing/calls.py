"""Opens whatever holds a network (path, checkpoint, state, live network) and compares two."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ann_ckpt.adapters.live import live_reading
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.diffing.networks import compare_networks
from ann_ckpt.diffing.report import StateDiff
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.report import Note
from ann_ckpt.selection import Selection, Which
from ann_ckpt.store.opening import stored_reading

__all__ = ["diff"]


def diff(a: Any, b: Any, *, populations: Which = True, projections: Which = True) -> StateDiff:
    """Compare network ``b`` with ``a``: attributes, values, synapses, delays.

    Values are compared to the last bit. Synapses are matched by (pre, post), so that a
    weight is held against the weight of the same synapse however rows have changed
    since. Files are read block by block, and not at all where digests show that both
    hold the same; two checkpoints of a store share most blocks.

    Parameters
    ----------
    a, b : path-like, Checkpoint, NetworkState or live network
        Paths as :func:`ann_ckpt.load` takes them: a file, an old file of ANNarchy's, a
        store, ``run.ckpt@1000``, ``run.ckpt@tag``.
    populations, projections : bool, str or list of str
        All, none, or names and globs.

    Returns
    -------
    StateDiff
        Prints well; ``same`` says whether there is any difference.

    Examples
    --------
    >>> report = ann_ckpt.diff("run.ckpt@1000", "run.ckpt")     # doctest: +SKIP
    >>> report.same, [change.path for change in report.changed]     # doctest: +SKIP
    (False, ['projections/ff/w'])
    """
    selection = Selection(populations, projections)
    with _read("a", a, selection) as (one, first), _read("b", b, selection) as (other, second):
        notes = (*_named(first, one), *_named(second, other))
        return compare_networks(one.state, other.state, names=(first, second), notes=notes)


@contextlib.contextmanager
def _read(name: str, source: Any, selection: Selection) -> Iterator[tuple[Reading, str]]:
    """Yield what a source holds, and what to call it."""
    if isinstance(source, str | os.PathLike):
        with stored_reading(source, selection) as reading:
            yield reading, os.fspath(source)
    else:
        reading, _ = live_reading(source, 0, selection)
        yield reading, source.path if isinstance(source, Checkpoint) else name


def _named(name: str, reading: Reading) -> Iterator[Note]:
    """What is not known about one of the two, saying about which."""
    return (Note(note.path, f"{name}: {note.text}") for note in reading.notes)
