"""What people read, each with values that are known: right ones come out, or an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ann_ckpt
from ann_ckpt import Checkpoint, CheckpointStore, NetworkState, differences
from ann_ckpt.demo.network import DemoNetwork
from ann_ckpt.errors import NotReadableError
from tests.faults.networks import net
from tests.faults.operations import STORE, command

__all__ = ["READINGS", "Reading", "parts"]

STEPS = (1, 2, 30)


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read."""

    name: str
    prepare: Callable[[Path], None]
    read: Callable[[Path], None]
    """Asserts that every value is right."""


def parts(checkpoint: Checkpoint, state: NetworkState) -> dict[str, Callable[[], bool]]:
    """Return every kind of part of an open checkpoint, as a question whether it is that of ``state``."""

    def same(found: Any, expected: Any) -> bool:
        return bool(
            np.shape(found) == np.shape(expected)
            and np.asarray(found).dtype == np.asarray(expected).dtype
            and np.asarray(found).tobytes() == np.asarray(expected).tobytes()
        )

    def like(found: Any, expected: Any, attributes: Iterable[str]) -> bool:
        return same(found.pre_ranks, expected.pre_ranks) and all(
            same(found[a], expected[a]) for a in attributes
        )

    asked: dict[str, Callable[[], bool]] = {
        "header": lambda: (
            (checkpoint.time_step, checkpoint.dt, checkpoint.seed) == (state.time_step, state.dt, state.seed)
        ),
        "metadata": lambda: checkpoint.metadata == state.metadata,
        "constants": lambda: all(same(checkpoint.constants[k], v) for k, v in state.constants.items()),
        "names": lambda: (
            (list(checkpoint.populations), list(checkpoint.projections))
            == (list(state.populations), list(state.projections))
        ),
        "whole": lambda: not list(differences(checkpoint.state(), state)),
    }
    for name, population in state.populations.items():
        for attribute, value in {**population.parameters, **population.variables}.items():
            values = np.asarray(value.values)
            for key in (..., slice(1, 3), 0) if values.ndim else (...,):
                asked[f"{name}/{attribute}[{key}]"] = lambda n=name, a=attribute, k=key, v=values: same(
                    np.asarray(checkpoint.populations[n][a])[k]
                    if k is ...
                    else checkpoint.populations[n][a][k],
                    v[k],
                )
        asked[f"{name} itself"] = lambda n=name, p=population: (
            checkpoint.populations[n].geometry == p.geometry and checkpoint.populations[n].name == p.name
        )
    for name, projection in state.projections.items():
        asked[f"{name} itself"] = lambda n=name, p=projection: (
            (checkpoint.projections[n].pre, checkpoint.projections[n].post, checkpoint.projections[n].target)
            == (p.pre, p.post, p.target)
        )
        rows = len(projection.connectivity.post_ranks)
        for row in (0, rows // 2, rows - 1):
            rank = int(projection.connectivity.post_ranks[row])
            expected = projection.dendrite(rank)
            asked[f"{name} dendrite {rank}"] = lambda n=name, r=rank, e=expected, p=projection: like(
                checkpoint.projections[n].dendrite(r), e, p
            )
        for attribute in projection:
            values = np.asarray(projection[attribute])
            if values.ndim:
                middle = slice(len(values) // 3, 2 * len(values) // 3)
                asked[f"{name}/{attribute}[middle]"] = lambda n=name, a=attribute, k=middle, v=values: same(
                    checkpoint.projections[n][a][k], v[k]
                )
    return asked


def _check(checkpoint: Checkpoint, step: int) -> None:
    for what, right in parts(checkpoint, net(step)).items():
        assert right(), f"{what} of step {step} is wrong"


def _prepare_file(folder: Path) -> None:
    ann_ckpt.save(folder / "net.h5", network=net(1))


def _prepare_store(folder: Path) -> None:
    with CheckpointStore(folder / STORE, "a") as store:
        for step in STEPS:
            store.save(net(step))


def _read_parts(folder: Path) -> None:
    with ann_ckpt.open(folder / "net.h5") as checkpoint:
        _check(checkpoint, 1)


def _read_whole(folder: Path) -> None:
    assert not list(differences(ann_ckpt.read(folder / "net.h5"), net(1)))


def _verified(path: Path) -> None:
    """An intact file is not called damaged because it could not be read."""
    report = ann_ckpt.verify(path)
    unread = [note for note in report.damaged if "cannot read" in note.text]
    assert list(report.damaged) == unread, report
    if unread:
        raise NotReadableError(str(unread[0]))


def _read_store(folder: Path) -> None:
    with CheckpointStore(folder / STORE) as store:
        found = [info.time_step for info in store.checkpoints if info.problem is None]
        problems = [info.problem for info in store.checkpoints if info.problem is not None]
        assert all("cannot read" in problem for problem in problems), problems
        assert found == list(STEPS) or problems, found
        for step in STEPS:
            with store[str(step)] as checkpoint:
                _check(checkpoint, step)
        assert store.latest.time_step == STEPS[-1]


def _prepare_demo(folder: Path) -> None:
    network = DemoNetwork(side=6)
    network.simulate(20.0)
    ann_ckpt.save(folder / "net.h5", network=network)
    ann_ckpt.save(folder / STORE, network=network)


def _load(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        network = DemoNetwork(side=6)
        before = network.read().state
        before = ann_ckpt.NetworkState(**{f: getattr(before, f) for f in before.__dataclass_fields__})
        expected = DemoNetwork(side=6)
        expected.simulate(20.0)
        try:
            ann_ckpt.load(folder / name, network=network)
        except ann_ckpt.errors.CheckpointError:
            assert not list(differences(network.read().state, DemoNetwork(side=6).read().state)), (
                "half loaded"
            )
            raise
        assert not list(differences(network.read().state, expected.read().state)), "loaded something else"

    return read


def _old(suffix: str) -> Reading:
    name = f"net{suffix}"

    def read(folder: Path) -> None:
        found = ann_ckpt.read(folder / name)
        values = np.asarray(net(1).populations["in"].variables["r"].values)
        assert np.array_equal(np.asarray(found.populations["in"].variables["r"].values), values)
        w = np.asarray(found.projections["ff"]["w"])
        assert np.array_equal(w, np.asarray(net(1).projections["ff"]["w"]))

    return Reading(f"read{suffix}", lambda folder: _save_as(folder / name) and None, read)


def _save_as(path: Path) -> object:
    return ann_ckpt.save(path, network=net(1))


def _command(*words: str, name: str) -> Reading:
    def read(folder: Path) -> None:
        command(*(str(folder / word) if word.startswith((STORE, "net.")) else word for word in words))

    def prepare(folder: Path) -> None:
        _prepare_file(folder)
        _prepare_store(folder)

    return Reading(name, prepare, read)


READINGS = {
    reading.name: reading
    for reading in (
        Reading("file-parts", _prepare_file, _read_parts),
        Reading("file-whole", _prepare_file, _read_whole),
        Reading("file-verify", _prepare_file, lambda folder: _verified(folder / "net.h5")),
        Reading("store-parts", _prepare_store, _read_store),
        Reading("store-verify", _prepare_store, lambda folder: _verified(folder / STORE)),
        Reading("load-file", _prepare_demo, _load("net.h5")),
        Reading("load-store", _prepare_demo, _load(STORE)),
        *(_old(suffix) for suffix in (".data", ".txt.gz", ".npz", ".mat")),
        _command("info", "net.h5", name="info-file"),
        _command("info", STORE, name="info-store"),
        _command("log", STORE, name="log"),
        _command("ls", f"{STORE}@2", name="ls"),
        _command("diff", f"{STORE}@1", f"{STORE}@1", name="diff"),
        _command("params", "extract", "net.h5", name="params-extract"),
    )
}
