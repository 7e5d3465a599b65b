"""``ann-ckpt demo``: saves, reads, loads and continues a small network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np

from ann_ckpt.api import load, save
from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import emit, facts, print_json, safe
from ann_ckpt.demo.network import DemoNetwork
from ann_ckpt.durable import check_target
from ann_ckpt.errors import CheckpointError
from ann_ckpt.model import NetworkState, differences, nbytes
from ann_ckpt.report import human_bytes

__all__ = ["demo"]

DURATION = 200
"""Simulated before the save, and again after it, in ms."""
NEURON = 210
"""The neuron in the middle of the layer."""


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt demo", "leaves its file in ./demo, to look at afterwards"),
        ("ann-ckpt demo --dir elsewhere --json", "in another folder, for a script"),
    ],
)
@click.option(
    "--dir",
    "folder",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the file; made if it is not there.",
)
@json_option
def demo(folder: Path, *, as_json: bool) -> None:
    """Save, read and continue a small network; needs no simulator.

    A small plastic network is simulated, saved, opened lazily, loaded into a fresh
    network and continued there; the result is compared bit for bit with the run that
    was never interrupted.
    """
    path = folder / "demo.h5"
    check_target(path)
    if as_json:
        print_json([asdict(step) for step in _tour(path)])
        return
    for number, step in enumerate(_tour(path), start=1):
        emit(_line(number, step))
    lines = facts()
    lines.add_row("what is inside", f"ann-ckpt info {safe(path)}")
    lines.add_row("some weights", f"ann-ckpt show {safe(path)} projections/forward --rows 210:212")
    lines.add_row("stock tools", f"h5dump -n {safe(path)}")
    emit("", lines)


def _line(number: int, step: _Step) -> str:
    touched = f"{human_bytes(step.bytes_touched)} {step.where}"
    return f"[dim]{number}[/] [bold]{step.name:<9}[/] {safe(step.text):<66} [cyan]{touched:>19}[/]"


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of the tour, done."""

    name: str
    text: str
    """What was done, in one line."""
    bytes_touched: int
    where: str
    """What these bytes are: ``in memory``, ``written``, ``read``, ``compared``."""
    seconds: float


def _tour(path: Path) -> Iterator[_Step]:
    """Simulate, save, list, look, load and continue; yield each step when it is done.

    Parameters
    ----------
    path : Path
        The checkpoint to write; an older file there is replaced.

    Raises
    ------
    CheckpointError
        If the continued run differs from the uninterrupted one.
    """
    watch = _Watch()
    network = DemoNetwork(seed=1)
    network.simulate(DURATION)
    text = f"{network.n_synapses:,} plastic synapses for {DURATION} ms"
    yield watch.step("simulate", text, _nbytes(network.read().state), "in memory")

    saved = save(path, network=network)
    yield watch.step("save", f"{path}, whole or not at all", saved.bytes_written, "written")

    with open_checkpoint(path) as ckpt:
        names = ", ".join([*ckpt.populations, *ckpt.projections])
        yield watch.step("list", f"{names} at {ckpt.time_step} ms", ckpt.bytes_read, "read")
        before = ckpt.bytes_read
        dendrite = ckpt.projections["forward"].dendrite(NEURON)
        weight = float(np.mean(dendrite["w"]))
        text = f"the {len(dendrite)} synapses onto neuron {NEURON}: mean weight {weight:.4f}"
        yield watch.step("look", text, ckpt.bytes_read - before, "read")

    fresh = DemoNetwork(seed=2)
    loaded = load(path, network=fresh)
    text = f"into a network with other synapses: {len(loaded.rebuilt)} projections rebuilt"
    yield watch.step("load", text, loaded.bytes_read, "read")

    for each in (network, fresh):
        each.simulate(DURATION)
    # The seed only says how a network was built at first.
    different = list(differences(*(replace(each.read().state, seed=None) for each in (network, fresh))))
    if different:
        raise CheckpointError(
            "the continued run differs from the uninterrupted one", details={"differs": ", ".join(different)}
        )
    text = f"both for {DURATION} ms more: every bit is equal, noise included"
    yield watch.step("continue", text, _nbytes(fresh.read().state), "compared")


class _Watch:
    """Times steps, not what happens between them."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def step(self, name: str, text: str, count: int, where: str) -> _Step:
        now = time.perf_counter()
        made = _Step(name, text, count, where, now - self._since)
        self._since = now
        return made


def _nbytes(state: NetworkState) -> int:
    """Size of all values in bytes."""
    arrays = [*state.dynamics.values()]
    for population in state.populations.values():
        arrays += [*population.dynamics.values(), *(a.values for a in population.attributes.values())]
    for projection in state.projections.values():
        synapses = projection.connectivity
        arrays += [a.values for a in projection.attributes.values()]
        arrays += [synapses.post_ranks, synapses.row_ptr, synapses.pre_ranks, np.asarray(projection.delays)]
    return sum(nbytes(array) for array in arrays)
