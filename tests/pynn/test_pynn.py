"""Networks of PyNN, saved and made anew on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import ann_ckpt
import ann_ckpt.pynn
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import MismatchError, OptionError, SimulatorError
from ann_ckpt.model import Exactness
from tests.pynn.conftest import SIMULATORS, prepare
from tests.pynn.networks import NETWORKS, balanced, listed, small


def alike(there, here):
    """Everything is where it was; units are converted there and back, which may cost a last bit."""
    for group in ("populations", "projections"):
        assert list(getattr(there, group)) == list(getattr(here, group))
        for a, b in zip(getattr(there, group).values(), getattr(here, group).values(), strict=True):
            unread = {"spike_times"} if here.metadata["pynn"]["backend"] == "pyNN.brian2" else set()
            unread |= {"spike_times"} if there.metadata["pynn"]["backend"] == "pyNN.brian2" else set()
            assert set(a) - unread == set(b) - unread
            for name in set(a) & set(b):
                np.testing.assert_allclose(np.asarray(a[name]), np.asarray(b[name]), rtol=1e-12, err_msg=name)
    for a, b in zip(there.projections.values(), here.projections.values(), strict=True):
        assert a.connectivity.equals(b.connectivity)
        assert np.array_equal(a.delays, b.delays)
        assert (a.pre, a.post, a.target) == (b.pre, b.post, b.target)
    assert here.metadata["pynn"]["synapses"] == there.metadata["pynn"]["synapses"]


def state(network):
    return simulator_for(network).read().state


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_made_anew_on_each_backend(sim, others, name, tmp_path):
    """On the one that wrote the file, and on the others."""
    network = NETWORKS[name](sim)
    network.simulate(2.0)
    report = ann_ckpt.save(tmp_path / "net.h5", network=network)
    assert "PyNN does not show state variables; they are not saved" in [note.text for note in report.skipped]
    there = ann_ckpt.read(tmp_path / "net.h5")
    assert there.time_step == 20
    objects = [there, *there.populations.values(), *there.projections.values()]
    assert all(one.resume.exactness is Exactness.APPROXIMATE for one in objects)
    if (
        name == "plastic"
    ):  # delays belong to the axon in Brian2's synapses that learn, and not in those of NEST
        with pytest.raises(SimulatorError, match="cannot make this network"):
            brian2, nest = SIMULATORS["brian2"], SIMULATORS["nest"]
            ann_ckpt.pynn.build(tmp_path / "net.h5", nest if sim is brian2 else brian2)
        others = []
    for backend in (None, *others):
        made = ann_ckpt.pynn.build(tmp_path / "net.h5", backend)
        assert made.sim is (backend or sim)
        alike(there, state(made))
        made.simulate(1.0)
        assert abs(made.time - 1.0) < 1e-9


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_is_loaded_into_the_network_of_the_script(sim, name, tmp_path):
    """Only what differs is set, and the same synapses are needed."""
    network = NETWORKS[name](sim)
    for projection in network.projections.values():
        projection.set(weight=0.7 * projection.get("weight", format="array"))
    for population in network.populations.values():
        if "v_rest" in population.celltype.get_parameter_names():
            population.set(v_rest=np.linspace(-70.0, -69.0, population.size))
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    there = state(network).in_memory()
    prepare(sim)
    network = NETWORKS[name](sim)
    report = ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert not report.problems, report
    alike(there, state(network))


def test_synapses_of_another_network_are_refused_and_nothing_changes(sim, tmp_path):
    ann_ckpt.save(tmp_path / "net.h5", network=balanced(sim))
    prepare(sim)
    network = balanced(sim, seed=5)
    before = state(network).in_memory()
    with pytest.raises(MismatchError, match=r"ann_ckpt\.pynn\.build makes the network anew"):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    alike(before, state(network))


def test_views_are_parts_of_their_populations(tmp_path):
    """Ranks in files are those of populations; only NEST and NEURON take matrices for views."""
    for sim in (SIMULATORS["nest"], SIMULATORS["neuron"]):
        prepare(sim)
        cells = sim.Population(9, sim.IF_cond_exp())
        made = listed(sim, cells[2:8], cells[np.array([1, 4, 5])], 0.8, 0.01, 3)
        network = ann_ckpt.pynn.network(sim, {"cells": cells}, {"part": made})
        part = state(network).projections["part"]
        assert set(part.connectivity.post_ranks.tolist()) == {1, 4, 5}
        assert set(part.connectivity.pre_ranks.tolist()) <= set(range(2, 8))
        ann_ckpt.save(tmp_path / "net.h5", network=network)
        there = state(network).in_memory()
        made.set(weight=0.5)
        ann_ckpt.load(tmp_path / "net.h5", network=network)
        alike(there, state(network))
        alike(there, state(ann_ckpt.pynn.build(tmp_path / "net.h5")))


def test_several_synapses_between_two_neurons(tmp_path):
    """They are saved and made one by one; PyNN sets one weight for all of them."""
    sim = SIMULATORS["nest"]
    prepare(sim)
    cells = sim.Population(3, sim.IF_curr_exp())
    table = [(0, 1, 0.1, 1.0), (0, 1, 0.2, 2.0), (0, 1, 0.3, 1.0), (2, 1, 0.4, 0.5)]
    made = sim.Projection(cells, cells, sim.FromListConnector(table, column_names=("weight", "delay")))
    network = ann_ckpt.pynn.network(sim, {"cells": cells}, {"many": made})
    there = state(network).in_memory()
    assert there.projections["many"].n_synapses == 4
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    ann_ckpt.load(tmp_path / "net.h5", network=network)
    made.set(weight=0.7)
    changed = state(network).in_memory()
    with pytest.raises(MismatchError, match="PyNN sets one for all of them"):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    alike(changed, state(network))
    alike(there, state(ann_ckpt.pynn.build(tmp_path / "net.h5")))
    prepare(sim)  # in whatever order they were made, they stand in that of delays and weights
    cells = sim.Population(3, sim.IF_curr_exp())
    made = sim.Projection(cells, cells, sim.FromListConnector(table[::-1], column_names=("weight", "delay")))
    alike(there, state(ann_ckpt.pynn.network(sim, {"cells": cells}, {"many": made})))


def test_what_the_backend_refuses_changes_nothing(tmp_path):
    """NEST has no reset above the threshold."""
    sim = SIMULATORS["neuron"]
    prepare(sim)
    network = small(sim)
    network.populations["cells"].set(v_reset=-40.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    nest = SIMULATORS["nest"]
    prepare(nest)
    network = small(nest)
    before = state(network).in_memory()
    with pytest.raises(MismatchError, match="refuses the values"):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    alike(before, state(network))
    with pytest.raises(SimulatorError, match="cannot make this network"):
        ann_ckpt.pynn.build(tmp_path / "net.h5", nest)


def test_what_begins_with_drawn_values_is_not_saved_and_told(tmp_path):
    """PyNN would draw others."""
    sim = SIMULATORS["nest"]
    prepare(sim)
    cells = sim.Population(5, sim.IF_curr_exp())
    cells.initialize(v=sim.RandomDistribution("uniform", (-70.0, -60.0)))
    network = ann_ckpt.pynn.network(sim, {"cells": cells})
    report = ann_ckpt.save(tmp_path / "net.h5", network=network)
    assert "not saved: what v begins with, which was drawn" in [note.text for note in report.skipped]
    assert "initial.v" not in ann_ckpt.read(tmp_path / "net.h5").populations["cells"]


def test_files_that_no_backend_can_make(tmp_path):
    """A model that there is not, a backend that there is not, a file of something else."""
    sim = SIMULATORS["nest"]
    prepare(sim)
    whole = state(small(sim)).in_memory()
    about = whole.metadata["pynn"]
    cells = whole.populations["cells"]

    def tried(changed, words, backend=None):
        ann_ckpt.write(changed, tmp_path / "net.h5")
        with pytest.raises(SimulatorError, match=words):
            ann_ckpt.pynn.build(tmp_path / "net.h5", backend)

    from dataclasses import replace

    for name in ("IF_unknown", "setup", "nest"):
        other = replace(cells, neuron_type=replace(cells.neuron_type, name=name))
        tried(replace(whole, populations={**whole.populations, "cells": other}), "no standard model")
    tried(replace(whole, metadata={"pynn": {**about, "backend": "os"}}), "is of the backend 'os'")
    tried(replace(whole, metadata={}), "does not say of which models", sim)
    wrong = {**about, "synapses": {"given": {"class": "StaticSynapse", "parameters": {"weigth": 1.0}}}}
    tried(replace(whole, metadata={"pynn": wrong}), "cannot make this network")


def test_names_that_make_no_sense_are_refused():
    sim = SIMULATORS["nest"]
    prepare(sim)
    network = small(sim)
    given = network.projections["given"]
    cells = network.populations["cells"]
    for populations, projections, words in (
        ({**network.populations, "same": cells}, {}, "'cells' and 'same' are the same Population"),
        (network.populations, {"a": given, "b": given}, "'a' and 'b' are the same Projection"),
        ({"part": cells[2:4]}, {}, "name the whole population"),
        ({"all": sim.Assembly(cells)}, {}, "no Population of pyNN.nest"),
        ({1: cells}, {}, "the name 1 is of the type int, not str"),
        ([cells], {}, "takes a mapping of names to Populations, not a list"),
        ({"cells": network.populations["cells"]}, {"given": given}, "which has no name here"),
        ({"cells": given}, {}, "no Population of pyNN.nest"),
        (network.populations, {"given": 3}, "no Projection of pyNN.nest"),
    ):
        with pytest.raises(OptionError, match=words):
            ann_ckpt.pynn.network(sim, populations, projections)
    with pytest.raises(OptionError, match=r"no Population of pyNN\.neuron"):
        ann_ckpt.pynn.network(SIMULATORS["neuron"], network.populations)
    for wrong in ("pyNN.nest", {"cells": cells}, np):
        with pytest.raises(OptionError, match="takes a backend of PyNN"):
            ann_ckpt.pynn.network(wrong, network.populations)
        with pytest.raises(OptionError, match="takes a backend of PyNN"):
            ann_ckpt.pynn.build("no-such.h5", wrong)
    for wrong in ("a", np.nan, np.inf, -1.0):
        with pytest.raises(OptionError, match="duration= takes a number of ms"):
            network.simulate(wrong)


def test_a_network_from_before_another_setup_is_refused(sim, tmp_path):
    """The numbers of its neurons are those of others by now, whose values nobody asked for."""
    network = small(sim)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    simulator = simulator_for(network)
    prepare(sim)
    other = small(sim, seed=5)
    before = state(other).in_memory()
    cells = network.populations["cells"]
    for call in (
        lambda: ann_ckpt.save(tmp_path / "other.h5", network=network),
        lambda: ann_ckpt.load(tmp_path / "net.h5", network=network),
        lambda: network.simulate(1.0),
        lambda: network.step,
        lambda: network.time,
        simulator.read,
        simulator.clock,
        lambda: simulator.set_population_attribute("cells", "tau_m", np.full(cells.size, 7.0)),
        lambda: ann_ckpt.pynn.network(sim, network.populations, network.projections),
        lambda: ann_ckpt.pynn.network(sim, {**other.populations, "old": cells}),
    ):
        with pytest.raises(SimulatorError, match="was set up anew"):
            call()
    assert not (tmp_path / "other.h5").exists()
    alike(before, state(other))
