"""Parameter files and a real, compiled network: saved, edited, checked, applied, simulated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ann_ckpt.params import Schema, validate
from tests.live.conftest import ROOT, Run, installed

CHANGES: dict[str, dict[str, Any]] = {
    "populations": {
        "source": {
            "tau": 5.5,
            "level": 7,
            "armed": True,
            "base": [[0.0, 0.1, 0.2, 0.3], [0.4, 0.5, 0.6, 0.7], [0.8, 0.9, 1.0, 1.1]],
            "kind": 9,
        },
        "sink": {"tau": 8, "kind": [1, 2, 3, 4, 5, 6], "on": [True, False, True, False, True, False]},
    },
    "projections": {"ragged": {"eta": 0.125}, "view": {"eta": 1.0}},
    "constants": {"gain": 2.5},
    "network": {"seed": 3, "name": "a"},
}


@pytest.fixture(scope="session")
def edited(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("params")
    answer: dict[str, Any] = run("params_jobs.edit", network="rate", folder=str(folder), changes=CHANGES)
    return answer


def test_what_is_saved_is_what_the_network_has(edited: dict[str, Any]) -> None:
    assert edited["saved"]["populations"]["source"] == {"tau": 10.0, "level": 3, "armed": False}
    assert edited["saved"]["projections"]["ragged"] == {"eta": 0.01}
    assert edited["saved"]["constants"] == {"gain": 1.5}
    assert edited["clean"] == []


def test_applying_what_was_saved_changes_nothing(edited: dict[str, Any]) -> None:
    assert edited["nothing"] == []


def test_the_schema_knows_types_and_localities(edited: dict[str, Any]) -> None:
    definitions = edited["schema"]["$defs"].values()
    (leaky,) = [d["properties"] for d in definitions if "armed" in d["properties"] and _size(d, "base") == 12]
    assert leaky.pop("phase")["x-ann"]["role"] == "variable"
    marks = {name: (p["x-ann"]["ctype"], p["x-ann"]["locality"]) for name, p in leaky.items()}
    assert marks == {
        "tau": ("double", "global"),
        "level": ("int", "global"),
        "armed": ("bool", "global"),
        "base": ("double", "local"),
        "kind": ("int", "local"),
        "on": ("bool", "local"),
    }


def _size(definition: dict[str, Any], name: str) -> int:
    size: int = definition["properties"][name]["x-ann"].get("size", 0)
    return size


def test_an_edited_file_is_applied_whole(edited: dict[str, Any]) -> None:
    assert edited["findings"] == []
    assert edited["left"] == []
    assert edited["network"] == CHANGES["network"]


def test_annarchy_sees_every_value_in_its_own_type(edited: dict[str, Any]) -> None:
    for moment in ("set", "kept"):
        source, sink = edited[moment]["source"], edited[moment]["sink"]
        assert source["tau"] == 5.5
        assert (source["level"], source["armed"]) == (7, True)
        assert source["base"] == CHANGES["populations"]["source"]["base"]
        assert source["kind"] == [[9] * 4] * 3
        assert sink["tau"] == 8
        assert sink["kind"] == [1, 2, 3, 4, 5, 6]
        assert sink["on"] == CHANGES["populations"]["sink"]["on"]
        assert edited[moment]["ragged"]["eta"] == 0.125
        assert edited[moment]["view"]["eta"] == 1.0


def test_the_simulation_runs_on_with_them(edited: dict[str, Any]) -> None:
    assert edited["still"] == []


def test_a_wrong_file_changes_nothing_or_only_what_it_names(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "params.json"
    path.write_text('{\n  "populations": {\n    "source": {"tau": 1.0},\n    "snk": {"tau": 99.0}\n  }\n}')
    answer = run("params_jobs.refuse", network="rate", path=str(path))
    assert answer["findings"] == [["P102", 4, 5]]
    assert answer["strict"] == []
    (warning,) = answer["warnings"]
    assert "params.json:4:5: error[P102] unknown population 'snk' (did you mean 'sink'?)" in warning
    assert answer["lenient"] == ["populations/source/parameters/tau"]


def test_files_go_both_ways_between_annarchy_and_here(run: Run, tmp_path: Path) -> None:
    answer = run("params_jobs.exchange", network="rate", folder=str(tmp_path))
    # ANNarchy writes global variables too, and reads none of them.
    assert len(answer["findings"]) == 2
    assert all("warning[P403] 'phase' is a variable" in f for f in answer["findings"])
    for population in answer["theirs"]["populations"].values():
        assert population.pop("phase") == 0.0
    # One weight for all synapses is a global parameter here.
    assert answer["ours"]["projections"]["single"].pop("w") == 0.1
    assert json.dumps(answer["ours"]) == json.dumps(answer["theirs"])
    assert answer["read by them"] == 3.5
    # ANNarchy writes what a network started from; here that is asked for.
    assert answer["initial"] == answer["ours"]
    answer["ours"]["populations"][answer["changed"]]["tau"] = 3.5
    assert answer["current"]["projections"]["single"].pop("w") == 0.1
    assert answer["current"] == answer["ours"]


MODEL = '''
from ANNarchy import *

LIF = Neuron(
    parameters="""
        tau = 10.0 : population  # Time constant (ms)
        gain = 0.5
        k = 3 : population, int
    """,
    equations="tau * dr/dt + r = gain",
)
HEBB = Synapse(parameters="eta = 0.01 : projection", equations="dw/dt = eta * pre.r * post.r")


def build5():
    net = Network(dt=0.5)
    source = net.create(geometry=(2, 3), neuron=LIF, name="source")
    net.connect(source, source, "exc", synapse=HEBB, name="loop").all_to_all(1.0)
    return net


def build4():
    setup(dt=0.5)
    source = Population(geometry=(2, 3), neuron=LIF, name="source")
    Projection(source, source, "exc", synapse=HEBB, name="loop").connect_all_to_all(1.0)
'''


def test_a_model_that_is_not_compiled_has_a_schema(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    build = "build5" if installed().startswith("5.") else "build4"
    command = ["params", "schema", "--model", f"model.py:{build}", "-o", "s.json"]
    done = subprocess.run(
        [sys.executable, "-c", "from ann_ckpt.cli import main; main()", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"model.py", "s.json"}
    schema = Schema.load(tmp_path / "s.json")
    assert Schema.marks([schema.document])["dt"] == 0.5
    tau = Schema.marks(schema.at(("populations", "source", "tau")))
    assert (tau["ctype"], tau["locality"], tau["unit"]) == ("double", "global", "ms")
    told = {
        "populations": {"source": {"tau": "0.02 s", "k": 1.5, "gain": [[1, 2], [3, 4], [5, 6]], "r": 0}},
        "projections": {"loop": {"eta": 0.5, "etta": 1}},
    }
    found = {f.pointer: f.rule for f in validate(told, schema)}
    assert found == {
        "/populations/source/k": "P201",
        "/populations/source/gain": "P202",
        "/populations/source/r": "P104",
        "/projections/loop/etta": "P104",
    }
