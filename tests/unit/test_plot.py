"""Pictures with matplotlib: each draws into the axes that it is given, and returns them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

import ann_ckpt
from ann_ckpt import CheckpointStore, plot
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import AttributeNotFoundError, MissingExtraError, OptionError
from ann_ckpt.looking.svg import palette


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plot") / "run.ckpt"
    network = DemoNetwork(seed=1, side=6)
    network.monitor("layer", ["r", "onset"])
    with CheckpointStore(path, "w", monitors=True) as made:
        for tag in (None, "half", None):
            made.save(network, tag=tag)
            network.simulate(20)
    return path


W = "projections/forward/w"
OF_ONE: dict[str, Callable[..., Any]] = {
    "rate_map": lambda c, ax: plot.rate_map(c, "populations/layer/r", ax=ax),
    "histogram": lambda c, ax: plot.histogram(c, W, bins=7, ax=ax),
    "delays": lambda c, ax: plot.histogram(c, "projections/lateral/delays", ax=ax),
    "connectivity": lambda c, ax: plot.connectivity(c, "projections/forward", ax=ax),
    "matrix": lambda c, ax: plot.matrix(c, W, ax=ax),
    "receptive_fields": lambda c, ax: plot.receptive_fields(c, W, neurons=[1, 5], ax=ax),
    "in_degree": lambda c, ax: plot.in_degree(c, "projections/forward", ax=ax),
    "out_degree": lambda c, ax: plot.out_degree(c, "projections/forward", ax=ax),
    "raster": lambda c, ax: plot.raster(c, "recordings/Monitor_layer/onset", ax=ax),
    "traces": lambda c, ax: plot.traces(c, "recordings/Monitor_layer/r", ax=ax),
    "history": lambda c, ax: plot.history(Path(c.path).parents[1], W, ax=ax),
    "sizes": lambda c, ax: plot.sizes(CheckpointStore(Path(c.path).parents[1]), ax=ax),
    "change_scatter": lambda c, ax: plot.change_scatter(f"{Path(c.path).parents[1]}@0", c, W, ax=ax),
    "change_histogram": lambda c, ax: plot.change_histogram(f"{Path(c.path).parents[1]}@0", c, W, ax=ax),
    "synapse_turnover": lambda c, ax: plot.synapse_turnover(f"{Path(c.path).parents[1]}@0", c, W, ax=ax),
}


@pytest.mark.parametrize("name", OF_ONE)
def test_each_draws_into_the_axes_it_is_given(store: Path, name: str) -> None:
    with ann_ckpt.open(store) as ckpt:
        ax = plt.figure().add_subplot()
        assert OF_ONE[name](ckpt, ax) is ax
        ax.figure.canvas.draw()
        assert ax.get_xlabel()
        assert ax.get_title(loc="left")
        assert ax.has_data()
        made = OF_ONE[name](ckpt, None)
        assert made is not ax
        assert made.get_xlabel() == ax.get_xlabel()


def test_every_public_picture_is_tested() -> None:
    assert set(plot.__all__) - {"draw", "figure"} == set(OF_ONE) - {"delays"}


def test_a_path_draws_as_an_open_checkpoint_does(store: Path) -> None:
    with ann_ckpt.open(store) as ckpt:
        opened = plot.histogram(ckpt, W)
    named = plot.histogram(store, W)
    assert [bar.get_height() for bar in named.patches] == [bar.get_height() for bar in opened.patches]
    state = plot.histogram(ann_ckpt.read(store), W)
    assert [bar.get_height() for bar in state.patches] == [bar.get_height() for bar in opened.patches]


def test_names_are_no_formulas_of_matplotlib(tmp_path: Path) -> None:
    name = r"$\frac{a$_%\x1b[31m<b>"
    state = ann_ckpt.NetworkState(
        populations={name: ann_ckpt.PopulationState(name, (4, 4), variables={name: np.ones((4, 4))})}
    )
    for picture in plot.choice.pictures(state, next(iter(plot.choice.drawable(state)))):
        plot.draw(picture).figure.savefig(tmp_path / "a.png")


def test_what_cannot_be_drawn_is_said(store: Path) -> None:
    with pytest.raises(OptionError, match="does not have one value per neuron"):
        plot.rate_map(store, "populations/layer/tau")
    with pytest.raises(OptionError, match="does not have one value per synapse"):
        plot.matrix(store, "projections/forward/eta")
    with pytest.raises(AttributeNotFoundError, match="'w'"):
        plot.history(store, "projections/forward/ww")
    with pytest.raises(OptionError, match="bins=0"):
        plot.histogram(store, W, bins=0)
    with pytest.raises(OptionError, match="no neurons"):
        plot.receptive_fields(store, W, neurons=[])


def test_without_matplotlib_the_extra_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"ann_ckpt\[plot\]"):
        plot.histogram(store, W)


@pytest.mark.parametrize(("name", "diverging"), [("cividis", False), ("PuOr_r", True)])
def test_our_colours_are_those_of_matplotlib(name: str, diverging: bool) -> None:
    ours = palette(diverging=diverging) / 255
    theirs = mpl.colormaps[name](np.linspace(0, 1, len(ours)))[:, :3]
    assert np.abs(ours - theirs).max() < 0.05


@pytest.mark.parametrize("name", ["synapse_turnover", "sizes"])
def test_the_key_of_bars_hides_none(store: Path, name: str) -> None:
    with ann_ckpt.open(store) as ckpt:
        ax = OF_ONE[name](ckpt, plt.figure(layout="constrained").add_subplot())
    ax.figure.canvas.draw()
    key = ax.get_legend().get_window_extent()
    assert max(bar.get_window_extent().y1 for bar in ax.patches) <= key.y0


def test_bars_that_stand_for_things_have_their_names(store: Path) -> None:
    labels = [label.get_text() for label in plot.sizes(store).get_xticklabels()]
    assert labels == ["0", "20", "40"]


def test_tags_stand_inside_of_a_history(tmp_path: Path) -> None:
    with CheckpointStore(tmp_path / "run.ckpt", "w") as made:
        for step, tag in enumerate(["the first one", None, "in the middle", None, "the last one"]):
            layer = ann_ckpt.PopulationState("layer", (5,), variables={"r": np.arange(5.0)})
            made.save(ann_ckpt.NetworkState(populations={"layer": layer}, time_step=step, dt=0.5), tag=tag)
        ax = plot.history(made, "populations/layer/r")
    ax.figure.canvas.draw()
    marks = [
        text for text in ax.texts if text.get_text() in {"the first one", "in the middle", "the last one"}
    ]
    assert len(marks) == 3
    axes = ax.get_window_extent()
    for mark in marks:
        box = mark.get_window_extent()
        assert axes.x0 <= box.x0 <= box.x1 <= axes.x1


def test_history_has_gaps_where_a_checkpoint_lacks_the_attribute(tmp_path: Path) -> None:
    with CheckpointStore(tmp_path / "run.ckpt", "w") as made:
        for step in range(4):
            variables = {"r": np.full(5, float(step))} if step != 2 else {}
            layer = ann_ckpt.PopulationState("layer", (5,), variables=variables)
            made.save(ann_ckpt.NetworkState(populations={"layer": layer}, time_step=step, dt=0.5))
        ax = plot.history(made, "populations/layer/r")
    x, y = ax.lines[0].get_data()
    assert x.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert np.array_equal(y, [0.0, 1.0, np.nan, 3.0], equal_nan=True)


def test_changes_match_synapses_by_their_neurons() -> None:
    def state(rows: list[list[int]], w: list[float]) -> ann_ckpt.NetworkState:
        synapses = ann_ckpt.Connectivity.from_rows(range(len(rows)), rows)
        return ann_ckpt.NetworkState(
            projections={"ff": ann_ckpt.ProjectionState("ff", "a", "b", "exc", synapses, variables={"w": w})}
        )

    before, after = state([[0, 1], [2]], [1.0, 2.0, 3.0]), state([[1, 5], [2]], [2.5, 9.0, 3.0])
    found = plot.compared(before, after, "projections/ff/w")
    assert sorted(zip(found.before.tolist(), found.after.tolist(), strict=True)) == [(2.0, 2.5), (3.0, 3.0)]
    assert found.removed.tolist() == [1.0]
    assert found.added.tolist() == [9.0]
    turnover = found.turnover()
    assert {name: heights.sum() for name, heights in turnover.heights.items()} == {
        "kept": 2,
        "added": 1,
        "removed": 1,
    }


def test_changes_of_many_synapses_are_a_sample_that_says_so() -> None:
    n, each = 3000, 100
    pre = np.tile(np.arange(each, dtype=np.int32), n)
    synapses = ann_ckpt.Connectivity(np.arange(n), np.arange(n + 1) * each, pre)

    def state(w: np.ndarray) -> ann_ckpt.NetworkState:
        ff = ann_ckpt.ProjectionState("ff", "a", "b", "exc", synapses, variables={"w": w})
        return ann_ckpt.NetworkState(projections={"ff": ff})

    w = np.arange(n * each, dtype=float)
    found = plot.compared(state(w), state(w + 1), "projections/ff/w", budget=1 << 20)
    assert "a sample" in found.note
    assert 0 < found.before.size < n * each / 2
    assert np.array_equal(found.before + 1, found.after)


@pytest.mark.parametrize(
    "given",
    [{"geometry": (0, 5)}, {"geometry": (-6, -6)}, {"geometry": ()}, {"neurons": ["a"]}, {"neurons": 3}],
)
def test_what_is_no_geometry_and_no_neuron_is_refused(store: Path, given: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"geometry|neurons"):
        plot.receptive_fields(store, W, **given)
