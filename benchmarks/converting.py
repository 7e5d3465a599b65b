"""Old files made new, and files checked: whole reads that must not need whole memory."""

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


def cases(scale: Scale) -> list[Case]:
    """Converting a pickle that ANNarchy wrote, and verifying a file of ours."""
    synapses = scale.synapses[min(1, len(scale.synapses) - 1)]
    name = ours.NAMES["auto"]
    goal = Goal(text="at most 64 MiB of memory", what=name, of="memory", at_most=_MEMORY)
    return [
        Case(
            f"convert/{suffix.strip('.')}",
            f"Convert: ANNarchy's own {suffix} of {synapses:,} synapses to HDF5",
            partial(_converting, synapses, suffix),
            nbytes=synapses * 20,
            goals=(goal,),
        )
        for suffix in (".data", ".npz")
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


def _converting(synapses: int, suffix: str, folder: Path) -> list[Contender]:
    made = cache(lambda: LiveNetwork(synapses, instrumented=False, folder=folder))
    old, new, plain = folder / f"native{suffix}", folder / "new.h5", folder / "plain.h5"

    def convert() -> None:
        from ann_ckpt.adapters import legacy

        ann_ckpt.write(legacy.read(old).state, new)

    def check(_: Any) -> None:
        state = ann_ckpt.read(new)
        for attribute, rows in made().values.items():
            np.testing.assert_array_equal(state.projections["ff"][attribute], rows.reshape(-1))

    return [
        Contender(
            "limit: pickle.load alone",
            lambda: _trusting(old),
            role=Role.LIMIT,
            prepare=lambda: made().network.save(str(old)),
            product=old,
            needs=("ANNarchy",),
        ),
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
            return {name: archive[name].item() for name in archive.files if archive[name].shape == ()}
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

    def check(report: ann_ckpt.VerifyReport) -> None:
        if not report.ok:
            raise AssertionError(report.headline())

    values: Callable[[], Any] = cache(lambda: list(arrays_of(state()).values()))
    return [
        *limits.reading(folder, values),
        ours.loading(compression, folder, state, run=ann_ckpt.verify, check=check),
    ]
