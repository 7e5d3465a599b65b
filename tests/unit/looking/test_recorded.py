"""Pictures of what monitors recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState, Recording, Series, plot
from ann_ckpt.errors import AttributeNotFoundError, ObjectNotFoundError, OptionError
from ann_ckpt.looking.choice import pictures
from ann_ckpt.looking.pictures import Curve, Grid, Points
from ann_ckpt.looking.recorded import raster, traces
from ann_ckpt.looking.svg import svg
from ann_ckpt.looking.text import drawn
from ann_ckpt.model import AttributeInfo, TypeInfo

TIMES = np.arange(50)
RANKS = np.arange(50) % 7
VOLTAGE = np.sin(np.arange(50)[:, np.newaxis] / 5 + np.arange(10))


def network() -> NetworkState:
    kind = TypeInfo("LIF", attributes={"v": AttributeInfo(unit="mV")})
    layer = PopulationState("layer", (10,), variables={"v": np.zeros(10)}, neuron_type=kind)
    series = {"spike": Series(times=TIMES, ranks=RANKS), "v": Series(times=TIMES, values=VOLTAGE)}
    recording = Recording("M", of="populations/layer", series=series)
    return NetworkState(populations=[layer], recordings={"M": recording}, dt=0.5)


def test_a_recording_is_a_raster_and_traces() -> None:
    spikes, voltage = pictures(network(), "recordings/M")
    assert isinstance(spikes, Points)
    assert not spikes.diagonal
    assert np.array_equal(spikes.x, TIMES / 2)
    assert np.array_equal(spikes.y, RANKS)
    assert (spikes.x_label, spikes.y_label) == ("simulated time [ms]", "neuron [rank]")
    assert isinstance(voltage, Curve)
    assert voltage.y_label == "v [mV]"
    assert np.array_equal(voltage.y, VOLTAGE[:, 0])
    assert [*voltage.lines] == ["entry 3", "entry 6", "entry 9"]
    assert np.array_equal(voltage.lines["entry 9"], VOLTAGE[:, 9])
    assert voltage.note == "4 of 10 entries"


def test_every_drawer_draws_both() -> None:
    for picture in pictures(network(), "recordings/M"):
        assert picture.x_label in svg(picture)
        assert len(drawn(picture, plain=True)) > 5
    assert 'stroke-dasharray="4 3"' not in svg(pictures(network(), "recordings/M/spike")[0])
    lines = pictures(network(), "recordings/M/v")[0]
    assert svg(lines).count('stroke-width="1.4"') == 3
    # The neuron of rank 0 is below, in every drawing.
    late = raster(Series(times=np.array([0, 1, 99]), ranks=np.array([0, 0, 9])), "", "")
    body = drawn(late, plain=True)[1:-1]
    assert len(body[0]) > len(body[-1]) > 0


def test_plot_draws_what_is_asked_for() -> None:
    ax = plot.raster(network(), "recordings/M/spike")
    assert ax.get_xlabel() == "simulated time [ms]"
    assert len(ax.lines) == 0  # no line on which time and rank were equal
    ax = plot.traces(network(), "recordings/M/v")
    assert len(ax.lines) == 4
    with pytest.raises(OptionError, match="no samples"):
        plot.traces(network(), "recordings/M/spike")
    with pytest.raises(OptionError, match="no events"):
        plot.raster(network(), "recordings/M/v")


def test_what_is_not_there() -> None:
    with pytest.raises(ObjectNotFoundError, match="recording"):
        pictures(network(), "recordings/N")
    with pytest.raises(AttributeNotFoundError, match="spikes"):
        pictures(network(), "recordings/M/spikes")
    with pytest.raises(ObjectNotFoundError, match="no values to look at"):
        pictures(network(), "recordings/M/v/x")


def test_of_many_events_how_many_there_are() -> None:
    times, ranks = np.arange(10_000), np.arange(10_000) % 30
    picture = raster(Series(times=times, ranks=ranks), "spike", "M/spike")
    assert isinstance(picture, Grid)
    assert picture.x_label == "time step"
    assert np.nansum(picture.values) == 10_000
    assert picture.values.shape == (30, 200)
    assert picture.extent == (-0.5, 9999.5, 29.5, -0.5)
    first = raster(Series(times=times, ranks=np.minimum(times, 4)), "spike", "M/spike")
    assert isinstance(first, Grid)
    assert np.nansum(first.values[-1]) == 1  # rank 0 had one event, and is the last line


def test_of_a_long_series_the_end_is_read() -> None:
    series = Series(times=np.arange(1000) / 1e3, values=np.arange(1000.0))
    picture = traces(series, "r", "M/r", budget=16 * 100)
    assert picture.x.size == 100
    assert picture.y[-1] == 999.0
    assert picture.x[-1] == pytest.approx(999.0)
    assert "the last 100 of 1,000 records" in picture.note
    assert traces(series, "r", "").x.size <= 400


@pytest.mark.parametrize(
    "series",
    [
        Series(times=np.empty(0, int), values=np.empty((0, 3))),
        Series(times=np.empty(0, int), ranks=np.empty(0, int)),
        Series(values=np.empty((2, 0))),
        Series(times=np.array([1.0])),
        Series(values=np.array([np.nan, np.inf])),
    ],
)
def test_nothing_to_see_is_drawn_too(series: Series) -> None:
    state = NetworkState(recordings={"M": Recording("M", of="", series={"x": series})})
    for picture in pictures(state, "recordings/M"):
        assert svg(picture)
        assert drawn(picture)
        assert plot.draw(picture) is not None


def test_a_page_and_the_command_have_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ann_ckpt.cli import main
    from ann_ckpt.page.report import report_page

    ann_ckpt.write(network(), tmp_path / "net.h5")
    page = report_page(tmp_path / "net.h5")
    assert 'id="recordings"' in page
    assert "M/spike" in page
    assert "50 events" in page
    for path in ("recordings/M", "recordings/M/spike"):
        with pytest.raises(SystemExit) as left:
            main(["plot", str(tmp_path / "net.h5"), path])
        assert left.value.code == 0
        assert "neuron [rank]" in capsys.readouterr().out
