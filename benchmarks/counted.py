"""What grows with what, counted: system calls, bytes and requests of the real code; writes docs/growth.md.

``python -m benchmarks.counted [--folder FOLDER] [--bytes BYTES]``. Counts are the same on a busy machine, and
those of a checkpoint of 1 TB can be taken without a disk or a memory that holds it: its arrays are zeros, of
which nobody has more than a few MiB, and what is zero stays a hole in the file. Everything else is as it
would be: blocks, digests, headers, objects and their names.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState
from ann_ckpt.format.bytes import NewFile
from ann_ckpt.store.saving import blocks
from benchmarks.growth import exponent
from benchmarks.long import make_history
from benchmarks.running import FOLDER, ROOT
from benchmarks.scale import Transport, history
from benchmarks.worker import peak, start_of_peak

__all__ = ["Curve", "Plan", "Sparse", "Spent", "curves", "holes", "page", "spent"]

_ACCOUNT = Path("/proc/self/io")
_ARRAYS = 8
_BLOCK = 32 << 10
"""Values in a block: 256 KiB."""
_CHUNK = 1 << 20
_PAGE = 4096
_TEN = slice(1000, 1010)
_ONE_IN = 128
"""Blocks of which one changes, where a few do."""
_EVERY = _ONE_IN * _BLOCK
_WHOLE = _ARRAYS * _CHUNK
"""Bytes of values that fill the chunks of all arrays."""

_BYTES = "bytes of values"
_SHARE = "% of the blocks changed"
_HISTORY = "checkpoints"
_OBJECTS = "populations"
_BUCKET = "checkpoints in a bucket"


class Spent(NamedTuple):
    """What something took."""

    calls: int
    """System calls that read or write."""
    read: int
    written: int
    """Bytes that went through them."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How one count grows."""

    axis: str
    what: str
    unit: str
    """``B``, ``calls`` or ``requests``."""
    points: tuple[tuple[float, float], ...]
    far: tuple[float, float] | None = None
    """A point that is far beyond the others, and foretold by them."""

    @property
    def power(self) -> float | None:
        """The power of x that its largest points follow."""
        return exponent(self.points)

    def foretold(self, x: float) -> float:
        """What the straight line through the two largest points says: they have a part that does not grow."""
        (x1, y1), (x2, y2) = sorted(self.points)[-2:]
        return y1 + (y2 - y1) * (x - x1) / (x2 - x1)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the curves have their points; of each but the shares, the last one is foretold by the others."""

    sizes: tuple[int, ...] = (1 << 22, 1 << 24, 1 << 26, 1 << 28, 1 << 30, 10**12 // _WHOLE * _WHOLE)
    shared: int = 1 << 28
    """Bytes of values of which a share changes."""
    shares: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    lengths: tuple[int, ...] = (10, 100, 1_000, 10_000)
    objects: tuple[int, ...] = (10, 100, 1_000, 10_000)
    in_buckets: tuple[int, ...] = (10, 30, 100, 1_000)


class Sparse:
    """Zeros that take no memory, but for the first value of some blocks; see :class:`ann_ckpt.Array`."""

    dtype = np.dtype(np.float64)
    zeros = np.zeros(1 << 19)

    def __init__(self, number: int, length: int) -> None:
        self.shape = (length,)
        self._number = number
        self._is_changed = False

    def change(self) -> None:
        """Let one of so many blocks be another one."""
        self._is_changed = True

    def __getitem__(self, key: slice) -> NDArray[Any]:
        start, stop, _ = key.indices(self.shape[0])
        first = -(-(start - _BLOCK) // _EVERY) * _EVERY + _BLOCK if self._is_changed else stop
        if start and first >= stop and stop - start <= self.zeros.size:
            return self.zeros[: stop - start]
        values = np.zeros(stop - start)
        values[first - start :: _EVERY] = 1
        if not start:
            values[0] += self._number / 100  # equal arrays would be one object
        return values

    def __array__(self, dtype: Any = None, /, *, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


@dataclass(slots=True)
class _Hidden:
    """What a file with holes would have taken without them."""

    calls: int = 0
    written: int = 0


_hidden = _Hidden()


@contextmanager
def holes() -> Iterator[None]:
    """Leave pages out that are zero, where chunks of values are written; they count as written.

    A page counts as zero if its first value is: so are those of :class:`Sparse`. What is nothing but zeros
    is hashed once.
    """
    write, digest = NewFile._write, blocks.digest_whole
    of_zeros: dict[int, bytes] = {}

    def hashed(values: NDArray[Any]) -> bytes:
        if values.base is not Sparse.zeros:
            return digest(values)
        return of_zeros.get(len(values)) or of_zeros.setdefault(len(values), digest(values))

    def sparse(file: NewFile, view: memoryview, at: int) -> None:
        if len(view) != _CHUNK:
            write(file, view, at)
            return
        heads = np.frombuffer(view, np.uint8).reshape(-1, _PAGE)[:, :8]
        found = np.flatnonzero(heads.any(axis=1)).tolist()
        for page in found:
            write(file, view[page * _PAGE : (page + 1) * _PAGE], at + page * _PAGE)
        os.ftruncate(file._descriptor, max(file._size, at + len(view)))
        _hidden.calls += 1 - len(found)
        _hidden.written += len(view) - len(found) * _PAGE

    with patch.object(NewFile, "_write", sparse), patch.object(blocks, "digest_whole", hashed):
        yield


def spent(call: Callable[[], object]) -> Spent:
    """Return what a call takes in this process, on all its threads."""
    before = _account()
    call()
    taken = [b - a for a, b in zip(before, _account(), strict=True)]
    begun = _account()
    looking = [b - a for a, b in zip(begun, _account(), strict=True)]
    return Spent(*(a - b for a, b in zip(taken, looking, strict=True)))


def _account() -> tuple[int, int, int]:
    lines = dict(line.split(": ") for line in _ACCOUNT.read_text().splitlines())
    calls = int(lines["syscr"]) + int(lines["syscw"]) + _hidden.calls
    return calls, int(lines["rchar"]), int(lines["wchar"]) + _hidden.written


# --- What is counted ----------------------------------------------------------------


def curves(plan: Plan, folder: Path) -> list[Curve]:
    """Count everything; files are made in ``folder`` and removed."""
    return [
        *_measured(_BYTES, plan.sizes, lambda n, far: _by_size(folder, int(n), simulated=far)),
        *_measured(_SHARE, plan.shares, lambda share, _: _by_share(folder, plan.shared, share), far=False),
        *_measured(_HISTORY, plan.lengths, lambda length, _: _by_length(folder, int(length))),
        *_measured(_OBJECTS, plan.objects, lambda count, _: _by_objects(folder, int(count))),
        *_measured(_BUCKET, plan.in_buckets, lambda count, _: _in_bucket(int(count))),
    ]


_Counts = Mapping[tuple[str, str], float]
"""What was counted, by what it is and in which unit."""


def _measured(
    axis: str, places: Sequence[float], count: Callable[[float, bool], _Counts], *, far: bool = True
) -> list[Curve]:
    found = [(x, count(x, far and x == places[-1])) for x in places]
    last = found.pop() if far else None
    return [
        Curve(
            axis,
            what,
            unit,
            tuple((x, counts[what, unit]) for x, counts in found),
            (last[0], last[1][what, unit]) if last else None,
        )
        for what, unit in found[0][1]
    ]


def _by_size(folder: Path, nbytes: int, *, simulated: bool) -> _Counts:
    """Save, save again unchanged and with one block in 128 changed, open, read ten values."""
    length = nbytes // 8 // _ARRAYS
    if simulated:
        each = [Sparse(i, length) for i in range(_ARRAYS)]
        with holes():
            return _of_a_store(folder, each, nbytes, lambda: [array.change() for array in each])
    real = [np.random.default_rng(i).random(length) for i in range(_ARRAYS)]

    def change() -> None:
        for values in real:
            values[_BLOCK::_EVERY] = -1.0

    return _of_a_store(folder, real, nbytes, change)


def _of_a_store(
    folder: Path, arrays: Sequence[Any], nbytes: int, change: Callable[[], object]
) -> dict[tuple[str, str], float]:
    path = folder / "run.ckpt"

    def state(step: int) -> NetworkState:
        sheets = [PopulationState(f"p{i}", a.shape, variables={"r": a}) for i, a in enumerate(arrays)]
        return NetworkState(populations=sheets, time_step=step)

    def ten() -> None:
        with ann_ckpt.open(path) as checkpoint:
            np.asarray(checkpoint.populations[f"p{_ARRAYS // 2}"]["r"][_TEN])

    try:
        resident = start_of_peak()
        with CheckpointStore(path, "a", compression="none") as store:
            first = spent(lambda: store.save(state(0)))
            again = spent(lambda: store.save(state(1)))
            change()
            some = spent(lambda: store.save(state(2)))
        memory = peak() - resident
        opened = spent(lambda: ann_ckpt.open(path).close())
        rows = spent(ten)
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return {
        ("the first save, beside the values", "B"): first.written - nbytes,
        ("the first save", "calls"): first.calls,
        ("a save with nothing changed", "B"): again.written,
        ("a save with one block in 128 changed", "B"): some.written,
        ("memory of these saves", "B"): memory,
        ("opening, read", "B"): opened.read,
        ("opening and reading ten values, read", "B"): rows.read,
    }


def _by_share(folder: Path, nbytes: int, share: float) -> _Counts:
    path, length = folder / "run.ckpt", nbytes // 8 // _ARRAYS
    arrays = [np.random.default_rng(i).random(length) for i in range(_ARRAYS)]
    sheets = [PopulationState(f"p{i}", a.shape, variables={"r": a}) for i, a in enumerate(arrays)]
    places = np.arange(0, length * _ARRAYS, _BLOCK)
    chosen = np.random.default_rng(0).permutation(places)[: max(1, round(share / 100 * places.size))]
    try:
        with CheckpointStore(path, "a", compression="none") as store:
            store.save(NetworkState(populations=sheets, time_step=0))
            for place in chosen.tolist():
                arrays[place // length][place % length] = -1.0
            taken = spent(lambda: store.save(NetworkState(populations=sheets, time_step=1)))
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return {("a save", "B"): taken.written, ("a save", "calls"): taken.calls}


def _by_length(folder: Path, length: int) -> _Counts:
    path = folder / "run.ckpt"
    asked: dict[str, Callable[[], object]] = {
        "the newest": lambda: ann_ckpt.open(path).close(),
        "the oldest, by its tag": lambda: ann_ckpt.open(f"{path}@oldest").close(),
        "`at(time_ms)`": lambda: CheckpointStore(path).at(time_ms=0.2).close(),
        "`log`": lambda: CheckpointStore(path).checkpoints,
    }
    try:
        make_history(path, length)
        found = {name: spent(ask) for name, ask in asked.items()}
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return {
        **{(name, "calls"): taken.calls for name, taken in found.items()},
        **{(f"{name}, read", "B"): taken.read for name, taken in found.items()},
    }


def _by_objects(folder: Path, count: int) -> _Counts:
    path = folder / "net.h5"
    sheets = [PopulationState(f"p{i}", (10,), parameters={"tau": 1.0 * i}) for i in range(count)]

    def one() -> None:
        with ann_ckpt.open(path) as checkpoint:
            np.asarray(checkpoint.populations[f"p{count // 2}"]["tau"])

    try:
        saved = spent(lambda: ann_ckpt.write(NetworkState(populations=sheets), path))
        opened, read = spent(lambda: ann_ckpt.open(path).close()), spent(one)
    finally:
        path.unlink(missing_ok=True)
    return {
        ("writing a file", "B"): saved.written,
        ("writing a file", "calls"): saved.calls,
        ("opening, read", "B"): opened.read,
        ("opening and reading one, read", "B"): read.read,
    }


def _in_bucket(count: int) -> _Counts:
    with Transport() as transport:
        costs = {cost.what: cost.requests for cost in history(transport, count)}
    asked = ("save", "open the newest", "open by a tag, the oldest", "list them (`log`)", "gc")
    return {(what, "requests"): costs[what] for what in asked}


# --- The page -----------------------------------------------------------------------

_HEAD = """\
# How cost grows

Written by `python -m benchmarks.counted`: system calls that read or write, bytes that go through them, and
requests, counted over the code of this package. They are the same on every machine. What they take in time,
and beside others, is in [benchmarks.md](benchmarks.md).

![How cost grows](benchmarks/growth.svg)

*Power* is the exponent of a power law through the three largest points that were measured: 0 does not grow,
1 grows in proportion; what has a large part that does not grow lies between. *Foretold* is what the straight
line through the two largest says of a place far beyond, and *found* is what was counted there; lines and
crosses in the picture."""

_TAIL = """\
{bytes} of values were never in memory nor on the disk: eight arrays of zeros, some of whose blocks have a
first value, were saved to a store by the same code as anything else, in blocks of 256 KiB, and pages that are
zero were left out of the files. Everything else is whole. Memory is what the process had at most on top of
what there was before, the values not counted. Stores by number of checkpoints are made of copies of one small
file. A bucket is one in memory; its checkpoints have headers as large as those of 2 GB, of which a save
writes 1 GB: 1,000 of them are 1 TB. What requests take in time is in [scale.md](scale.md).

- **Beside the values** the first save writes {first:.0f} bytes for each block of 256 KiB, and every later one
  {later:.0f}: the digests, in the header of a checkpoint. Of {bytes} that are {headers} a checkpoint, however
  little has changed; the process keeps them, too, and needs {memory} on top of the values.
- **Opening** reads no digests; reading some values reads those of their array.
- **A history** is one file with a line for each checkpoint: calls do not grow, and bytes do for whoever asks
  for all."""


def page(found: Sequence[Curve]) -> str:
    """Return the text of docs/growth.md."""
    parts = [_HEAD]
    for axis in dict.fromkeys(curve.axis for curve in found):
        members = [curve for curve in found if curve.axis == axis]
        places = [x for x, _ in members[0].points]
        far = members[0].far
        heads = ["", *(_place(x, axis) for x in places), "power"]
        heads += [f"{_place(far[0], axis)} foretold", "found"] if far else []
        lines = [f"## By {axis}\n", f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
        for curve in members:
            power = curve.power
            unit = "" if curve.unit == "B" else f", {curve.unit}"
            cells = [f"{curve.what}{unit}", *(_figure(y, curve.unit) for _, y in curve.points)]
            cells.append("-" if power is None else f"{round(power, 2) + 0.0:.2f}")
            if curve.far:
                cells += [
                    _figure(curve.foretold(curve.far[0]), curve.unit),
                    _figure(curve.far[1], curve.unit),
                ]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    beside, _, again, _, memory = found[:5]
    assert beside.far is not None
    assert again.far is not None
    assert memory.far is not None
    nbytes = beside.far[0]
    tail = _TAIL.format(
        bytes=_place(nbytes, _BYTES),
        first=beside.far[1] / nbytes * 8 * _BLOCK,
        later=again.far[1] / nbytes * 8 * _BLOCK,
        headers=_figure(again.far[1], "B"),
        memory=_figure(memory.far[1], "B"),
    )
    return "\n\n".join([*parts, "## How it was counted", tail]) + "\n"


def _place(x: float, axis: str) -> str:
    return _figure(x, "B") if axis == _BYTES else f"{x:,.10g}"


def _figure(y: float, unit: str) -> str:
    if unit != "B":
        return f"{y:,.0f}"
    for name in ("B", "kB", "MB", "GB"):
        if abs(y) < 999.5:
            return f"{y:.3g} {name}"
        y /= 1000
    return f"{y:.3g} TB"


def _draw(found: Sequence[Curve], path: Path) -> None:
    """Draw every curve, with the far point and the line that leads there."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 8})
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys((curve.axis, curve.unit) for curve in found))
    figure, grid = plt.subplots(-(-len(panels) // 2), 2, figsize=(11, 13), layout="constrained")
    for axes, (axis, unit) in zip(grid.flat, panels, strict=False):
        for curve in found:
            if (curve.axis, curve.unit) != (axis, unit):
                continue
            xs, ys = zip(*curve.points, strict=True)
            (line,) = axes.plot(xs, ys, marker="o", markersize=3, label=curve.what)
            if curve.far:
                between = np.geomspace(xs[-1], curve.far[0], 30)
                axes.plot(between, [curve.foretold(x) for x in between], ":", color=line.get_color())
                axes.plot(*curve.far, marker="x", color=line.get_color())
        axes.set(xscale="log", yscale="log", xlabel=axis, ylabel="bytes" if unit == "B" else unit)
        axes.grid(visible=True, linewidth=0.3)
        axes.legend(fontsize=6, frameon=False)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Count, and write the page with its picture."""
    parser = argparse.ArgumentParser("python -m benchmarks.counted", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where files with holes are made")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the page goes")
    parser.add_argument("--bytes", type=float, default=1e12, help="of the largest checkpoint")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = curves(Plan(sizes=(*Plan().sizes[:-1], int(options.bytes) // _WHOLE * _WHOLE)), Path(folder))
    _draw(found, options.docs / "benchmarks" / "growth.svg")
    (options.docs / "growth.md").write_text(page(found))


if __name__ == "__main__":
    main()
