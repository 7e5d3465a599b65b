"""A checkpoint of a store in plain HDF5, and what becomes of it when a file is missing or damaged."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, differences
from ann_ckpt.errors import CorruptFileError, NotWritableError, UnsafeFileError
from ann_ckpt.store.saving import batch
from tests.store.runs import state

W = "projections/ff/variables/w"
FIXED = "populations/in/parameters/threshold"
R = "populations/in/variables/r"
STEPS = (1, 2, 3)


def large(step: int) -> ann_ckpt.NetworkState:
    return state(step, scale=16)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("made") / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        for step in STEPS:
            store.save(large(step))
    return path


@pytest.fixture
def path(made, tmp_path) -> Path:
    """The store, moved: everything in it is relative."""
    return Path(shutil.copytree(made, tmp_path / "elsewhere" / "moved.ckpt"))


def files(path: Path) -> list[Path]:
    return sorted((path / "checkpoints").iterdir())


def objects_of(path: Path, array: str, which: int = -1) -> list[Path]:
    with CheckpointStore(path)[which] as checkpoint:
        names = checkpoint._layout(array).objects
    return [path / "objects" / name[:2] / f"{name}.h5" for name in names]


# --- Plain HDF5 -------------------------------------------------------------------


def test_plain_h5py_sees_the_complete_network_from_any_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file, step in zip(files(path), STEPS, strict=True):
        with h5py.File(file.relative_to(tmp_path)) as plain, ann_ckpt.open(file) as checkpoint:
            for name, array in checkpoint.arrays.items():
                assert np.array_equal(plain[name][()], np.asarray(array)), name
            assert np.array_equal(plain[W][()], large(step).projections["ff"]["w"])
    with h5py.File(files(path)[-1]) as plain:
        assert plain[W].is_virtual
        assert isinstance(plain.get(FIXED, getlink=True), h5py.ExternalLink)


def test_stock_h5dump_prints_the_values(path, tmp_path):
    for name in (W, FIXED, R):
        with ann_ckpt.open(path) as checkpoint:
            values = np.asarray(checkpoint.arrays[name])
        whole = ["0"] * values.ndim
        shape = ",".join(map(str, values.shape))
        command = [
            "h5dump",
            "-y",
            "-w",
            "60",
            "-m",
            "%.17g",
            "-d",
            f"/{name}",
            "-s",
            ",".join(whole),
            "-c",
            shape,
        ]
        done = subprocess.run(
            [*command, files(path)[-1]], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        assert not re.search(r"(?i)error|unable", done.stderr), done.stderr
        printed = re.search(r"DATA \{(.*?)\}", done.stdout, re.DOTALL).group(1)
        found = np.array([float(v) for v in printed.replace(",", " ").split()])
        assert np.array_equal(found, values.ravel())


def test_no_file_of_the_store_names_an_absolute_path(path):
    for file in (*files(path), *(path / "objects").glob("*/*.h5")):
        assert str(path).encode() not in file.read_bytes()


# --- Damage -----------------------------------------------------------------------


def damage_missing(file: Path) -> None:
    file.unlink()


def damage_cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 2 // 3])


def damage_empty(file: Path) -> None:
    file.write_bytes(b"")


def damage_flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2 :: 4096] = bytes(~b & 255 for b in data[len(data) // 2 :: 4096])
    file.write_bytes(data)


def damage_header(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[64:2048] = bytes(2048 - 64)
    file.write_bytes(data)


def damage_other_values(file: Path) -> None:
    with h5py.File(file, "r+") as plain:
        plain["values"][...] = 0


def damage_other_type(file: Path) -> None:
    with h5py.File(file) as plain:
        values = plain["values"][()]
    with h5py.File(file, "w") as plain:
        plain["values"] = values.astype("f4" if values.dtype == "f8" else "f8")


DAMAGE = [v for k, v in sorted(globals().items()) if k.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", [W, FIXED])
def test_a_damaged_object_is_an_error_that_names_it_before_any_value_comes_out(path, damage, name):
    right = np.asarray(ann_ckpt.open(path).arrays[name])
    for victim in objects_of(path, name):
        kept = victim.read_bytes()
        damage(victim)
        with ann_ckpt.open(path) as checkpoint:
            if (
                damage is damage_header
            ):  # of no concern to who reads where the trailer says, and every block is checked
                np.testing.assert_array_equal(checkpoint.arrays[name], right)
            else:
                with pytest.raises(CorruptFileError, match=victim.stem):
                    np.asarray(checkpoint.arrays[name])
        victim.write_bytes(kept)


def test_objects_that_somebody_opened_for_writing_are_as_good_as_before(path):
    """HDF5 opens the objects of a checkpoint as it was opened itself, and cuts their trailers off."""
    before = {f: f.stat().st_size for f in (path / "objects").glob("*/*.h5")}
    right = {name: np.asarray(array) for name, array in ann_ckpt.open(path).arrays.items()}
    with h5py.File(files(path)[-1], "r+") as plain:
        plain[W][()], plain[FIXED][()]
    assert any(f.stat().st_size < size for f, size in before.items())
    with ann_ckpt.open(path) as checkpoint:
        for name, values in right.items():
            np.testing.assert_array_equal(checkpoint.arrays[name], values)
    with CheckpointStore(path, "a") as store:
        assert store.verify().ok
        report = store.save(large(4))
    assert report.notes == ()


@pytest.mark.parametrize("damage", [damage_missing, damage_cut, damage_empty])
def test_a_missing_object_fails_even_reads_of_other_parts_of_the_array(path, damage):
    for victim in objects_of(path, W):
        kept = victim.read_bytes()
        damage(victim)
        with ann_ckpt.open(path) as checkpoint:
            for place in (0, 100_000, -1):
                with pytest.raises(CorruptFileError, match=victim.stem):
                    checkpoint.arrays[W][place]
        victim.write_bytes(kept)


def test_a_slice_of_a_damaged_block_does_not_come_out_and_one_of_another_block_does(path):
    with CheckpointStore(path)[0] as checkpoint:
        (piece,) = checkpoint._layout(W).pieces
        starts = checkpoint._layout(W).block_starts
    object_file = path / "objects" / piece.source.name[:2] / f"{piece.source.name}.h5"
    with h5py.File(object_file) as plain:
        chunk = plain["values"].id.get_chunk_info_by_coord((int(starts[-2]),))
    with object_file.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(bytes(chunk.size))
    assert ann_ckpt.open(f"{path}@1").arrays[W][0] == large(1).projections["ff"]["w"][0]
    with ann_ckpt.open(f"{path}@1") as checkpoint, pytest.raises(CorruptFileError, match=piece.source.name):
        checkpoint.arrays[W][int(starts[-2])]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__)
def test_verify_names_each_checkpoint_that_needs_a_damaged_object(path, damage):
    (victim,) = objects_of(path, FIXED, 0)
    damage(victim)
    report = CheckpointStore(path).verify()
    assert {note.path for note in report.damaged} == {f"{f.stem}:/{FIXED}" for f in files(path)}
    assert all(victim.stem in note.text for note in report.damaged)
    assert not ann_ckpt.verify(path).ok


def test_verify_reads_each_block_once(path):
    report = CheckpointStore(path).verify()
    assert report.ok
    stored = sum(f.stat().st_size for f in (path / "objects").glob("*/*.h5"))
    with CheckpointStore(path)[-1] as checkpoint:
        state_bytes = sum(a.nbytes for a in checkpoint.arrays.values())
    assert stored < report.bytes_read < 2 * state_bytes < 4 * state_bytes


def test_verify_notices_links_that_lead_elsewhere_than_the_tables_say(path):
    with h5py.File(files(path)[0], "r+") as plain:
        link = plain.get(FIXED, getlink=True)
        del plain[FIXED]
        plain[FIXED] = h5py.ExternalLink(link.filename.replace("objects", "checkpoints"), link.path)
    with h5py.File(files(path)[-1], "r+") as plain:
        values = plain[W][()]
        del plain[W]
        plain[W] = values
    report = CheckpointStore(path).verify()
    assert {n.path for n in report.damaged} == {
        f"{files(path)[0].stem}:/{FIXED}",
        f"{files(path)[-1].stem}:/{W}",
    }


def test_links_in_a_plain_file_are_refused_as_ever(path, tmp_path):
    ann_ckpt.write(large(1), tmp_path / "plain.h5")
    with h5py.File(tmp_path / "plain.h5", "r+") as plain:
        del plain[W]
        plain[W] = h5py.ExternalLink(str(objects_of(path, W)[0]), "values")
    with ann_ckpt.open(tmp_path / "plain.h5") as checkpoint, pytest.raises(UnsafeFileError):
        np.asarray(checkpoint.projections["ff"]["w"])


def test_a_symbolic_link_in_place_of_an_object_is_refused(path, tmp_path):
    (victim,) = objects_of(path, FIXED)
    victim.rename(tmp_path / "secret.h5")
    victim.symlink_to(tmp_path / "secret.h5")
    with ann_ckpt.open(path) as checkpoint, pytest.raises(UnsafeFileError, match="symbolic link"):
        np.asarray(checkpoint.arrays[FIXED])


def test_the_next_save_writes_what_is_missing_anew_and_says_so(path):
    (victim,) = objects_of(path, FIXED)
    kept = victim.read_bytes()
    victim.unlink()
    with CheckpointStore(path, "a") as store:
        report = store.save(large(3))
        assert FIXED in report.new
        assert FIXED in {note.path for note in report.notes}
        assert not list(differences(store.latest.state(), large(3)))
        assert store.verify().ok
    assert len(victim.read_bytes()) == len(kept)


def test_an_object_that_was_cut_is_replaced_when_its_content_is_saved_again(path):
    (victim,) = objects_of(path, FIXED)
    damage_cut(victim)
    with CheckpointStore(path, "a") as store:
        store.save(large(3))
        assert store.verify().ok


def test_an_object_that_was_replaced_stays_when_the_save_fails_after_that(path, monkeypatch):
    """Those who needed the damaged one need it."""
    (victim,) = objects_of(path, FIXED)
    damage_cut(victim)

    def fails(folder):
        raise OSError(errno.EIO, "cannot sync", str(folder))

    with CheckpointStore(path, "a") as store:
        with monkeypatch.context() as patch:
            patch.setattr(batch, "fsync_folder", fails)
            with pytest.raises(NotWritableError):
                store.save(large(3))
        assert victim.exists()
        assert store.verify().ok


def test_a_damaged_newest_checkpoint_is_not_built_upon(path):
    damage_cut(files(path)[-1])
    with CheckpointStore(path, "a") as store:
        report = store.save(large(4))
        assert "nothing is shared" in str(report)
        assert not list(differences(store.latest.state(), large(4)))
        with pytest.raises(CorruptFileError, match="truncated"):
            store[-2]
        assert [i.problem is None for i in store.checkpoints] == [True, True, False, True]
