"""Every old format read back: what these formats can hold comes back bit for bit."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import (
    Attribute,
    Connectivity,
    Locality,
    NetworkState,
    Part,
    PopulationState,
    ProjectionState,
    Recording,
    Series,
    differences,
)
from ann_ckpt.adapters.legacy import Container, detect, read, write
from ann_ckpt.adapters.legacy.sandbox.client import examine_isolated
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import CorruptFileError, NotWritableError, OptionError, StateError

FORMATS = {
    "net.data": Container.PICKLE,
    "net.txt.gz": Container.GZIP,
    "net.npz": Container.NPZ,
    "net.mat": Container.MAT,
}
KINDS = st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?"])
NAMES = ["pop", "in/out", "a.b", "pé ω", "../up", "x[0]", "with space", "name", "w:1", "trailing "]


@st.composite
def states(draw: st.DrawFn) -> NetworkState:
    """Networks that ANNarchy could have saved; two rows at least, as MATLAB has no plain numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = draw(st.permutations(NAMES))

    def some(shape: tuple[int, ...]) -> np.ndarray:
        kind = np.dtype(draw(KINDS))
        return np.asarray(rng.integers(0, 2 if kind.kind == "b" else 99, shape)).astype(kind)

    geometry = tuple(draw(st.lists(st.integers(2, 4), min_size=1, max_size=5)))
    pop = PopulationState(
        names[0], geometry, parameters={"tau": 10.5, "n": 3, "on": True}, variables={"r": some(geometry)}
    )
    ragged = draw(st.booleans())
    sizes = (
        rng.integers(1, 5, rng.integers(2, 6)) if ragged else np.full(rng.integers(2, 6), rng.integers(2, 5))
    )
    rows = [rng.permutation(9)[:size] for size in sizes]
    connectivity = Connectivity.from_rows(rng.permutation(9)[: len(rows)], rows)
    each = st.just(rng.integers(1, 30, connectivity.n_synapses).astype(np.int32))
    proj = ProjectionState(
        names[1],
        names[2],  # neither end is in the file, so that nothing is learnt about sizes
        names[3],
        draw(st.sampled_from(["exc", "inh"])),
        connectivity,
        delays=draw(st.integers(1, 9) | each),
        parameters={"eta": 0.25, "alpha": some((connectivity.n_rows,)).astype("f8")},
        variables={
            "w": rng.normal(size=connectivity.n_synapses),
            "x": rng.integers(-9, 9, connectivity.n_synapses),
        },
    )
    return NetworkState(populations={pop.name: pop}, projections={proj.name: proj}, time_step=40, dt=0.1)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=states())
def test_what_is_written_is_read_back(name: str, tmp_path: Path, state: NetworkState) -> None:
    report = write(Reading(state), tmp_path / name)
    assert report.skipped == ()
    assert detect(tmp_path / name) is FORMATS[name]
    assert list(differences(state, read(tmp_path / name, dt=0.1).state)) == []


def small(**changes: object) -> NetworkState:
    connectivity = Connectivity.from_rows([0, 3, 1], [[2, 0], [1], [0, 1, 2]])
    pop = PopulationState(
        "in", (2, 2), parameters={"tau": 10.0}, variables={"r": np.arange(4.0).reshape(2, 2)}
    )
    proj = ProjectionState(
        "ff", "in", "out", "exc", connectivity, delays=3, variables={"w": np.arange(6) / 4}
    )
    state = NetworkState(populations={"in": pop}, projections={"ff": proj}, time_step=7, dt=0.5)
    return replace(state, **changes)  # type: ignore[arg-type]


def test_python_reads_what_it_would_have_written(tmp_path: Path) -> None:
    """In the form of ANNarchy 5.0: what Python's own reader and numpy's make of it."""
    for name, opened in (("net.data", open), ("net.txt.gz", gzip.open)):
        write(Reading(small()), tmp_path / name)
        with opened(tmp_path / name, "rb") as file:
            found = pickle.load(file)
        assert found["time_step"] == 7
        assert found["obj_names"] == {"populations": ["in"], "projections": ["ff"]}
        assert found["in"]["geometry"] == (2, 2)
        assert found["in"]["r"].tolist() == [[0.0, 1.0], [2.0, 3.0]]
        assert found["ff"]["post_ranks"] == [0, 3, 1]
        assert found["ff"]["pre_ranks"].dtype == object
        assert found["ff"]["pre_ranks"].tolist() == [[2, 0], [1], [0, 1, 2]]
        assert found["ff"]["w"].tolist() == [[0.0, 0.25], [0.5], [0.75, 1.0, 1.25]]
        assert found["ff"]["delays"] == 1.5
    write(Reading(small()), tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=True) as archive:
        assert archive["ff"].item()["w"].tolist() == [[0.0, 0.25], [0.5], [0.75, 1.0, 1.25]]


def test_rows_of_equal_length_are_lists_beside_an_array_of_ranks(tmp_path: Path) -> None:
    connectivity = Connectivity.from_rows([0, 1], [[0, 1], [2, 3]])
    steps = np.array([1, 2, 3, 4], np.int32)
    proj = ProjectionState("ff", "a", "b", "exc", connectivity, delays=steps, variables={"w": np.arange(4.0)})
    write(Reading(small(projections={"ff": proj})), tmp_path / "net.data")
    found = pickle.loads((tmp_path / "net.data").read_bytes())["ff"]
    assert found["w"] == [[0.0, 1.0], [2.0, 3.0]]
    assert (found["pre_ranks"].dtype, found["pre_ranks"].tolist()) == (np.int64, [[0, 1], [2, 3]])
    assert found["delays"] == [[0.5, 1.0], [1.5, 2.0]]


def test_large_rows_are_written_in_blocks(tmp_path: Path) -> None:
    """More synapses than one block holds, rows longer than one batch, and rows without any."""
    sizes = [300_000, 0, 1, 2500, 200_000]
    rows = [np.arange(size) for size in sizes]
    connectivity = Connectivity.from_rows(range(5), rows)
    weights = np.random.default_rng(1).normal(size=sum(sizes))
    proj = ProjectionState("ff", "a", "b", "exc", connectivity, variables={"w": weights}, delays=1)
    state = NetworkState(projections={"ff": proj}, time_step=0, dt=1.0)
    write(Reading(state), tmp_path / "net.data")
    assert list(differences(state, read(tmp_path / "net.data", dt=1.0).state)) == []
    assert [len(row) for row in pickle.loads((tmp_path / "net.data").read_bytes())["ff"]["w"]] == sizes


def test_what_has_no_place_is_in_the_report(tmp_path: Path) -> None:
    state = small(constants={"gain": 1.5}, seed=3, metadata={"who": "me"})
    notes = [str(note) for note in write(Reading(state), tmp_path / "net.npz").skipped]
    assert [note.split(" cannot")[0] for note in notes] == ["constants", "the seed", "metadata"]


@pytest.mark.parametrize("name", FORMATS)
def test_views_recordings_and_new_seeds_are_in_the_report(name: str, tmp_path: Path) -> None:
    (ff,) = small().projections.values()
    pop = PopulationState("p", (2,), variables={"r": np.zeros(2)})
    monitor = Recording("m", of="populations/p", series={"r": Series(times=[0, 1], values=np.zeros((2, 2)))})
    for change in ({"pre_view": [0, 1]}, {"post_view": [0, 1]}):
        state = small(
            populations=[pop], projections=[replace(ff, **change)], recordings=[monitor], reseeded=3
        )
        said = " ".join(str(note) for note in write(Reading(state), tmp_path / name).skipped)
        for what in ("which neurons its views select", "recordings", "random generators began anew"):
            assert f"{what} cannot be stored" in said


@pytest.mark.parametrize("name", FORMATS)
def test_parts_are_refused(name: str, tmp_path: Path) -> None:
    (ff,) = small().projections.values()
    pop = PopulationState("p", (2,), variables={"r": np.zeros(2)}, part=Part(2, 10))
    with pytest.raises(StateError, match="of projection 'ff' only some dendrites are here"):
        write(Reading(small(projections=[replace(ff, partial=True)])), tmp_path / name)
    with pytest.raises(StateError, match="of population 'p' only a part is here"):
        write(Reading(small(populations=[pop])), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_the_largest_integers_are_read_back(name: str, tmp_path: Path) -> None:
    most = 2**64 - 1
    rows = Connectivity.from_rows([0, 1], [[0, 1], [1, 0]])
    ragged = Connectivity.from_rows([0, 1], [[0, 1, 2], [1]])
    state = NetworkState(
        populations=[PopulationState("p", (3,), parameters={"seed": most})],
        projections=[
            ProjectionState(
                "even", "p", "p", "exc", rows, delays=1, variables={"n": np.array([most, 1, 0, 2], "u8")}
            ),
            ProjectionState(
                "odd", "p", "p", "exc", ragged, delays=1, variables={"n": np.array([most, 1, 2, 3], "u8")}
            ),
            ProjectionState(
                "each",
                "p",
                "p",
                "exc",
                rows,
                delays=1,
                variables={"n": Attribute(np.array([1, most], "u8"), Locality.SEMIGLOBAL)},
            ),
        ],
        dt=1.0,
        time_step=0,
    )
    write(Reading(state), tmp_path / name)
    found = read(tmp_path / name, dt=1.0).state
    assert found.populations["p"]["seed"] == most
    for projection, before in state.projections.items():
        after = np.asarray(found.projections[projection]["n"])
        assert after.dtype == np.uint64
        assert after.tolist() == np.asarray(before["n"]).tolist()


@pytest.mark.parametrize("numbers", [[-1, 2**64 - 1], [2**64, 1]])
def test_integers_of_no_common_type_are_refused(numbers: list[int], tmp_path: Path) -> None:
    for value in (numbers, [[numbers[0]], [numbers[1], 0]]):
        (tmp_path / "x.data").write_bytes(pickle.dumps({"post_ranks": value, "pre_ranks": value}))
        with pytest.raises(CorruptFileError):
            read(tmp_path / "x.data")


@pytest.mark.parametrize("name", FORMATS)
def test_dendrites_without_synapses(name: str, tmp_path: Path) -> None:
    rows = Connectivity.from_rows([0, 1, 2], [[], [], []])
    ff = ProjectionState("ff", "p", "q", "exc", rows, delays=1, variables={"w": np.empty(0)})
    write(Reading(NetworkState(projections=[ff], dt=1.0, time_step=0)), tmp_path / name)
    assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize("name", FORMATS)
def test_values_of_unknown_places_may_have_any_shape(name: str, tmp_path: Path) -> None:
    (ff,) = small().projections.values()
    values = np.arange(6.0).reshape(2, 3)
    odd = replace(ff, parameters={"table": Attribute(values, Locality.UNKNOWN)})
    write(Reading(small(projections=[odd])), tmp_path / name)
    assert (tmp_path / name).stat().st_size


def test_a_name_that_an_archive_cannot_hold_is_refused(tmp_path: Path) -> None:
    for length, said in ((65_531, None), (65_532, "a name of 65532 bytes")):
        state = small(populations=[PopulationState("n" * length, (2,), variables={"r": np.zeros(2)})])
        if said is None:
            write(Reading(state), tmp_path / "net.npz")
            continue
        (tmp_path / "net.npz").unlink()
        with pytest.raises(StateError, match=said):
            write(Reading(state), tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dt", [10**400, "1", -1.0, 0, float("nan"), float("inf"), [1.0]])
def test_a_step_that_has_no_length_is_refused(dt: object, tmp_path: Path) -> None:
    write(Reading(small()), tmp_path / "net.data")
    for call in (read, ann_ckpt.read, examine_isolated):
        with pytest.raises(OptionError, match="is not a valid time step"):
            call(tmp_path / "net.data", dt=dt)


@pytest.mark.parametrize("dt", [np.float32(0.5), np.int64(1), 1])
def test_a_step_may_be_any_number(dt: object, tmp_path: Path) -> None:
    write(Reading(small()), tmp_path / "net.data")
    assert ann_ckpt.read(tmp_path / "net.data", dt=dt).dt == dt
    assert examine_isolated(tmp_path / "net.data", dt=dt).reading.state.dt == dt


def test_an_encoding_is_a_text(tmp_path: Path) -> None:
    write(Reading(small()), tmp_path / "net.data")
    with pytest.raises(OptionError, match="encoding="):
        read(tmp_path / "net.data", encoding=5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dt": None}, "dt is not known"),
        ({"populations": {"ff": PopulationState("ff", (2,))}}, "both called 'ff'"),
        (
            {"populations": {"time_step": PopulationState("time_step", (2,))}},
            "an object is called 'time_step'",
        ),
        (
            {"populations": {"p": PopulationState("p", (2,), variables={"size": 1.0})}},
            "attribute called 'size'",
        ),
    ],
)
def test_what_these_formats_cannot_hold_is_refused(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.data"
    path.write_bytes(b"the old file")
    with pytest.raises(StateError, match=said):
        write(Reading(small(**changes)), path)
    assert path.read_bytes() == b"the old file"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_made_and_one_below_a_file_is_not(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "net.data"
    write(Reading(small()), target)
    before = target.read_bytes()
    with pytest.raises(NotWritableError):
        write(Reading(small()), target / "net.data")
    assert target.read_bytes() == before


def test_names_that_matlab_does_not_know(tmp_path: Path) -> None:
    pops = {name: PopulationState(name, (2,)) for name in ["a b", "a.b", "1st", "pé ω", "_x", "n" * 80]}
    state = NetworkState(populations=pops, time_step=0)
    write(Reading(state), tmp_path / "net.mat")
    assert list(read(tmp_path / "net.mat").state.populations) == list(pops)
    odd = NetworkState(populations={"p": PopulationState("p", (2,), variables={"2bad": 1.0})}, time_step=0)
    with pytest.raises(StateError, match="not a valid MATLAB name"):
        write(Reading(odd), tmp_path / "odd.mat")


def test_archives_do_not_depend_on_the_clock(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz", "a.txt.gz", "b.txt.gz"):
        write(Reading(small()), tmp_path / name)
    for suffix in ("npz", "txt.gz"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None


def test_octave_reads_names_and_values(tmp_path: Path) -> None:
    pop = PopulationState("pé ω→", (2, 2), variables={"r": np.array([[1.5, 2.5], [3.5, 4.5]])})
    write(Reading(small(populations={pop.name: pop})), tmp_path / "net.mat")
    code = (
        "s=load('net.mat'); k=fieldnames(s){3};"
        "printf('%s|%g|%g|%g', s.(k).name, s.(k).r(1,2), s.ff.w{3}(2), s.time_step)"
    )
    done = subprocess.run(
        ["octave-cli", "--eval", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "pé ω→|2.5|1|7"


def test_values_that_are_arrays_are_refused_and_an_order_is_left_out_with_a_note(tmp_path):
    synapses = Connectivity.from_rows([0], [[0, 1]])

    def state(**changes):
        ff = ProjectionState("ff", "p", "p", "exc", synapses, delays=1, **changes)
        population = PopulationState("p", (2,), variables={"r": np.zeros(2)})
        return NetworkState(populations=[population], projections=[ff], dt=1.0, time_step=0)

    with pytest.raises(StateError, match="values of 'x' of 'ff' are arrays"):
        ann_ckpt.save(tmp_path / "net.npz", network=state(variables={"x": np.zeros((2, 3))}))
    assert not list(tmp_path.iterdir())
    kept = state(variables={"w": np.ones(2)}, order=[1, 0], pathway_delays={"post": 0.5})
    notes = " ".join(str(note) for note in ann_ckpt.save(tmp_path / "net.npz", network=kept).skipped)
    assert "the order of synapses cannot be stored" in notes
    assert "delays of pathways cannot be stored" in notes
