"""Stores are read by their folder where it can be listed, and by a checkpoint's address everywhere."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    NotReadableError,
    ObjectNotFoundError,
    OptionError,
    OutsideStoreError,
    PrunedError,
)
from tests.remote.conftest import network
from tests.remote.test_reading import MIB, WEIGHTS, contents

FIRST = "checkpoints/000000001000.h5"


@pytest.mark.parametrize(
    ("which", "step"),
    [("", 3000), ("/", 3000), ("@first", 1000), ("@second", 2000), ("@2000", 2000), ("@000000002000", 2000)],
)
def test_a_store_in_a_bucket_is_the_store(bucket, folder, which, step):
    with ann_ckpt.open(f"{bucket}/run.ckpt{which}") as there:
        assert there.time_step == step
        with ann_ckpt.open(folder / f"run.ckpt{which}") as here:
            assert contents(there) == contents(here)


def test_a_checkpoint_behind_a_web_server_is_the_checkpoint(server, folder):
    with ann_ckpt.open(folder / "run.ckpt@first") as here:
        for name in (FIRST, "@000000001000", "@0000000010%300"):
            joint = "" if name.startswith("@") else "/"
            with ann_ckpt.open(f"{server.url}/run.ckpt{joint}{name}") as there:
                assert contents(there) == contents(here)


@pytest.mark.parametrize("which", ["", "@first", "@1000"])
def test_where_nothing_is_listed_a_checkpoint_has_to_be_named(server, which):
    with pytest.raises(NotReadableError, match=r"does not list the checkpoints(.|\n)*000000001000\.h5"):
        ann_ckpt.open(f"{server.url}/run.ckpt{which}")


def test_no_more_requests_and_bytes_than_needed(server):
    with ann_ckpt.open(f"{server.url}/run.ckpt/{FIRST}") as checkpoint:
        opening = server.spent()
        assert [*checkpoint.populations, *checkpoint.projections] == ["in", "out", "ff"]
        listing = server.spent()
        projection = checkpoint.projections["ff"]
        rows = [projection.dendrite(rank) for rank in range(500, 510)]
        ten = server.spent()
        whole = np.asarray(projection.variables["w"].values)
        array = server.spent()
    assert opening[0] <= 1
    assert opening[1] <= 0.05 * MIB
    assert listing[0] <= 1
    assert listing[1] <= 0.07 * MIB
    assert ten[0] <= 14
    assert ten[1] <= 0.81 * MIB
    assert array[0] <= 10
    assert array[1] <= 8.5 * MIB
    assert len(rows) == 10
    assert whole.tobytes() == network().projections["ff"].variables["w"].values.tobytes()


def test_what_is_in_no_store_is_said(bucket):
    with pytest.raises(ObjectNotFoundError, match="second"):
        ann_ckpt.open(f"{bucket}/run.ckpt@sekond")
    with pytest.raises(ObjectNotFoundError, match="first"):
        ann_ckpt.open(f"{bucket}/run.ckpt@000000009999")
    for call in (ann_ckpt.open, ann_ckpt.verify, ann_ckpt.CheckpointStore):
        with pytest.raises(FileMissingError, match="the store does not exist"):
            call(f"{bucket}/none.ckpt")
    for which in ("tag", "10", "000000000010"):
        with pytest.raises(FileMissingError, match="the store does not exist"):
            ann_ckpt.open(f"{bucket}/none.ckpt@{which}")
    with pytest.raises(OptionError, match="the scheme 's3' is not supported here"):
        ann_ckpt.write(network(), f"{bucket}/new.h5")


def test_every_call_takes_stores(bucket, folder, run, tmp_path):
    store = f"{bucket}/run.ckpt"
    assert ann_ckpt.verify(store).ok
    assert ann_ckpt.diff(store, folder / "run.ckpt").same
    assert not ann_ckpt.diff(f"{store}@first", store).same
    assert ann_ckpt.read(f"{store}@first").time_step == 1000
    assert run("info", store).status == 0
    assert run("show", f"{store}@first", "populations/in/v", "--rows", "0:2").status == 0
    for number, source in enumerate((f"{store}@first", f"{store}/{FIRST}")):
        assert run("export", source, tmp_path / f"{number}.h5").status == 0
        assert ann_ckpt.diff(tmp_path / f"{number}.h5", folder / "run.ckpt@first").same


@pytest.fixture
def copied(server, folder):
    """A store of its own, and the address of its first checkpoint."""
    path = folder / "copy.ckpt"
    shutil.copytree(folder / "run.ckpt", path)
    yield path, f"{server.url}/copy.ckpt/{FIRST}"
    shutil.rmtree(path)


def test_damaged_and_missing_objects_are_noticed(copied):
    path, address = copied
    with ann_ckpt.open(path / FIRST) as checkpoint:
        files = [path / "objects" / name[:2] / f"{name}.h5" for name in checkpoint.objects]
    files.sort(key=lambda file: file.stat().st_size)
    whole = files[-1].read_bytes()
    middle = len(whole) // 2
    files[-1].write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    cut = files[-2].read_bytes()[:-1000]
    for left in (cut, cut[:200_000]):  # the second so short that its end is not where it is looked for
        files[-2].write_bytes(left)
        report = ann_ckpt.verify(address)
        found = " ".join(note.text for note in report.damaged)
        assert "checksum mismatch" in found or "is damaged" in found
        assert "has the wrong size" in found
    for file in files:
        file.unlink()
    with ann_ckpt.open(address) as checkpoint, pytest.raises(CorruptFileError, match="missing"):
        np.asarray(checkpoint.arrays[WEIGHTS])


def test_a_pruned_checkpoint_and_one_out_of_its_store_are_told(copied):
    path, address = copied
    with ann_ckpt.open(address) as checkpoint:
        array = checkpoint.arrays[WEIGHTS]
        shutil.rmtree(path / "objects")
        (path / "store.json").unlink()
        with pytest.raises(OutsideStoreError):
            np.asarray(array)
        (path / FIRST).unlink()
        with pytest.raises(PrunedError):
            np.asarray(array)
