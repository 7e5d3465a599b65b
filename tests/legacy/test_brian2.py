"""Files that Brian2 stored: every version's is read as it was written, and damaged ones are refused.

``brian2/make.py`` wrote them. What is in them tells Python's own unpickler, which is only used here.
"""

import gzip
import pickle
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt.adapters import formats
from ann_ckpt.adapters.brian2.mapping import twister_state
from ann_ckpt.adapters.legacy import brian2
from ann_ckpt.errors import CorruptFileError, OptionError, UnrecognisedFileError, UnsafeFileError
from ann_ckpt.model import Exactness, Locality

FILES = sorted(Path(__file__).with_name("brian2").glob("*.pkl.gz"))
NAMES = [file.name.removesuffix(".pkl.gz") for file in FILES]
SAID = {
    "2.5": "2.9 or earlier",
    "2.6": "2.9 or earlier",
    "2.7": "2.7 to 2.9",
    "2.8": "2.7 to 2.9",
    "2.9": "2.7 to 2.9",
    "2.10": "2.10",
    "2.11": "2.11",
}
NEWEST = FILES[NAMES.index("stored-2.11")]


@pytest.fixture(params=FILES, ids=NAMES)
def stored(request, tmp_path):
    path = tmp_path / f"{request.param.name.removesuffix('.gz')}"
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return path


@pytest.fixture
def newest(tmp_path):
    path = tmp_path / "newest.pkl"
    path.write_bytes(gzip.decompress(NEWEST.read_bytes()))
    return path


@pytest.fixture(scope="module")
def content():
    return pickle.loads(gzip.decompress(NEWEST.read_bytes()))


def changed(path, content, *way, to):
    """Write a file in which something of the last snapshot is another thing."""
    content = pickle.loads(pickle.dumps(content))
    *parents, last = ("default", *way)
    place = content
    for key in parents:
        place = place[key]
    if to is None:
        del place[last]
    else:
        place[last] = to
    path.write_bytes(pickle.dumps(content, protocol=5))
    return path


def unpickled(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy 1 had its functions elsewhere
        return pickle.loads(path.read_bytes())


def version(path):
    return path.name.split("-")[1].removesuffix(".pkl")


def test_every_version_of_the_table_has_a_file():
    assert {name.split("-")[1] for name in NAMES} == SAID.keys()


def test_it_is_told_whose_it_is_and_from_when(stored):
    assert formats.format_of(stored) is formats.BRIAN2
    found = brian2.examine(stored)
    assert (found.program, found.kind, found.container) == ("Brian2", "network", "pickle")
    assert found.versions == SAID[version(stored)]
    assert list(found.snapshots) == ["new", "early", "default"]
    assert [r.state.time_step for r in found.snapshots.values()] == [0, 50, 103]


def test_every_array_is_in_the_state(stored):
    raw = unpickled(stored)
    for name, reading in brian2.examine(stored).snapshots.items():
        state, there = reading.state, raw[name]
        assert state.dt == pytest.approx(0.1)
        clock = there["defaultclock"]
        assert state.dynamics["t.rest"] == there["0_t"] - clock["timestep"][0][0] * clock["dt"][0][0]
        twister = twister_state(state.dynamics)
        assert all(map(np.array_equal, twister, there["_random_generator_state"]["numpy_state"]))
        assert state.populations.keys() == {"cells", "noise", "given", "one"}
        for population in state.populations.values():
            arrays = dict(there[population.name])
            assert population.size == arrays.pop("i")[1]
            held = {n: np.asarray(population[n]) for n in population} | dict(population.dynamics)
            assert held.keys() == arrays.keys()
            for key, value in arrays.items():
                values = (
                    value[0] if isinstance(value, tuple) else np.asarray(np.nan if value is None else value)
                )
                assert held[key].dtype == values.dtype
                assert np.array_equal(
                    held[key].reshape(-1), values.reshape(-1), equal_nan=values.dtype.kind == "f"
                )


def test_synapses_stand_in_rows_and_keep_their_order(stored):
    raw = unpickled(stored)["default"]
    state = brian2.examine(stored).reading.state
    assert state.projections.keys() == {"ff", "drive"}
    for projection in state.projections.values():
        there, order = raw[projection.name], projection.order
        post = np.repeat(projection.post_ranks, projection.connectivity.row_sizes)
        assert np.array_equal(np.asarray(projection.pre_ranks)[order], there["_synaptic_pre"][0])
        assert np.array_equal(post[order], there["_synaptic_post"][0])
        for name in projection:
            assert np.array_equal(np.asarray(projection[name])[order], there[name][0])
    assert set(state.projections["ff"]) == {"w", "apre", "apost", "lastupdate"}


def test_spikes_under_way_begin_now(stored):
    raw = unpickled(stored)["default"]["ff_pre"]["_spikequeue"]
    dynamics = brian2.examine(stored).reading.state.projections["ff"].dynamics
    bounds = np.cumsum([0, *dynamics["pre.queue.sizes"]])
    slots = [dynamics["pre.queue"][a:b].tolist() for a, b in pairwise(bounds)]
    if len(raw) == 2:
        now, there = raw
        assert slots == [there[(now + step) % len(there)] for step in range(len(there))]
    else:
        _, pairs, (length, _) = raw
        assert slots == [[s for t, s in pairs.tolist() if t == step] for step in range(length)]
    assert sum(map(len, slots)) > 0


def test_what_it_does_not_hold_is_said(stored):
    found = brian2.examine(stored)
    state, texts = found.reading.state, " ".join(map(str, found.notes))
    assert "units, equations and code" in texts
    assert "monitors/spikes" in texts
    assert "monitors/trace" in texts
    delays = SAID[version(stored)] in ("2.10", "2.11")
    for projection in state.projections.values():
        assert (projection.resume.exactness is Exactness.EXACT) is delays
        assert (f"projections/{projection.name}: has no delays" in texts) is not delays
        assert bool(projection.pathway_delays) is delays
    assert (state.resume.exactness is Exactness.EXACT) is ("cython" not in stored.name)


def test_delays_are_in_seconds_and_in_steps(newest):
    raw = unpickled(newest)["default"]
    projections = brian2.examine(newest).reading.state.projections
    ff, drive = projections["ff"], projections["drive"]
    seconds = raw["ff_pre"]["delay"][0]
    assert np.array_equal(ff.pathway_delays["pre"][ff.order], seconds)
    assert np.array_equal(ff.delays[ff.order], np.floor(seconds / 1e-4 + 0.5))
    assert (float(drive.pathway_delays["pre"]), drive.delays) == (0.002, 20)


def test_of_a_single_neuron_it_is_not_known_whether_a_value_is_shared(newest):
    one = brian2.examine(newest).reading.state.populations["one"]
    assert {one.attribute(name).locality for name in one} == {Locality.UNKNOWN}


@pytest.mark.parametrize("isolate", [True, False])
def test_a_store_takes_every_snapshot(newest, tmp_path, isolate):
    report = ann_ckpt.convert(newest, tmp_path / "run.ckpt", isolate=isolate)
    assert report.snapshots == ("new", "early", "default")
    assert "in 3 snapshots" in report.headline()
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt") as store:
        assert [(c.time_step, c.tag) for c in store] == [(0, "new"), (50, "early"), (103, "default")]
        for checkpoint, reading in zip(store, brian2.examine(newest).snapshots.values(), strict=True):
            state = checkpoint.state()
            assert state.metadata["converted_from"]["snapshot"] == checkpoint.tag
            assert set(ann_ckpt.differences(state, reading.state)) == {"metadata"}


def test_one_file_takes_one_snapshot(newest, tmp_path):
    target = tmp_path / "net.h5"
    with pytest.raises(OptionError, match="several snapshots") as caught:
        ann_ckpt.convert(newest, target, isolate=False)
    assert caught.value.details["stored"] == "new, early, default"
    assert not target.exists()
    with pytest.raises(OptionError, match="no snapshot 'late'"):
        ann_ckpt.convert(newest, target, snapshot="late", isolate=False)
    report = ann_ckpt.convert(newest, target, snapshot="early", isolate=False)
    assert report.snapshots == ("early",)
    assert ann_ckpt.read(target).time_step == 50
    ann_ckpt.convert(newest, tmp_path / "run.ckpt@mine", snapshot="early", isolate=False)
    assert ann_ckpt.read(tmp_path / "run.ckpt@mine").time_step == 50


def test_a_name_that_is_no_tag_is_kept_beside_the_network(newest, content, tmp_path):
    newest.write_bytes(pickle.dumps({"at@noon": content["early"]}, protocol=5))
    ann_ckpt.convert(newest, tmp_path / "run.ckpt", isolate=False)
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt") as store:
        assert store.latest.tag is None
        assert store.latest.metadata["converted_from"]["snapshot"] == "at@noon"


def test_info_lists_the_snapshots(newest, tmp_path):
    from click.testing import CliRunner

    from ann_ckpt.cli.main import cli

    page = CliRunner().invoke(cli, ["info", str(newest)]).stdout
    assert "Brian2 2.11" in page
    assert "early, 50 steps of 0.1 ms" in page
    done = CliRunner().invoke(cli, ["convert", str(newest), str(tmp_path / "x.h5"), "--snapshot", "new"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("way", "to", "said"),
    [
        (("ff", "w"), (np.zeros(3), 3), "has 3 values of w"),
        (("ff", "w"), (np.zeros((2, 2)), 4), "w is a list"),
        (("cells", "v"), (np.zeros(4), 4), "has 4 values of v, and is 5 large"),
        (("cells", "v"), (np.zeros(5), 4), "v is a list; expected a flat array and its size"),
        (("cells", "v"), 7, "v is 7"),
        (("cells",), 7, "cells is 7; expected arrays by name"),
        (("ff", "_synaptic_post"), (np.array([1 << 30], np.int32), 1), "does not count"),
        (("ff", "_synaptic_pre"), (np.array([-1], np.int32), 1), "does not count"),
        (("ff", "_synaptic_pre"), (np.array([0], np.int32), 1), "where synapses begin"),
        (("ff", "N_incoming"), None, "N_incoming is nothing"),
        (("ff_pre", "_spikequeue"), (0, [[1 << 20]]), "that it does not have"),
        (("ff_pre", "_spikequeue"), (0, [[1 << 40]]), "that it does not have"),
        (("ff_pre", "_spikequeue"), (3, [[1], [2]]), "no form that Brian2 stores"),
        (("ff_pre", "_spikequeue"), (0, [["a"]]), "no form that Brian2 stores"),
        (("ff_pre", "_spikequeue"), "spikes", "no form that Brian2 stores"),
        (("ff_pre", "_spikequeue"), (1e-4, np.zeros((1, 2), int), (1 << 40, 1)), "no form"),
        (("ff_pre", "_spikequeue"), (1e-4, np.array([[5, 0]]), (2, 1)), "no form that Brian2 stores"),
        (("ff_pre", "delay"), (np.array([0.0, 1.0]), 2), "2 delays"),
        (("ff_pre", "delay"), (np.array([np.nan]), 1), "delays from nan"),
        (("ff_pre", "delay"), (np.array([1e9]), 1), "delays of up to"),
        (("ff_pre", "delay"), (np.array([-1.0]), 1), "delays from -1.0"),
        (("given", "_previous_dt"), "soon", "_previous_dt is a text"),
        (("defaultclock", "dt"), (np.array([np.inf]), 1), "dt of defaultclock is inf"),
        (("defaultclock", "timestep"), (np.array([-1]), 1), "the time step"),
        (("0_t",), 1.0, "the network is at 1.0 s, and its clock at step 103"),
        (("0_t",), -1.0, "the time of the network is -1.0"),
        (("0_t",), [1.0, 2.0], "the time of the network is"),
        (("_random_generator_state",), 3, "the random numbers are 3"),
        (("_random_generator_state", "numpy_state"), ("PCG64", 1), "as numpy has none"),
        (("_random_generator_state", "numpy_state"), ("MT19937", np.zeros(3, "u4"), 0, 0, 0.0), "has none"),
        (("_random_generator_state", "numpy_state"), ("MT19937", np.zeros(624, "u4"), 625, 0, 0.0), "none"),
        (("_random_generator_state", "rand_buffer"), np.zeros(7), "expected 20000 numbers"),
        (("_random_generator_state", "rand_buffer_index"), np.array([-1]), "rand_buffer is"),
    ],
)
def test_contradictions_are_refused_with_the_place(newest, content, way, to, said):
    changed(newest, content, *way, to=to)
    with pytest.raises(CorruptFileError, match=said) as caught:
        brian2.examine(newest)
    assert str(newest) in str(caught.value)
    assert caught.value.details["snapshot"] == "default"


def test_a_queue_takes_no_more_steps_than_the_file_has_bytes_for(newest, content):
    queue = (1e-4, np.empty((0, 2), int), (1 << 20, 1))
    more = {f"ff_more{n}": {"_spikequeue": queue} for n in range(3)}
    changed(newest, {"default": content["default"] | more}, "ff_pre", "_spikequeue", to=queue)
    with pytest.raises(UnsafeFileError, match="expand") as caught:
        brian2.examine(newest)
    assert str(newest) in str(caught.value)


def test_what_belongs_to_nobody_is_left_out_and_said(newest, content):
    changed(newest, content, "stranger", to={"x": (np.zeros(2), 2)})
    assert "stranger: belongs to no group" in " ".join(map(str, brian2.examine(newest).notes))


def test_other_clocks_are_said_and_delays_are_then_in_seconds_only(newest, content):
    clock = {"timestep": (np.array([3]), 1), "t": (np.array([0.0]), 1), "dt": (np.array([0.5e-3]), 1)}
    found = brian2.examine(changed(newest, content, "noise_clock", to=clock))
    assert "noise_clock: a clock with steps of 0.5 ms" in " ".join(map(str, found.notes))
    projection = found.reading.state.projections["ff"]
    assert projection.delays is None
    assert projection.pathway_delays["pre"].size > 1
    del clock["dt"]
    found = brian2.examine(changed(newest, content, "event_clock", to={**clock, "times": (np.ones(2), 2)}))
    assert "times of its own" in " ".join(map(str, found.notes))
    found = brian2.examine(changed(newest, content, "defaultclock", to=None))
    assert (found.reading.state.dt, found.reading.state.time_step) == (None, None)  # a monitor's is left
    changed(newest, content, "_random_generator_state", to=None)
    assert brian2.examine(newest).reading.state.resume.exactness is Exactness.APPROXIMATE


def test_an_integrator_that_has_arrays_is_carried_by_its_group(newest, content):
    part = {"_invr": (np.arange(3.0), 3), "_gtot_idx": (np.arange(3), 3)}
    found = brian2.examine(changed(newest, content, "cells_stateupdater", to=part)).reading.state
    carried = found.populations["cells"].dynamics
    assert carried["stateupdater._invr"].tolist() == [0.0, 1.0, 2.0]
    assert "stateupdater._gtot_idx" not in carried


class _Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit",)


def test_nothing_in_it_is_run(newest, content):
    changed(newest, content, "cells", "v", to=_Evil())
    assert formats.format_of(newest) is formats.BRIAN2
    for isolate in (True, False):
        with pytest.raises(UnsafeFileError, match=r"refers to builtins\.exec"):
            ann_ckpt.convert(newest, newest.with_suffix(".h5"), isolate=isolate)


def test_what_only_begins_like_it_is_none(newest, content):
    newest.write_bytes(pickle.dumps({"a": {"b": {"c": 1}}}, protocol=5))
    with pytest.raises(UnrecognisedFileError, match="other things than snapshots"):
        ann_ckpt.convert(newest, newest.with_suffix(".h5"), isolate=False)
    newest.write_bytes(pickle.dumps({**content, "more": {"b": {"c": 1}}}, protocol=5))
    with pytest.raises(UnrecognisedFileError):
        brian2.examine(newest)
    for other in ({}, {"a": {}}, {"a": {"parameter": {"tau": 1.0}}}, {1: {"b": {"c": 1}}}, [1], "text"):
        newest.write_bytes(pickle.dumps(other, protocol=5))
        assert brian2.detect(newest) is None
    newest.write_bytes(b"\x80")
    assert brian2.detect(newest) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_our_words(newest, data):
    genuine = gzip.decompress(FILES[NAMES.index("stored-2.9")].read_bytes())
    place = data.draw(st.integers(0, len(genuine) - 1))
    if data.draw(st.booleans()):
        newest.write_bytes(genuine[:place])
        with pytest.raises((UnsafeFileError, CorruptFileError)):
            brian2.examine(newest)
        return
    byte = data.draw(st.integers(0, 255))
    newest.write_bytes(genuine[:place] + bytes([byte]) + genuine[place + 1 :])
    try:
        brian2.examine(newest)
    except (UnsafeFileError, CorruptFileError) as error:
        assert "unexpectedly" not in str(error)  # noqa: PT017 (most bytes may be any)
