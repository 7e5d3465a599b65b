"""What pictures show of arrays: all of it while it fits, else a sample that says so, and reads no more."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, PopulationState, ProjectionState, Recording, Series, plot
from ann_ckpt.diffing.pictures import changes
from ann_ckpt.errors import ConnectivityError, NotFoundError, OptionError
from ann_ckpt.format.layout import escape
from ann_ckpt.looking import choice, values, wiring
from ann_ckpt.looking.pictures import Bars, Curve, Grid, Picture, Points
from ann_ckpt.looking.sampling import Sample, paired, sample, synapses
from ann_ckpt.looking.svg import palette, svg, ticks
from ann_ckpt.looking.text import drawn
from ann_ckpt.page.report import report_page
from ann_ckpt.store.history import history, sizes
from tests.counting import bytes_read

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
NASTY = "<script>alert(1)</script>\x1b[31m & 'w' \"$x$"


def network(n_post: int = 12, n_pre: int = 20, *, seed: int = 0) -> NetworkState:
    rng = np.random.default_rng(seed)
    rows = [np.sort(rng.choice(n_pre, rng.integers(0, n_pre), replace=False)) for _ in range(n_post)]
    synapses_ = Connectivity.from_rows(np.arange(n_post), rows)
    n = synapses_.n_synapses
    projection = ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        synapses_,
        variables={"w": rng.normal(size=n)},
        delays=rng.integers(1, 9, n),
        pre_size=n_pre,
        post_size=n_post,
    )
    return NetworkState(
        populations={
            "in": PopulationState("in", (4, n_pre // 4), variables={"r": rng.random((4, n_pre // 4))}),
            "out": PopulationState("out", (n_post,), variables={"v": rng.random(n_post)}),
        },
        projections={"ff": projection},
        dt=0.5,
    )


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 4 million synapses, 48 MB."""
    path = tmp_path_factory.mktemp("large") / "large.h5"
    n_rows, each = 4000, 1000
    rng = np.random.default_rng(1)
    pre = np.sort(rng.integers(0, 9000, (n_rows, each)).astype(np.int32), axis=1)
    synapses_ = Connectivity(np.arange(n_rows), np.arange(n_rows + 1) * each, pre.reshape(-1))
    ff = ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        synapses_,
        variables={"w": rng.random(n_rows * each)},
        pre_size=9000,
        post_size=n_rows,
    )
    populations = {"in": PopulationState("in", (90, 100)), "out": PopulationState("out", (n_rows,))}
    ann_ckpt.write(NetworkState(populations=populations, projections={"ff": ff}), path)
    return path


# --- Samples ---------------------------------------------------------------------------


@given(arrays(np.float64, array_shapes(max_dims=3), elements=FLOATS))
def test_a_sample_that_fits_has_every_finite_value(array: np.ndarray) -> None:
    found = sample(array)
    assert found.whole
    assert np.array_equal(found.values, array[np.isfinite(array)].reshape(-1))
    assert found.strange == np.count_nonzero(~np.isfinite(array))
    assert "sample" not in found.note()


@given(st.integers(100_000, 900_000), st.integers(1 << 17, 1 << 20))
def test_a_sample_reads_no_more_than_it_may_and_says_so(length: int, budget: int) -> None:
    array = np.arange(length, dtype=np.float64)
    found = sample(array, budget)
    assert found.looked_at * 8 <= max(budget, 2 << 17)
    assert found.whole == (array.nbytes <= budget)
    assert ("a sample" in found.note()) == (not found.whole)
    assert np.isin(found.values, array).all()
    # Spread evenly: its middle is the middle of the array.
    assert abs(found.values.mean() / length - 0.5) < 0.26


def test_a_sample_of_a_file_reads_a_part_of_it(large: Path) -> None:
    with ann_ckpt.open(large) as ckpt, bytes_read() as count:
        found = sample(ckpt.projections["ff"]["w"], 1 << 20)
        assert not found.whole
        assert abs(found.values.mean() - 0.5) < 0.01
    assert 0 < count.total < 3 << 19


@pytest.mark.parametrize("budget", [1 << 18, 1 << 20, 4 << 20])
def test_pictures_of_a_large_projection_read_what_they_may(large: Path, budget: int) -> None:
    with ann_ckpt.open(large) as ckpt:
        for path in ("projections/ff/w", "projections/ff"):
            with bytes_read() as count:
                made = choice.pictures(ckpt, path, budget)
            assert len(made) >= 3
            assert any("a sample" in picture.note for picture in made)
            assert count.total < 2 * budget + (3 << 20)


def test_sampled_synapses_are_synapses_of_the_network(large: Path) -> None:
    with ann_ckpt.open(large) as ckpt:
        ff = ckpt.projections["ff"]
        found = synapses(ff, ff["w"], 1 << 20)
        assert not found.whole
        assert found.values is not None
        for i in range(0, found.pre.size, found.pre.size // 7):
            dendrite = ff.dendrite(int(found.post[i]))
            there = dendrite["w"][dendrite.pre_ranks == found.pre[i]]
            assert found.values[i] in there
            assert found.row_sizes[i] == len(dendrite)


def test_a_projection_of_very_many_dendrites_is_sampled_by_rows() -> None:
    n = 200_000
    chain = Connectivity(np.arange(n), np.arange(n + 1), np.arange(n, dtype=np.int32))
    state = ProjectionState("chain", "a", "a", "exc", chain, variables={"w": np.arange(n, dtype=float)})
    found = synapses(state, state["w"], 1 << 18)
    assert 0 < found.pre.size < n
    assert np.array_equal(found.pre, found.post)
    assert np.array_equal(found.values, found.pre)


def test_pairs_are_of_the_same_places() -> None:
    a = np.arange(500_000.0)
    before, after, note = paired(a, a + 1, 1 << 20)
    assert "a sample" in note
    assert np.array_equal(before + 1, after)


# --- What they show ----------------------------------------------------------------------


@given(arrays(np.float64, st.integers(0, 50), elements=FLOATS), st.integers(1, 80))
def test_a_histogram_counts_every_finite_value_once(array: np.ndarray, bins: int) -> None:
    made = values.histogram(array, "w", "w", bins=bins)
    assert made.heights[""].sum() == np.count_nonzero(np.isfinite(array))
    assert (np.diff(made.edges) > 0).all()


@given(arrays(np.int32, st.integers(1, 50), elements=st.integers(-(2**31), 2**31 - 1)))
def test_a_histogram_of_whole_numbers_counts_every_one(array: np.ndarray) -> None:
    made = values.histogram(array, "delay", "delay")
    assert made.heights[""].sum() == array.size
    assert len(made.heights[""]) <= 60


def test_connectivity_is_exact_where_it_is_not_binned() -> None:
    state = network()
    picture = wiring.connectivity(state.projections["ff"], (12, 20))
    dense = state.projections["ff"].tocsr().toarray() != 0
    assert np.array_equal(picture.values, dense)


def test_a_matrix_has_each_value_at_its_place() -> None:
    state = network()
    ff = state.projections["ff"]
    picture = wiring.matrix(ff, ff["w"], "w", (12, 20))
    assert np.allclose(np.nan_to_num(picture.values), ff.tocsr().toarray())
    assert picture.diverging


def test_binned_means_are_means() -> None:
    state = network(12, 20)
    ff = state.projections["ff"]
    picture = wiring.matrix(ff, ff["w"], "w", (12, 20), side=4)
    dense = ff.tocsr().toarray()
    there = dense != 0
    for y in range(4):
        for x in range(4):
            block = (slice(3 * y, 3 * y + 3), slice(5 * x, 5 * x + 5))
            expected = dense[block].sum() / there[block].sum() if there[block].any() else np.nan
            assert np.isclose(picture.values[y, x], expected, equal_nan=True)
    density = wiring.connectivity(ff, (12, 20), side=4)
    assert np.isclose(np.nan_to_num(density.values).mean(), there.mean())


def test_density_of_a_sample_is_that_of_the_whole(large: Path) -> None:
    with ann_ckpt.open(large) as ckpt:
        picture = wiring.connectivity(ckpt.projections["ff"], (4000, 9000), budget=1 << 20)
    assert "a sample" in picture.note
    assert np.nanmean(picture.values) == pytest.approx(1000 / 9000, rel=0.05)


@pytest.mark.parametrize("budget", [1 << 19, 1 << 20, 1 << 21])
def test_no_pair_in_a_sample_is_connected_more_than_all_are_though_dendrites_are_read_in_part(
    tmp_path: Path, budget: int
) -> None:
    rng = np.random.default_rng(3)
    rows = Connectivity.from_rows(
        np.arange(2000), [np.sort(rng.permutation(1600)[:500]) for _ in range(2000)]
    )
    ff = ProjectionState("ff", "a", "b", "exc", rows, pre_size=1600, post_size=2000)
    ann_ckpt.write(NetworkState(projections={"ff": ff}), tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as ckpt:
        picture = wiring.connectivity(ckpt.projections["ff"], (2000, 1600), budget=budget)
    shown = picture.values[np.isfinite(picture.values)]
    assert "a sample" in picture.note
    assert 0 < shown.size < picture.values.size
    assert shown.max() <= 1
    assert np.std(shown.reshape(-1, picture.values.shape[1]).mean(0)) < 0.1, "columns are alike"


def test_degrees_count_synapses_of_every_neuron() -> None:
    ff = network().projections["ff"]
    dense = ff.tocsr().toarray() != 0
    for incoming, axis in ((True, 1), (False, 0)):
        made = wiring.degrees(ff, incoming=incoming)
        counts = dense.sum(axis)
        assert made.heights[""].sum() == counts.size
        middles = (made.edges[:-1] + made.edges[1:]) / 2
        assert (made.heights[""] * middles).sum() == pytest.approx(counts.sum())


def test_what_leaves_neurons_of_a_sample_is_a_mean(large: Path) -> None:
    with ann_ckpt.open(large) as ckpt:
        made = wiring.degrees(ckpt.projections["ff"], incoming=False, budget=1 << 20)
    assert "mean" in made.y_label
    assert made.heights[""].mean() == pytest.approx(4000 * 1000 / 9000, rel=0.05)


def test_receptive_fields_have_the_weights_at_their_places() -> None:
    state = network()
    ff = state.projections["ff"]
    picture = wiring.fields(ff, ff["w"], "w", (4, 5), neurons=[3, 7])
    dense = ff.tocsr().toarray()
    for tile, rank in zip(picture.tiles, (3, 7), strict=True):
        part = picture.values[int(tile.y) : int(tile.y) + 4, int(tile.x) : int(tile.x) + 5]
        assert np.allclose(np.nan_to_num(part).reshape(-1), dense[rank])
        assert tile.text == str(rank)


def test_fields_of_neurons_that_are_not_there_are_refused() -> None:
    ff = network().projections["ff"]
    with pytest.raises(OptionError, match="no dendrite for neuron 99"):
        wiring.fields(ff, ff["w"], "w", (4, 5), neurons=[99])
    with pytest.raises(ConnectivityError, match="ranks"):
        wiring.fields(ff, ff["w"], "w", (2, 2))


class Unread:
    """An array that nobody has looked at, as those of a file are."""

    def __init__(self, values: list[int]) -> None:
        self.values = np.array(values, np.int32)
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def __getitem__(self, key: object) -> np.ndarray:
        return self.values[key]

    def __array__(self, dtype: object = None, *, copy: bool | None = None) -> np.ndarray:
        return self.values


@pytest.mark.parametrize("rank", [-1, 4, 2**31 - 1])
def test_ranks_that_no_population_has_are_refused(rank: int) -> None:
    synapses_ = Connectivity(np.arange(1), np.array([0, 2]), Unread([3, rank]))
    ff = ProjectionState("ff", "a", "b", "exc", synapses_, variables={"w": [1.0, 2.0]}, pre_size=4)
    for draw in (
        lambda: wiring.connectivity(ff, (1, 4)),
        lambda: wiring.matrix(ff, ff["w"], "w", (1, 4)),
        lambda: wiring.fields(ff, ff["w"], "w", (2, 2)),
        lambda: wiring.degrees(ff, incoming=False),
    ):
        with pytest.raises(ConnectivityError, match=f"{rank:,}|{min(3, rank)}"):
            draw()


def test_a_population_of_a_claimed_size_costs_nothing() -> None:
    synapses_ = Connectivity(np.arange(1), np.array([0, 2]), np.array([3, 7], np.int32))
    ff = ProjectionState(
        "ff", "a", "b", "exc", synapses_, variables={"w": [1.0, 2.0]}, pre_size=2**40, post_size=2**40
    )
    wiring.connectivity(ff, (2**40, 2**40))
    wiring.fields(ff, ff["w"], "w", (2**20, 2**20))
    assert wiring.degrees(ff, incoming=False).heights[""].sum() <= 1 << 25


@pytest.mark.parametrize(
    "shape", [(7,), (1000,), (3, 4), (500, 300), (3, 4, 5), (40, 2, 2), (2, 3, 4, 5), (9, 1, 2, 2, 3)]
)
def test_maps_of_every_geometry(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape)
    made = values.rate_map(array, "r", "r")
    assert isinstance(made, Curve if len(shape) == 1 else Grid)
    shown = made.y if isinstance(made, Curve) else made.values
    assert np.nanmean(shown) == pytest.approx(array.mean(), rel=0.2)
    check(svg(made))


@pytest.mark.parametrize("value", [1.0, np.nan])
@pytest.mark.parametrize(
    ("geometry", "rows"),
    [
        ((0,), []),
        ((3,), []),
        ((3,), [[], []]),
        ((1,), [[0]]),
        ((0, 3), []),
        ((3, 0), []),
        ((2, 0, 2), []),
        ((2, 2), [[]]),
        ((2, 2), [[0], []]),
    ],
)
def test_there_are_pictures_of_next_to_nothing(
    geometry: tuple[int, ...], rows: list[list[int]], value: float, tmp_path: Path
) -> None:
    synapses = Connectivity.from_rows(list(range(len(rows))), rows)
    n, size = synapses.n_synapses, int(np.prod(geometry))
    ann_ckpt.write(
        NetworkState(
            populations=[PopulationState("p", geometry, variables={"r": np.full(geometry, value)})],
            projections=[
                ProjectionState(
                    "q",
                    "p",
                    "p",
                    "exc",
                    synapses,
                    pre_size=size,
                    post_size=size,
                    variables={"w": np.full(n, value)},
                    delays=np.ones(n, np.int32),
                )
            ],
        ),
        tmp_path / "net.h5",
    )
    assert report_page(tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as ckpt:
        for each in (ckpt, ckpt.populations["p"], ckpt.projections["q"], ckpt.projections["q"]["w"]):
            assert each._repr_html_()
        for path in ("populations/p/r", "projections/q", "projections/q/w", "projections/q/delays"):
            if path.endswith("w") and len(geometry) > 1 and not rows:
                with pytest.raises(OptionError, match="no dendrites"):
                    choice.pictures(ckpt, path)
                continue
            for budget in (1, 1 << 20):
                made = choice.pictures(ckpt, path, budget)
                for picture in made:
                    ET.fromstring(svg(picture))
                    assert len(drawn(picture)) > 1
            plot.figure(made).savefig(tmp_path / "net.png", dpi=20)


def test_pictures_are_as_fine_as_asked() -> None:
    state = network()
    _, coarse, fields = choice.pictures(state, "projections/ff/w", side=4, fields=3)
    assert coarse.values.shape == (4, 4)
    assert "bins" in coarse.note
    assert len(fields.tiles) == 3
    assert choice.pictures(state, "projections/ff", side=5)[0].values.shape == (5, 5)
    _, exact, fields = choice.pictures(state, "projections/ff/w")
    assert exact.values.shape == (12, 20)
    assert len(fields.tiles) == 12


def test_paths_lead_where_they_say() -> None:
    state = network()
    assert choice.shown(state, "projections/ff/w").per_synapse
    assert choice.shown(state, "/projections/ff/variables/w/").per_synapse
    assert choice.shown(state, "projections/ff/delays").label == "delay [steps of 0.5 ms]"
    assert not choice.shown(state, "populations/in/r").per_synapse
    assert set(choice.drawable(state)) == {
        "populations/in/r",
        "populations/out/v",
        "projections/ff/w",
        "projections/ff/delays",
    }
    for wrong in ("projections/f/w", "projections/ff/ww", "populations/in/r/r", "metadata", "x"):
        with pytest.raises(NotFoundError):
            choice.pick(state, wrong)
    with pytest.raises(OptionError, match="several attributes"):
        choice.shown(state, "projections/ff")
    with pytest.raises(OptionError, match="of a population"):
        choice.projection_of(state, "populations/in")


def test_names_with_a_slash_are_found() -> None:
    state = NetworkState(populations={"a/b": PopulationState("a/b", (3,), variables={"r/s": np.ones(3)})})
    (path,) = choice.drawable(state)
    assert path == "populations/a%2Fb/r%2Fs"
    assert choice.pictures(state, path)


# --- Drawings ----------------------------------------------------------------------------


def check(drawing: str) -> ET.Element:
    """Parse a drawing: nothing is in it but what we draw with."""
    root = ET.fromstring(drawing)
    assert {element.tag for element in root.iter()} <= {"svg", "path", "text", "image", "rect", "circle"}
    for element in root.iter():
        assert not {name for name in element.attrib if name.startswith("on")}
        for value in element.attrib.values():
            assert "nan" not in value.split("base64")[0].replace("finance", "")
    for image in root.iter("image"):
        assert image.attrib["href"].startswith("data:image/png;base64,")
    return root


def every(label: str) -> list[Picture]:
    texts = {"title": label, "x_label": label, "y_label": label, "note": label}
    x = np.arange(4.0)
    return [
        Grid(values=np.eye(3), value_label=label, extent=(0, 3, 0, 3), **texts),
        Grid(values=np.full((2, 2), np.nan), value_label=label, extent=(0, 2, 0, 2), diverging=True, **texts),
        Bars(edges=np.arange(5.0), heights={label: x, "": x}, names=(label,) * 4, **texts),
        Bars(edges=np.arange(2.0), heights={}, **texts),
        Curve(x=x, y=x, y_name=label, bands={label: (x - 1, x + 1)}, marks=((1.0, label),), **texts),
        Curve(x=np.empty(0), y=np.empty(0), **texts),
        Curve(x=np.ones(1), y=np.ones(1), **texts),
        Points(x=x, y=x * np.nan if False else x, **texts),
        Points(x=np.empty(0), y=np.empty(0), **texts),
    ]


@pytest.mark.parametrize("picture", every(NASTY), ids=lambda p: type(p).__name__)
def test_names_are_text_in_a_drawing(picture: Picture) -> None:
    root = check(svg(picture))
    said = "".join(root.itertext()) + root.attrib["aria-label"]
    assert "<script>" in said or "<scr" in said
    assert "\x1b" not in svg(picture)
    assert "<script" not in svg(picture)


@pytest.mark.parametrize("picture", every("w"), ids=lambda p: type(p).__name__)
def test_everything_is_inside_the_drawing(picture: Picture) -> None:
    for element in check(svg(picture)).iter("text"):
        assert 0 <= float(element.attrib["x"]) <= 400
        assert 0 <= float(element.attrib["y"]) <= 260


@example(np.array([[np.finfo(float).max]]), True)
@example(np.array([[5e-324]]), False)
@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=FLOATS), st.booleans())
def test_a_grid_of_any_values_is_drawn(array: np.ndarray, diverging: bool) -> None:
    picture = Grid(
        title="",
        x_label="",
        y_label="",
        values=array,
        value_label="",
        extent=(0, 1, 0, 1),
        diverging=diverging,
    )
    with np.errstate(all="ignore"):
        check(svg(picture))
    assert len(drawn(picture)) >= 3


@given(arrays(np.float64, st.integers(0, 9), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_a_histogram_of_any_values_is_drawn(array: np.ndarray) -> None:
    made = values.histogram_of(Sample(array, array.size, array.size), "w", "w")
    assert ET.fromstring(svg(made)) is not None
    assert drawn(made)


@pytest.mark.parametrize("extent", [(0.0, 4.0, 0.0, 3.0), (0.0, 4.0, 3.0, 0.0)])
def test_both_axes_of_a_grid_have_ticks(extent: tuple[float, float, float, float]) -> None:
    picture = Grid(title="", x_label="", y_label="", values=np.ones((2, 2)), value_label="", extent=extent)
    texts = [element for element in check(svg(picture)).iter("text") if element.text]
    sideways = {element.text for element in texts if element.attrib["text-anchor"] == "end"}
    assert {"0", "1", "2", "3"} <= sideways
    places = [float(element.attrib["y"]) for element in texts if element.text in ("0", "3")]
    assert max(places) <= 260


@given(st.sampled_from([(100, 130), (90, 30), (7, 5)]), st.integers(0, 10**6))
def test_one_value_alone_is_seen_in_text(shape: tuple[int, int], place: int) -> None:
    array = np.full(shape, np.nan)
    array.flat[place % array.size] = 1.0
    picture = Grid(title="", x_label="", y_label="", values=array, value_label="w", extent=(0, 1, 0, 1))
    lines = drawn(picture)[1:-2]
    assert any(character != " " for line in lines for character in line)


def test_the_lowest_point_of_a_curve_is_seen_in_text() -> None:
    x = np.arange(5.0)
    y = np.array([1.0, 2.0, np.nan, 3.0, 1.0])
    bottom = drawn(Curve(title="", x_label="", y_label="", x=x, y=y))[8]
    assert [character == " " for character in bottom[:5]] == [False, False, True, False, False]


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_ticks_are_few_and_inside(a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = ticks(low, high)
    assert len(found) < 12
    room = (high - low) * 1e-6
    assert all(low - room <= value <= high + room for value in found)


def test_the_pixels_of_a_grid_are_its_values() -> None:
    array = np.array([[0.0, 1.0], [np.nan, 0.5]])
    picture = Grid(title="", x_label="", y_label="", values=array, value_label="", extent=(0, 2, 0, 2))
    image = next(check(svg(picture)).iter("image"))
    png = b64decode(image.attrib["href"].partition(",")[2])
    data = zlib.decompress(re.search(rb"IDAT(.*)....\x00\x00\x00\x00IEND", png, re.DOTALL)[1])  # type: ignore[index]
    assert [list(data[1:3]), list(data[4:6])] == [[0, 254], [255, 127]]


def luminance(colour: Any) -> Any:
    """As WCAG has it, of colours with channels up to 255."""
    channels = np.asarray(colour, float) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("diverging", [False, True])
def test_where_nothing_is_looks_like_no_value_on_dark_and_on_light_paper(diverging: bool) -> None:
    array = np.array([[-1.0, 1.0], [np.nan, 0.5]])
    picture = Grid(
        title="",
        x_label="",
        y_label="",
        values=array,
        value_label="",
        extent=(0, 2, 0, 2),
        diverging=diverging,
    )
    drawn_svg = check(svg(picture))
    blank = next(drawn_svg.iter("rect")).attrib
    image = next(drawn_svg.iter("image")).attrib
    assert [blank[k] for k in ("x", "y", "width", "height")] == [
        image[k] for k in ("x", "y", "width", "height")
    ], "it lies behind the values"
    nothing = np.array([int(blank["fill"][i : i + 2], 16) for i in (1, 3, 5)])
    colours = palette(diverging=diverging).astype(float)
    assert np.linalg.norm(colours - nothing, axis=1).min() > 40
    lowest = luminance(colours[0])
    assert (luminance(nothing) + 0.05) / (lowest + 0.05) > 3, "WCAG asks 3 of pictures"
    assert "no value" in "".join(drawn_svg.itertext())
    whole = replace(picture, values=np.nan_to_num(array))
    assert not list(check(svg(whole)).iter("rect"))
    assert "no value" not in svg(whole)


def test_between_tiles_there_is_paper() -> None:
    laid, tiles = values.mosaic([np.array([[1.0, 2.0]] * 3), np.array([[np.nan, 2.0]] * 3)], ["1", "2"], 2)
    picture = Grid(
        title="", x_label="", y_label="", values=laid, value_label="",
        extent=(0, laid.shape[1], 0, laid.shape[0]), tiles=tiles, equal=True,
    )  # fmt: skip
    drawn_svg = check(svg(picture))
    image = next(drawn_svg.iter("image")).attrib
    places = [[float(r.attrib[k]) for k in ("x", "y", "width", "height")] for r in drawn_svg.iter("rect")]
    scale = float(image["width"]) / laid.shape[1]
    for tile, (x, y, width, height) in zip(tiles, places[:2], strict=True):
        found = np.array([x - float(image["x"]), y - float(image["y"]), width, height]) / scale
        assert found == pytest.approx([tile.x, tile.y, tile.width, tile.height], abs=0.02)
    assert len(places) == 3, "two tiles, and what the key says"


def test_colours_keep_their_order_in_grey() -> None:
    grey = palette(diverging=False) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(grey) > -1.0).all()
    assert grey[-1] - grey[0] > 150
    two_sided = palette(diverging=True) @ np.array([0.2126, 0.7152, 0.0722])
    assert two_sided.argmax() in range(120, 135)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("picture", every("w"), ids=lambda p: type(p).__name__)
def test_text_is_narrow_and_of_the_characters_asked_for(picture: Picture, plain: bool) -> None:
    lines = drawn(picture, width=40, plain=plain)
    assert all(len(line) < 90 for line in lines)
    assert not plain or "".join(lines).isascii()


# --- Numbers that are hard to draw -----------------------------------------------------


HARD = [1e308, -1e308, np.inf, -np.inf, np.nan, 5e-324, 3.0]


def hard_pictures() -> list[Picture]:
    x, heights, late = np.arange(7.0), np.array(HARD), np.array([0, 1, 2, 3, 1e300, 1e308, np.inf])
    layer = PopulationState("E", (7,), variables={"v": heights})
    series = {
        "v": Series(times=x, values=heights[:, np.newaxis]),
        "spike": Series(times=late, ranks=np.zeros(7, np.int32)),
        "many": Series(times=np.repeat(late, 900), ranks=np.zeros(6300, np.int32)),
    }
    held = NetworkState(populations=[layer], recordings={"M": Recording("M", of="", series=series)})
    wide = PopulationState("E", (4000,), variables={"v": np.resize(heights, 4000)})
    wider = NetworkState(populations=[wide])
    pairs = [changes(a, b, "populations/E/v") for a, b in ((held, held), (wider, wider))]
    moved = PopulationState("E", (7,), variables={"v": heights[::-1]})
    pairs.append(changes(held, NetworkState(populations=[moved]), "populations/E/v"))
    made = [*choice.pictures(held, "populations/E/v"), *choice.pictures(held, "recordings/M")]
    made += choice.pictures(wider, "populations/E/v")
    return made + [
        picture for pair in pairs for picture in (pair.scatter(), pair.histogram(), pair.turnover())
    ]


@pytest.mark.filterwarnings("error")
def test_huge_and_infinite_numbers_are_drawn_or_left_out() -> None:
    made = hard_pictures()
    assert len(made) == 16
    for picture in made:
        assert not re.search(r"nan|inf\b", re.sub('data:[^"]*|[a-z-]*label="[^"]*"', "", svg(picture)))
        assert len(drawn(picture, plain=True)) > 2
    for picture in [*made[:5], made[7], *made[10:13]]:
        plot.draw(picture).figure.canvas.draw()
    assert "left out" in made[3].note or "left out" in made[4].note


def test_numbers_beside_an_axis_differ() -> None:
    for middle, range_ in ((-70.0, 1e-3), (12345678.0, 3.0), (1e9, 1.0), (0.0, 1e-9)):
        heights = middle + np.linspace(0, range_, 5)
        curve = Curve(title="", x_label="", y_label="", x=heights, y=heights)
        for anchor in ("end", "middle"):
            said = re.findall(rf'text-anchor="{anchor}" [^>]*>([^<]+)<', svg(curve))
            assert len(said) == len(set(said)) > 2
        lines = drawn(curve, plain=True)
        assert lines[1].split()[-1] != lines[8].split()[-1]
        assert len(set(lines[9].split())) == 2


def test_a_sample_of_neurons_has_no_more_than_there_are() -> None:
    with_budget = values.rate_map(np.arange(1000.0), "v", "t", budget=1000)
    assert with_budget.note == "a sample: 1,000 of 1,000 neurons; means and ranges"


def test_the_history_of_a_run_that_went_back_stays_in_the_picture(tmp_path: Path) -> None:
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "w") as store:
        for step in (0, 100, 200, 20, 40):
            layer = PopulationState("E", (2,), variables={"": [step, 1.0]})
            store.save(NetworkState(populations=[layer], time_step=step, dt=0.1))
        infos = store.checkpoints
    curve = history(infos, f"populations/E/{escape('')}")
    assert (curve.x_label, curve.x.tolist()) == ("checkpoint", [0, 1, 2, 3, 4])
    assert history(infos[:3], f"populations/E/{escape('')}").x.tolist() == [0, 10, 20]
    again = [replace(infos[0], name="000000000000-1"), infos[0]]
    assert sizes(again).names == ("0-1", "0")


def test_degrees_count_neurons_without_synapses_on_both_sides() -> None:
    rows = Connectivity.from_rows([0, 1], [[0], [0]])
    ff = ProjectionState("ff", "in", "out", "exc", rows)
    populations = [PopulationState(name, (10,)) for name in ("in", "out")]
    held = NetworkState(populations=populations, projections=[ff])
    _, incoming, outgoing = choice.pictures(held, "projections/ff")
    assert isinstance(incoming, Bars)
    assert isinstance(outgoing, Bars)
    assert (incoming.heights[""].tolist(), incoming.edges[0]) == ([8, 2], -0.5)
    assert (outgoing.heights[""].tolist(), outgoing.edges[0]) == ([9, 0, 1], -0.5)
