"""Every defect is named, in the right class, and nothing of another file comes out."""

from __future__ import annotations

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.errors import CheckpointError
from tests.malformed.hdf5 import DEFECTS, SECRET, good


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_refused(name, tmp_path):
    expected, spoil = DEFECTS[name]
    path = good(tmp_path / "net.h5")
    spoil(path)
    with pytest.raises(expected) as caught:
        ann_ckpt.read(path)
    assert "net.h5" in str(caught.value)
    assert SECRET.decode() not in str(caught.value)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_good_file_opens_after_a_bad_one(name, tmp_path):
    """HDF5 keeps what it failed to open; nothing of that may reach the next file."""
    _, spoil = DEFECTS[name]
    path = good(tmp_path / "net.h5")
    spoil(path)
    with pytest.raises(CheckpointError):
        ann_ckpt.read(path)
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    assert ann_ckpt.verify(good(path)).ok


def test_verify_lists_everything_that_is_damaged(tmp_path):
    path = good(tmp_path / "net.h5")
    for name in ("value_changed", "small_value_changed", "global_value_changed"):
        DEFECTS[name][1](path)
    report = ann_ckpt.verify(path)
    assert {note.path for note in report.damaged} == {
        "projections/dense/variables/w",
        "populations/grid/variables/r",
        "projections/one weight/global_parameters",
    }
    assert "3 DAMAGED" in str(report)


def test_any_flipped_byte_is_noticed_or_harmless(tmp_path):
    """Wrong values never come out: reading fails with our errors or gives what was written."""
    path = good(tmp_path / "net.h5")
    whole = path.read_bytes()
    expected = ann_ckpt.read(path)
    rng = np.random.default_rng(1)
    noticed = 0
    for offset in rng.integers(0, len(whole), 150).tolist():
        data = bytearray(whole)
        data[offset] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            found = ann_ckpt.read(path)
        except CheckpointError:
            noticed += 1
        else:
            assert list(ann_ckpt.differences(expected, found)) == []
    assert noticed > 50


def test_a_failed_load_of_everything_but_one_projection_leaves_that_one_readable(tmp_path):
    path = good(tmp_path / "net.h5")
    DEFECTS["value_changed"][1](path)
    with ann_ckpt.open(path) as ckpt:
        assert ckpt.projections["ragged"].dendrite(5)["w"].tolist() == [1.0, -2.0]
