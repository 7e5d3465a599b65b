"""Files of every released format version read as they did when they were written."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.errors import FormatVersionError
from ann_ckpt.format import layout
from ann_ckpt.format.layout import PLAIN_VERSION, VERSION
from tests.golden.networks import NETWORKS, SINCE, further

FILES = sorted(Path(__file__).parent.glob("*.h5"))


def test_files_and_stores_of_every_released_version_are_there():
    names = {path.name for path in FILES[0].parent.iterdir()}
    for minor in range(VERSION[1] + 1):
        version = f"{VERSION[0]}.{minor}"
        if (VERSION[0], minor) <= PLAIN_VERSION:
            assert {f"bare-{version}.h5", f"complete-{version}.h5", f"run-{version}.ckpt"} <= names
        else:
            name = next(name for name, since in SINCE.items() if since == (VERSION[0], minor))
            assert {f"{name}-{version}.h5", f"{name}-{version}.ckpt"} <= names


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_has_the_lowest_version_that_has_all_that_is_in_it(name, tmp_path):
    ann_ckpt.write(NETWORKS[name](), tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as ckpt:
        assert ckpt.format_version == SINCE.get(name, PLAIN_VERSION)


@pytest.mark.parametrize("old", ["h5", "ckpt"])
def test_a_reader_that_does_not_know_axes_of_values_refuses_those_arrays_and_no_others(old, monkeypatch):
    """As version 1.2 would: the encodings of that time were these."""
    before = {name: known._replace(with_axes=0) for name, known in layout.ENCODINGS.items()}
    monkeypatch.setattr(layout, "ENCODINGS", before)
    with ann_ckpt.open(Path(__file__).parent / f"further-1.3.{old}") as ckpt:
        stdp = ckpt.projections["stdp"]
        assert np.array_equal(stdp["w"], further().projections["stdp"]["w"])
        assert np.array_equal(ckpt.populations["cells"]["v"], further().populations["cells"]["v"])
        for refused in (
            lambda: stdp["trace"][:2],
            lambda: stdp["row"][:2],
            lambda: ckpt.populations["cells"]["tau_syn"][:2],
            lambda: ckpt.populations["cells"]["E_rev"][:2],
        ):
            with pytest.raises(FormatVersionError, match="update"):
                refused()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_golden_file_reads_as_written(path):
    expected = NETWORKS[path.name.split("-")[0]]()
    assert list(ann_ckpt.differences(expected, ann_ckpt.read(path))) == []
    assert ann_ckpt.verify(path).ok


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_golden_file_read_by_plain_h5py_shows_the_values(path):
    expected = NETWORKS[path.name.split("-")[0]]()
    with h5py.File(path) as file:
        for name in ("layer", "grid"):
            if name in expected.populations:
                assert np.array_equal(
                    file[f"populations/{name}/variables/r"], expected.populations[name]["r"]
                )
        if "dense" in expected.projections:
            assert np.array_equal(file["projections/dense/variables/w"], expected.projections["dense"]["w"])
            assert file["projections/dense"].attrs["pre"].decode() == "layer"


def renumbered(tmp_path, version):
    path = tmp_path / "other.h5"
    ann_ckpt.write(NETWORKS["complete"](), path)
    with h5py.File(path, "r+") as file:
        file.attrs.modify("format_version", np.array(version, np.int32))
    return path


def test_a_newer_major_version_is_refused_and_says_so(tmp_path):
    with pytest.raises(FormatVersionError, match=r"format version 2\.0(.|\n)*update"):
        ann_ckpt.open(renumbered(tmp_path, (2, 0)))


def test_a_newer_minor_version_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "PLAIN_VERSION", (1, 7))
    path = tmp_path / "newer.h5"
    state = NETWORKS["complete"]()
    ann_ckpt.write(state, path)
    monkeypatch.undo()
    with ann_ckpt.open(path) as ckpt:
        assert ckpt.format_version == (1, 7)
        assert list(ann_ckpt.differences(state, ckpt.state())) == []


def test_values_that_are_arrays_alone_make_a_file_of_the_newer_version(tmp_path):
    state = ann_ckpt.NetworkState(
        populations=[ann_ckpt.PopulationState("p", (2,), variables={"x": np.zeros((2, 3))})]
    )
    ann_ckpt.write(state, tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as ckpt:
        assert ckpt.format_version == (1, 3)
