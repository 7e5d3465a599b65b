"""The command line on networks of Brian2: values in their units, comparisons, parameters, proofs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import brian2
import numpy as np
import pytest
from brian2 import ms, mV
from click.testing import CliRunner

import ann_ckpt
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.cli.main import cli
from ann_ckpt.model.units import quantity, scaled
from tests.brian2.networks import NETWORKS

UNITS = [
    brian2.volt,
    brian2.amp,
    brian2.siemens,
    brian2.farad,
    brian2.ohm,
    brian2.second,
    brian2.Hz,
    brian2.metre,
    brian2.kilogram,
    brian2.coulomb,
    brian2.joule,
    brian2.kelvin,
    brian2.mole,
    brian2.mole / brian2.metre**3,
    brian2.metre**2,
    brian2.metre**3,
    brian2.volt**2,
    brian2.siemens / brian2.metre**2,
    brian2.volt / brian2.second,
    1 / brian2.metre,
    brian2.volt / brian2.second**0.5,
]


def said(*words):
    answer = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_values_are_shown_as_brian_shows_them(unit):
    own = str(brian2.get_unit(unit.dim))
    for value in (-0.07, 0.0, 1.0, 3e-10, 2.5e-5, 0.0123, 5e3, 1.5e7):
        ours = quantity(value, own, digits=8)
        number, _, named = str(value * unit).partition(" ")
        assert ours.partition(" ")[2] == named
        assert float(ours.partition(" ")[0]) == pytest.approx(float(number), rel=1e-7)
    values = np.array([1e-5, 0.0123, 0.0, 4.0])
    _, named = scaled(values, own)
    assert str(values * unit).endswith(f"] {named}")


@pytest.fixture
def file(tmp_path):
    network = model()
    network["cells"].v = "-70*mV + i*mV"
    network["cells"].R = 100 * brian2.Mohm
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    return tmp_path / "net.h5"


def model():
    cells = brian2.NeuronGroup(
        4,
        """dv/dt = (El - v + R*I)/tau : volt (unless refractory)
        R : ohm (shared, constant)
        I : amp (constant)""",
        threshold="v > -50*mV",
        reset="v = El",
        refractory=2 * ms,
        method="euler",
        namespace={"El": -70 * mV, "tau": 20 * ms},
        name="cells",
    )
    synapses = brian2.Synapses(
        cells,
        cells,
        "w : volt",
        on_pre="v_post += w",
        name="synapses",
    )
    synapses.connect()
    synapses.w = "(1 + i)*0.2*mV"
    synapses.delay = 1.5 * ms
    return brian2.Network(cells, synapses)


def test_show_and_info_speak_of_millivolts(file):
    page = said("info", file)
    for words in ("constant El   -70. mV", "constant tau  20. ms", "R = 100. Mohm", "v [V]", "w [V]"):
        assert words in page
    assert "dv/dt = (El - v + R*I)/tau : V (unless refractory)" in page
    assert "v_post += w" in page
    found = json.loads(said("info", file, "--json"))
    assert found["populations"][0]["units"]["v"] == "V"
    assert found["populations"][0]["values"] == {"R": 1e8}
    assert [kind["of"] for kind in found["types"]] == [["cells"], ["synapses"]]

    page = said("show", file, "populations/cells/v")
    assert "[mV]" in page
    assert "-69" in page
    assert said("show", file, "populations/cells/R").endswith("100. Mohm\n")
    assert "refractory    2. ms" in said("show", file, "populations/cells")
    assert "R = 100. Mohm" in said("tree", file)
    assert said("show", file, "projections/synapses/pathway_delays/pre").endswith("1.5 ms\n")
    assert "w [mV]  0.2  0.4  0.6  0.8" in said("show", file, "projections/synapses", "--rows", "2")
    found = json.loads(said("show", file, "populations/cells/v", "--json"))
    assert found["unit"] == "V"
    assert found["values"] == [-0.07, -0.069, -0.068, -0.067]


def test_whoever_reads_a_file_needs_no_brian(file):
    program = "import sys; sys.modules['brian2'] = None; from ann_ckpt.cli.main import cli; cli(sys.argv[1:])"
    for words in (("show", "populations/cells/R"), ("info",)):
        command = [sys.executable, "-c", program, words[0], os.fspath(file), *words[1:]]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "100. Mohm" in answer.stdout


def test_diff_speaks_of_millivolts(file, tmp_path):
    network = model()
    ann_ckpt.load(file, network=network)
    network["cells"].R = 120 * brian2.Mohm
    network["cells"].v[1] = -60 * mV
    network["synapses"].delay = 2 * ms
    ann_ckpt.save(tmp_path / "other.h5", network=network)
    page = said("diff", file, tmp_path / "other.h5")
    assert "populations/cells/R: 100. Mohm became 120. Mohm" in page
    assert "populations/cells/v: 1 of 4 values, by at most 9. mV, 9. mV on average" in page
    assert "projections/synapses/pathway_delays/pre: 1.5 ms became 2. ms" in page
    assert ann_ckpt.diff(file, network).changed
    assert ann_ckpt.diff(tmp_path / "other.h5", network).same


def test_parameters_are_written_and_read_with_their_units(file, tmp_path):
    network = model()
    path = tmp_path / "params.json"
    ann_ckpt.save_parameters(path, network=network)
    given = json.loads(path.read_text())
    assert given["populations"] == {"cells": {"R": 0.0}}

    given["populations"]["cells"] |= {"R": "50 Mohm", "I": [0.0, 1e-11, 2e-11, 3e-11]}
    path.write_text(json.dumps(given))
    ann_ckpt.load_parameters(path, network=network, global_only=False)
    assert network["cells"].R_[:].item() == 50e6
    assert network["cells"].I_[:].tolist() == [0.0, 1e-11, 2e-11, 3e-11]
    assert "| cells | R | 50 | Mohm |" in said("params", "table", file, "--params", path)
    assert "| cells | I | 0 to 30 | pA |" in said("params", "table", file, "--params", path)

    given["populations"]["cells"]["R"] = "50 mV"
    path.write_text(json.dumps(given))
    with pytest.raises(ann_ckpt.errors.ParameterFileError, match="expected ohm, found mV"):
        ann_ckpt.load_parameters(path, network=network)
    assert network["cells"].R_[:].item() == 50e6


SCRIPT = """
import brian2
from brian2 import ms, mV

brian2.prefs.codegen.target = "numpy"
tau = 9 * ms


def build(seed=1, keeps=True):
    brian2.seed(seed)
    group = brian2.NeuronGroup(
        10, "dv/dt = -v/tau + 5*mV*xi/tau**0.5 : volt", threshold="v > 5*mV", reset="v = 0*mV",
        method="euler", name="cells",
    )
    synapses = brian2.Synapses(group, group, "w : volt", on_pre="v_post += w", name="synapses")
    synapses.connect(p=0.5)
    synapses.w = "rand()*mV"
    synapses.delay = "rand()*2*ms"
    kept = [0]

    @brian2.network_operation(name="python")
    def python():
        kept[0] += 1
        group.v_[0] += kept[0] * 1e-6

    return brian2.Network(group, synapses, *([] if keeps else [python]))
"""


def test_verify_resume_proves_a_model_of_brian(tmp_path):
    script = tmp_path / "model.py"
    script.write_text(SCRIPT)
    page = said("verify-resume", f"{script}:build", "--at", "2ms", "--for", "3ms", "--other", "seed=2")
    assert "exact" in page
    page = said("verify-resume", f"{script}:build", "--arg", "keeps=false", "--at", "2ms", "--for", "3ms")
    assert "what Python code in python keeps" in page
    assert "populations/cells/v" in page


def test_all_that_is_computed_is_in_the_types():
    state = simulator_for(NETWORKS["coupled"](1)).read().state
    assert state.projections["gaps"].synapse_type.texts["summed gap_post"] == "g*(v_pre - v_post)"
    assert state.populations["neurons"].neuron_type.texts["method"] == "exact"
    state = simulator_for(NETWORKS["noisy"](1)).read().state
    texts = state.populations["neurons"].neuron_type.texts
    assert texts["regularly kick"] == "v += gain*rand()*mV"
    assert texts["regularly toggle"] == "gain = 1 - gain"
    assert texts["method"] == "euler"
    group = brian2.NeuronGroup(2, "x : 1\ny = rand() + x : 1 (constant over dt)", name="group")
    state = simulator_for(brian2.Network(group)).read().state
    assert state.populations["group"].neuron_type.texts["constant over dt"] == "y = rand() + x"


def test_units_where_types_are_shared_and_files_disagree(tmp_path):
    def network(unit):
        groups = [
            brian2.NeuronGroup(2, f"v : {unit}\nk : 1 (shared)", name=name) for name in ("one", "other")
        ]
        return brian2.Network(*groups)

    volts, amperes = tmp_path / "volts.h5", tmp_path / "amperes.h5"
    ann_ckpt.save(volts, network=network("volt"))
    changed = network("amp")
    changed["one"].v = 2 * brian2.mA
    ann_ckpt.save(amperes, network=changed)
    found = json.loads(said("info", volts, "--json"))
    assert [kind["of"] for kind in found["types"]] == [["one", "other"]]
    assert [owner["values"] for owner in found["populations"]] == [{}, {}], "a plain number has no unit"
    (change,) = (c for c in ann_ckpt.diff(volts, amperes).changed if c.path == "populations/one/v")
    assert change.unit == ""
    assert change.largest == 0.002


def test_weights_are_shown_in_the_unit_that_fits_the_rows(file):
    page = said("show", file, "projections/synapses/w", "--rows", "0:1")
    assert "[mV]" in page
    assert page.splitlines()[2].split() == ["0", "0", "4", "0.2", "0.4", "0.6", "0.8"]
