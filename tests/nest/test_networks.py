"""Networks saved, made anew in another process and loaded there: not a value at a wrong place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.model import Exactness
from tests.nest.networks import NETWORKS

ROOT = Path(__file__).parents[2]


def run(kind, threads, folder, *names):
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "tests.nest.runs",
        kind,
        str(threads),
        str(folder),
        *names,
    ]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module", params=[2])
def folder(request, tmp_path_factory):
    """Files of all networks: saved, built from and saved, and loaded into what the script makes."""
    where = tmp_path_factory.mktemp(f"threads{request.param}")
    for kind in ("saved", "built", "loaded"):
        run(kind, request.param, where, *NETWORKS)
    return where


def synapses(projection):
    """Every synapse with all its values, in an order that does not depend on how NEST keeps them.

    Several between the same two neurons, of the same model, may change places among themselves.
    """
    rows = projection.connectivity
    post = np.repeat(rows.post_ranks, rows.row_sizes)
    columns = [post, np.asarray(rows.pre_ranks), np.broadcast_to(np.asarray(projection.delays), post.shape)]
    for name in sorted(projection):
        values = np.broadcast_to(np.asarray(projection[name]), post.shape)
        columns.append(
            np.ascontiguousarray(values, np.float64).view(np.int64) if values.dtype.kind == "f" else values
        )
    columns = np.stack(columns)
    return columns[:, np.lexsort(columns[::-1])]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["built", "loaded"])
def test_everything_is_where_it_was(folder, name, kind):
    """All values of neurons and synapses, bit for bit, though they are at work in another kernel."""
    with ann_ckpt.open(folder / f"{name}.h5") as a, ann_ckpt.open(folder / f"{name}.{kind}.h5") as b:
        there, here = a.state(), b.state()
        assert (there.time_step, there.dt) == (here.time_step, here.dt) == (203, 0.1)
        assert list(there.populations) == list(here.populations)
        assert list(there.projections) == list(here.projections)
        for population, other in zip(there.populations.values(), here.populations.values(), strict=True):
            assert list(population) == list(other)
            for attribute in population:
                values, others = np.asarray(population[attribute]), np.asarray(other[attribute])
                if name in ("relative", "brunel", "brunel_plastic", "plastic", "microcircuit"):
                    # What NEST keeps relative to E_L loses its last bits on the way in.
                    np.testing.assert_allclose(values, others, rtol=0, atol=1e-12, err_msg=attribute)
                else:
                    assert values.tobytes() == others.tobytes(), (population.name, attribute)
            for carried in population.dynamics:
                assert np.array_equal(population.dynamics[carried], other.dynamics[carried]), carried
        for projection, other in zip(there.projections.values(), here.projections.values(), strict=True):
            assert np.array_equal(synapses(projection), synapses(other)), projection.name


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_hidden_is_never_called_exact(folder, name):
    """NEST does not show spikes on their way and countdowns, and the file says so."""
    with ann_ckpt.open(folder / f"{name}.h5") as ckpt:
        state = ckpt.state(lazy=True)
        assert state.resume.exactness is Exactness.APPROXIMATE
        if name == "plastic":
            assert "I_syn_ex" in str(state.populations["cells"].resume)


def test_attributes_have_the_shapes_of_the_model(folder):
    """Three time constants are three numbers per neuron; a weight that all share is one."""
    with ann_ckpt.open(folder / "several.h5") as ckpt:
        assert ckpt.populations["many"]["tau_syn"].shape == (10, 2)
        assert list(ckpt.projections) == [
            "cells_to_cells.static_synapse_hom_w",
            "cells_to_many.static_synapse.1",
            "cells_to_many.static_synapse.2",
        ]
        assert ckpt.projections["cells_to_cells.static_synapse_hom_w"]["w"].shape == ()
        assert ckpt.projections["cells_to_many.static_synapse.1"].n_synapses == 300
    with ann_ckpt.open(folder / "plastic.h5") as ckpt:
        assert ckpt.populations["cells"]["position"].shape == (40, 2)
        assert ckpt.populations["cells"].neuron_type.texts == {"copied from": "iaf_psc_exp"}
