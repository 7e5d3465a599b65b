"""Pictures of a store: one attribute over its checkpoints, and what each save added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ann_ckpt.errors import CheckpointError, OptionError, printable
from ann_ckpt.looking.choice import shown
from ann_ckpt.looking.pictures import Bars, Curve
from ann_ckpt.looking.sampling import BUDGET, quantiles, sample
from ann_ckpt.looking.svg import figure
from ann_ckpt.markup import card, table
from ann_ckpt.report import human_bytes
from ann_ckpt.store.catalog import CheckpointInfo, added_bytes, open_inside

__all__ = ["evenly", "history", "in_notebook", "sizes"]

_AT = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST = 60
"""Checkpoints that a picture looks at, or bars that it has, at most."""


def evenly(infos: Sequence[CheckpointInfo], at_most: int) -> list[CheckpointInfo]:
    """Return some checkpoints, spread evenly, the first and the last among them."""
    readable = [info for info in infos if info.problem is None]
    if len(readable) <= at_most:
        return readable
    return [readable[i] for i in np.unique(np.linspace(0, len(readable) - 1, at_most).astype(int))]


def history(
    infos: Sequence[CheckpointInfo], path: str, *, at_most: int = _MOST, budget: int = BUDGET
) -> Curve:
    """Return the median of an array over the checkpoints of a store, with bands of quantiles.

    Parameters
    ----------
    infos : sequence of CheckpointInfo
        Oldest first.
    path : str
        ``projections/ff/w``. Where a checkpoint has nothing there, the line has a gap.
    at_most : int
        How many checkpoints are looked at; more are said to be left out.
    budget : int
        Bytes of values that are read, of all checkpoints together.

    Raises
    ------
    OptionError
        If no checkpoint has an array there.
    """
    chosen = evenly(infos, at_most)
    label, found, partly = "", [], False
    reason: CheckpointError | None = None
    for info in chosen:
        try:
            with open_inside(info.path) as checkpoint:
                picked = shown(checkpoint, path)
                some = sample(picked.values, budget // max(1, len(chosen)))
                label, partly = picked.label, partly or not some.whole
                found.append(quantiles(some.values, _AT))
        except CheckpointError as error:
            reason = error
            found.append(np.full(len(_AT), np.nan))
    if not label:
        if reason is not None:
            raise reason
        raise OptionError("the store has no checkpoint that can be read", where=printable(path, 400))
    levels = np.array(found)
    x, x_label = _places(chosen)
    left_out = f"{len(chosen)} of {len(infos):,} checkpoints" if len(chosen) < len(infos) else ""
    return Curve(
        title=path.partition("/")[2],
        x_label=x_label,
        y_label=label,
        note=", ".join(filter(None, (left_out, "samples of the values" if partly else ""))),
        x=x,
        y=levels[:, 2],
        y_name="median",
        bands={"5 to 95 %": (levels[:, 0], levels[:, 4]), "25 to 75 %": (levels[:, 1], levels[:, 3])},
        marks=tuple((float(at), info.tag) for at, info in zip(x, chosen, strict=True) if info.tag),
    )


def _places(infos: Sequence[CheckpointInfo]) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], str]:
    """Where the checkpoints stand: at their simulated time, else at their step, else at their number."""
    times = [info.time_ms for info in infos]
    steps = [info.time_step for info in infos]
    for known, label in ((times, "simulated time [ms]"), (steps, "time step")):
        if infos and None not in known:
            return np.array(known, np.float64), label
    return np.arange(len(infos), dtype=np.float64), "checkpoint"


def sizes(infos: Sequence[CheckpointInfo]) -> Bars:
    """Return what each save added to the disk, in MiB: values, and the file that describes them."""
    added = np.array(added_bytes(infos), np.float64)
    files = np.array([info.file_bytes for info in infos], np.float64)
    names = [info.name.lstrip("0") or "0" for info in infos]
    note = f"{len(infos):,} checkpoints, {added.sum() / 2**20:,.1f} MiB together"
    if len(infos) > _MOST:
        starts = np.arange(_MOST) * len(infos) // _MOST
        added, files = np.add.reduceat(added, starts), np.add.reduceat(files, starts)
        names = [names[i] for i in starts]
        note += f", each bar {len(infos) / _MOST:.0f} of them"
    return Bars(
        title="what each save added",
        x_label="checkpoint",
        y_label="added [MiB]",
        note=note,
        edges=np.arange(len(names) + 1, dtype=np.float64),
        heights={"values": (added - files) / 2**20, "checkpoint file": files / 2**20},
        names=tuple(names),
    )


_NEWEST = 12
"""Checkpoints that a notebook lists."""


def in_notebook(path: str, infos: Sequence[CheckpointInfo]) -> str:
    """Return a store as HTML: its newest checkpoints, and what each save added; no values are read."""
    added = added_bytes(infos)
    rows = [
        [
            info.name,
            "" if info.time_step is None else f"{info.time_step:,}",
            "" if info.time_ms is None else f"{info.time_ms:g}",
            info.created[:19].replace("T", " "),
            human_bytes(more),
            info.problem or info.tag or "",
        ]
        for info, more in [*zip(infos, added, strict=True)][-_NEWEST:]
    ]
    right = ["step", "ms", "added"]
    listing = table(["checkpoint", "step", "ms", "written", "added", "tag"], rows, right=right)
    left = len(infos) - len(rows)
    older = f'<div class="ac-note">and {left:,} older</div>' if left > 0 else ""
    title = f"store {path}: {len(infos):,} checkpoints, {human_bytes(sum(added))}"
    return card(title, listing, older, figure(sizes(infos)) if infos else "")
