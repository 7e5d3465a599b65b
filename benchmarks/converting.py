"""Old files read and made new, and files checked: whole reads that must not need whole memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import ann_ckpt
from benchmarks import limits, ours
from benchmarks.harness import Case, Contender, Goal, Role, Scale, flush, remove
from benchmarks.live import LiveNetwork
from benchmarks.states import arrays_of, make_state

__all__ = ["cases"]

_MEMORY = 64 << 20
_LIMIT = "limit: pickle.load alone"
_CLOSED = "ann_ckpt, closed reader"


def cases(scale: Scale) -> list[Case]:
    """Reading and converting a file that ANNarchy wrote, and verifying one of ours."""
    some, most = scale.synapses[min(1, len(scale.synapses) - 1)], scale.synapses[-1]
    return [
        *(
            Case(
                f"old/{suffix.strip('.')}",
                f"Read: ANNarchy's own {suffix} of {some:,} synapses, running nothing in it",
                partial(_reading, some, suffix),
                nbytes=some * 20,
                goals=(
                    Goal(text="at most 4 x pickle.load", what=_CLOSED, over=_LIMIT, at_most=4.0),
                    Goal(text="no more memory", what=_CLOSED, of="memory", over=_LIMIT, at_most=1.0),
                ),
            )
            for suffix in (".data", ".npz")
        ),
        *(
            Case(
                f"convert/{suffix.strip('.')}",
                f"Convert: ANNarchy's own {suffix} of {synapses:,} synapses to HDF5",
                partial(_converting, synapses, suffix),
                nbytes=synapses * 20,
                goals=(
                    Goal(
                        text="at most 1.5 x the memory of pickle.load",
                        what=ours.NAMES["auto"],
                        of="memory",
                        over=_LIMIT,
                        at_most=1.5,
                    ),
                    Goal(
                        text="at most 64 MiB more than its values",
                        what=ours.NAMES["auto"],
                        of="memory",
                        at_most=synapses * 20 + (64 << 20),
                    ),
                ),
            )
            # numpy takes minutes to deflate more
            for suffix, synapses in ((".data", most), (".npz", some))
        ),
    ] + [
        Case(
            f"verify/{compression}",
            f"Verify every digest: {ours.NAMES[compression]}",
            partial(_verifying, scale.nbytes, compression),
            nbytes=scale.nbytes,
            goals=(
                Goal(
                    text="at most 64 MiB of memory",
                    what=ours.NAMES[compression],
                    of="memory",
                    at_most=_MEMORY,
                ),
            ),
        )
        for compression in ours.NAMES
    ]


def _reading(synapses: int, suffix: str, folder: Path) -> list[Contender]:
    made = cache(lambda: LiveNetwork(synapses, instrumented=False, folder=folder))
    old = folder / f"native{suffix}"

    def check(state: ann_ckpt.NetworkState) -> None:
        for attribute, rows in made().values.items():
            np.testing.assert_array_equal(state.projections["ff"][attribute], rows.reshape(-1))

    return [
        _trusting_alone(old, made),
        Contender(
            _CLOSED,
            lambda: ann_ckpt.read(old),
            role=Role.OURS,
            check=check,
            product=old,
            needs=("ANNarchy",),
        ),
    ]


def _trusting_alone(old: Path, made: Callable[[], LiveNetwork]) -> Contender:
    """Whoever does not mind running what is in the file; ANNarchy writes it first."""
    return Contender(
        _LIMIT,
        lambda: _trusting(old),
        role=Role.LIMIT,
        prepare=lambda: made().network.save(str(old)),
        product=old,
        needs=("ANNarchy",),
    )


def _converting(synapses: int, suffix: str, folder: Path) -> list[Contender]:
    made = cache(lambda: LiveNetwork(synapses, instrumented=False, folder=folder))
    old, new, plain = folder / f"native{suffix}", folder / "new.h5", folder / "plain.h5"

    def convert() -> None:
        ann_ckpt.convert(old, new, isolate=False)

    def check(_: Any) -> None:
        state = ann_ckpt.read(new)
        for attribute, rows in made().values.items():
            np.testing.assert_array_equal(state.projections["ff"][attribute], rows.reshape(-1))

    return [
        _trusting_alone(old, made),
        Contender(
            ours.NAMES["auto"],
            convert,
            role=Role.OURS,
            check=check,
            after=partial(remove, new),
            product=new,
            needs=("ANNarchy",),
        ),
        Contender(
            "pickle.load, then h5py",
            lambda: _by_hand(old, plain),
            after=partial(remove, plain),
            product=plain,
            needs=("ANNarchy", "h5py"),
        ),
    ]


def _trusting(path: Path) -> Any:
    """Read an old file as ANNarchy does: whatever the pickle says is run."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=True) as archive:
            members = {name: archive[name] for name in archive.files}  # each access reads it once more
        return {name: member.item() for name, member in members.items() if member.shape == ()}
    with path.open("rb") as file:
        return pickle.load(file)


def _by_hand(old: Path, new: Path) -> None:
    """Put the values of the one projection into datasets."""
    import h5py

    values = _trusting(old)["ff"]
    with h5py.File(new, "w") as file:
        for name in ("w", "trace", "pre_ranks"):
            file.create_dataset(name, data=np.array(values[name]), compression="gzip", shuffle=True)
    flush(new)


def _verifying(nbytes: int, compression: str, folder: Path) -> list[Contender]:
    state = cache(lambda: make_state("mixed", nbytes))

    def check(report: ann_ckpt.reports.VerifyReport) -> None:
        if not report.ok:
            raise AssertionError(report.headline())

    values: Callable[[], Any] = cache(lambda: list(arrays_of(state()).values()))
    return [
        *limits.reading(folder, values),
        ours.loading(compression, folder, state, run=ann_ckpt.verify, check=check),
    ]
