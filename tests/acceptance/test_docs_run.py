"""Every block of Python in the documents runs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ann_ckpt
import ann_ckpt.annarchy
from ann_ckpt import Attribute, Connectivity, NetworkState, PopulationState, ProjectionState
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.selection import EVERYTHING, Selection
from ann_ckpt.transfer.names import renamed

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_JOB_SCRIPT = "ANN_CKPT_STORE"
"""In the block of store.md that tests/batch runs."""


class Model:
    """A network that takes whatever fits; it has two populations of one size and a projection."""

    label = "Model 1"

    def __init__(self) -> None:
        parts = [
            PopulationState(
                name, (4,), parameters={"tau": 10.0}, variables={"v": np.zeros(4), "w0": np.zeros(4)}
            )
            for name in ("exc", "inh")
        ]
        synapses = Connectivity.from_rows(range(4), [[0, 1], [2], [3], []])
        ff = ProjectionState(
            "ff",
            "exc",
            "inh",
            "exc",
            synapses,
            variables={"w": np.ones(4)},
            delays=1,
            pre_size=4,
            post_size=4,
        )
        self.state = NetworkState(
            populations=parts, projections=[ff], constants={"g": 1.0}, time_step=0, dt=1.0
        )
        self.time = 0.0

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        return Reading(self.state.select(replace(selection, attributes=None)))

    def compile(self, **options: Any) -> None:
        """Nothing is to be done."""

    def get_populations(self) -> list[Any]:
        return []

    get_projections = get_populations

    def refusal(self, projection: ProjectionState) -> None:
        return None

    def simulate(self, duration: float) -> None:
        self.set_time_step((self.state.time_step or 0) + int(duration))

    def set_time_step(self, time_step: int) -> None:
        self.state = replace(self.state, time_step=time_step)

    def set_constant(self, name: str, value: Any) -> None:
        self.state = replace(self.state, constants={**self.state.constants, name: value})

    def set_population_attribute(self, population: str, attribute: str, values: Any) -> None:
        self._set("populations", population, attribute, values)

    def set_projection_attribute(self, projection: str, attribute: str, values: Any) -> None:
        self._set("projections", projection, attribute, values)

    def set_delays(self, projection: str, delays: Any) -> None:
        raise AssertionError

    def connect(self, projection: ProjectionState) -> None:
        raise AssertionError

    def _set(self, group: str, owner: str, name: str, values: Any) -> None:
        members = dict(getattr(self.state, group))
        kind = "parameters" if name in members[owner].parameters else "variables"
        old = getattr(members[owner], kind)
        changed = Attribute(np.asarray(values), old[name].locality)
        members[owner] = replace(members[owner], **{kind: {**old, name: changed}})
        self.state = replace(self.state, **{group: members})


def live(block: int) -> dict[str, Any]:
    net = Model()
    names = {"exc": "E", "inh": "old_inh", "ff": "old_ff"} if "names=" in PAGES["live.md"][block] else {}
    ann_ckpt.write(renamed(net.state, names), "net.h5")
    return {"net": net, "exc": SimpleNamespace(name="exc")}


def parameters(block: int) -> dict[str, Any]:
    net = DemoNetwork(seed=1)
    ann_ckpt.save_parameters("params.json", network=net)
    ann_ckpt.save("net.h5", network=net)
    return {"net": net, "checkpoint": ann_ckpt.read("net.h5"), "ann_ckpt": ann_ckpt, "hydra": HYDRA}


def store(block: int) -> dict[str, Any]:
    net = DemoNetwork(seed=1)
    with ann_ckpt.CheckpointStore("run.ckpt", "a") as made:
        for _ in range(3):
            net.simulate(500)
            made.save(net)
    return {"net": net}


def legacy(block: int) -> dict[str, Any]:
    net = Model()
    ann_ckpt.save("2016.data", network=net)
    ann_ckpt.save("weights.npz", network=net)
    ann_ckpt.save("conn.mat", False, "ff", network=net)
    return {"net": net, "proj": object()}


def from_annarchy(block: int) -> dict[str, Any]:
    return {"net": DemoNetwork(seed=1)}


def exact_resume(block: int) -> dict[str, Any]:
    model = "import ann_ckpt.demo\n\ndef build():\n    return ann_ckpt.demo.DemoNetwork(side=3, seed=1)\n"
    Path("model.py").write_text(model)
    net = Model() if "compile" in PAGES["exact-resume.md"][block] else DemoNetwork(seed=1)
    return {"net": net, "build": "model.py:build"}


class Recorded(Model):
    """The same with a monitor that records nothing more."""

    recording = ann_ckpt.Recording(
        "Monitor_exc",
        of="populations/exc",
        series={
            "spike": ann_ckpt.Series(times=np.arange(9_000), ranks=np.arange(9_000) % 4),
            "v": ann_ckpt.Series(times=np.arange(3_000), values=np.zeros((3_000, 4))),
        },
    )

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def recordings(self) -> tuple[dict[str, ann_ckpt.Recording], tuple[()]]:
        return {"Monitor_exc": self.recording}, ()

    def refuse_recording(self, stored: ann_ckpt.Recording) -> None:
        return None

    def set_recording(self, stored: ann_ckpt.Recording) -> None:
        assert not list(stored.in_memory().differences(self.recording))


def recordings(block: int) -> dict[str, Any]:
    net = Recorded()
    with ann_ckpt.CheckpointStore("run.ckpt", "a", monitors=True) as made:
        made.save(net)
    return {"net": net}


def exchange(block: int) -> dict[str, Any]:
    net = DemoNetwork(seed=1)
    ann_ckpt.save("net.h5", network=net)
    return {"net": net, "DemoNetwork": DemoNetwork}


HYDRA = SimpleNamespace(main=lambda **options: lambda function: function)
PRELUDES: dict[str, Callable[[int], dict[str, Any]]] = {
    "live.md": live,
    "parameters.md": parameters,
    "store.md": store,
    "legacy.md": legacy,
    "from-annarchy.md": from_annarchy,
    "exact-resume.md": exact_resume,
    "recordings.md": recordings,
    "exchange.md": exchange,
    "index.md": exchange,
    "simulating.md": exchange,
    "reading.md": exchange,
    "tools.md": exchange,
}
PAGES = {
    page.name: blocks
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if (blocks := BLOCK.findall(page.read_text()))
}


def test_every_page_with_python_is_run_here_or_in_a_test_that_names_it() -> None:
    others = "".join(p.read_text() for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__))
    assert [page for page in PAGES if page not in PRELUDES and f'"{page}"' not in others] == []


@pytest.mark.parametrize(
    ("page", "block"),
    [(p, b) for p in PRELUDES for b in range(len(PAGES[p])) if _JOB_SCRIPT not in PAGES[p][b]],
)
def test_a_block_runs(page: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ann_ckpt.annarchy.step_length", lambda projection: 1.0)
    # ANNarchy itself has no place in the process of the tests.
    monkeypatch.setattr("ann_ckpt.annarchy.Instrumentation", contextlib.nullcontext)
    monkeypatch.setattr("ann_ckpt.annarchy.compile_instrumented", Model.compile)
    monkeypatch.setattr("ann_ckpt.annarchy.build", lambda projection, stored, **options: None)
    names: dict[str, Any] = {"ann_ckpt": ann_ckpt, **PRELUDES[page](block)}
    exec(compile(PAGES[page][block], page, "exec"), names)
