"""The command line on networks of NEST, parameter files, proofs, and a job that is asked to leave."""

from __future__ import annotations

import json
import os
import signal

import nest
import numpy as np
import pytest
from click.testing import CliRunner

import ann_ckpt
import ann_ckpt.nest
from ann_ckpt.adapters.nest.replay import _put_in_order
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.cli.main import cli
from ann_ckpt.errors import SimulatorError
from tests.nest.networks import moved, reset

pytestmark = pytest.mark.usefixtures("kernel")


def said(*words):
    answer = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_what_changed_between_two_files(tmp_path):
    network = moved()
    ann_ckpt.save(tmp_path / "one.h5", network=network)
    network.populations["cells"][3].V_m = 7.5
    network.populations["cells"].tau_syn_ex = 0.4
    ann_ckpt.save(tmp_path / "other.h5", network=network)
    page = said("diff", tmp_path / "one.h5", tmp_path / "other.h5")
    assert "populations/cells/V_m: 1 of 12 values" in page
    assert "populations/cells/tau_syn_ex" in page
    assert ann_ckpt.diff(tmp_path / "one.h5", network).changed
    assert ann_ckpt.diff(tmp_path / "other.h5", network).same


def test_a_parameter_file_is_applied_whole_or_not_at_all(tmp_path):
    """Threshold and reset of one neuron are set together; what NEST would refuse is found before."""
    network = moved()
    cells, path = network.populations["cells"], tmp_path / "params.json"
    ann_ckpt.save_parameters(path, network=network)
    given = json.loads(path.read_text())
    own = {"V_th": [-50.0] * 12, "V_reset": [-65.0 + k for k in range(12)]}
    given["populations"] = {"cells": own}
    path.write_text(json.dumps(given))
    ann_ckpt.load_parameters(path, network=network, global_only=False)
    assert cells.V_th == (-50.0,) * 12
    assert cells.V_reset == tuple(-65.0 + k for k in range(12))
    own["V_reset"][7] = -40.0
    path.write_text(json.dumps(given))
    before = cells.get()
    with pytest.raises(SimulatorError, match="neuron 7"):
        ann_ckpt.load_parameters(path, network=network, global_only=False)
    assert cells.get() == before


def test_a_report_says_what_is_there(tmp_path):
    network = moved()
    report = ann_ckpt.save(tmp_path / "net.h5", network=network)
    assert "NEST" in said("info", tmp_path / "net.h5")
    said("report", tmp_path / "net.h5", "-o", tmp_path / "net.html")
    page = (tmp_path / "net.html").read_text()
    assert "cells_to_cells.static_synapse" in page
    assert "iaf_cond_exp" in page
    assert str(report)


SCRIPT = """
import nest

import ann_ckpt.nest


def build(keep=8.0, seed=3):
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.rng_seed = seed
    cells = nest.Create("izhikevich", 10, {"I_e": nest.random.uniform(5.0, 9.0)})
    nest.Connect(cells, cells, "all_to_all", {"weight": 0.5, "delay": nest.random.uniform(1.0, 4.0)})
    network = ann_ckpt.nest.network({"cells": cells})
    if keep:
        network.keep(keep)
    return network
"""


def test_verify_resume_proves_a_model_of_nest(tmp_path):
    script = tmp_path / "model.py"
    script.write_text(SCRIPT)
    page = said("verify-resume", f"{script}:build", "--at", "21ms", "--for", "15ms")
    assert "exact" in page
    page = said("verify-resume", f"{script}:build", "--arg", "keep=0", "--at", "21ms", "--for", "15ms")
    assert "approximate" in page
    assert "populations/cells" in page


def driven(seed=5):
    reset(seed=seed)
    cells = nest.Create("izhikevich", 12, {"I_e": nest.random.uniform(5.0, 9.0)})
    nest.Connect(cells, cells, "all_to_all", {"weight": 0.4, "delay": nest.random.uniform(1.0, 3.0)})
    network = ann_ckpt.nest.network({"cells": cells})
    network.keep(6.0)
    return network


def test_a_job_that_is_asked_to_leave_saves_and_goes_on_later(tmp_path):
    """At the end of the slice; the run that is resumed is the one that nobody asked to leave."""
    network = driven()
    network.simulate(21.0)
    network.simulate(19.0)
    there = network.populations["cells"].V_m

    network = driven()
    with pytest.raises(SystemExit) as left, ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.on_signal(network=network, within=1.0)
        network.simulate(21.0)
        os.kill(os.getpid(), signal.SIGTERM)
        network.simulate(19.0)
    assert left.value.code == 75
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt") as store:
        steps = [checkpoint.time_step for checkpoint in store]
    assert len(steps) == 1
    assert 210 <= steps[0] <= 220

    reset()
    network = ann_ckpt.nest.build(tmp_path / "run.ckpt")
    assert round(network.time * 10) == steps[0]
    network.simulate(40.0 - network.time)
    if steps[0] == 210:
        assert network.populations["cells"].V_m == there


@pytest.mark.parametrize("threads", [1, 3])
def test_synapses_between_two_neurons_are_put_in_the_order_of_the_file(threads):
    """What NEST may have exchanged goes back, with weight and delay, and nothing else is touched."""
    reset(threads)
    cells = nest.Create("iaf_cond_exp", 6)
    rng = np.random.default_rng(2)
    pre, post = rng.integers(1, 7, 80), rng.integers(1, 7, 80)
    spec = {"weight": rng.uniform(1.0, 2.0, 80), "delay": 1.0 + 0.1 * rng.integers(0, 20, 80)}
    nest.Connect(pre, post, "one_to_one", spec)
    network = ann_ckpt.nest.network({"cells": cells})
    network.simulate(1.0)
    simulator = simulator_for(network)
    stored = simulator.read().state.in_memory()
    (name,) = stored.projections
    there = stored.projections[name]
    rows = there.connectivity
    targets = np.repeat(rows.post_ranks, rows.row_sizes)
    order = np.lexsort((rng.permutation(80), rows.pre_ranks, targets))
    assert not np.array_equal(order, np.arange(80))
    simulator.set_projection_attribute(name, "w", np.asarray(there["w"])[order])
    simulator.set_delays(name, np.asarray(there.delays)[order])
    exchanged = simulator_for(network).read().state.projections[name]
    assert not np.array_equal(exchanged["w"], there["w"])
    _put_in_order(network, stored)
    here = simulator_for(network).read().state.projections[name]
    assert here.connectivity.equals(rows)
    assert np.asarray(here["w"]).tobytes() == np.asarray(there["w"]).tobytes()
    assert np.array_equal(here.delays, there.delays)
