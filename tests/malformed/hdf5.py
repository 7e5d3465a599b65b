"""HDF5 files with one defect each, made from a good one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

import ann_ckpt
from ann_ckpt.errors import (
    CheckpointError,
    CorruptFileError,
    FileMissingError,
    NotReadableError,
    UnknownFormatError,
    UnsafeFileError,
)
from tests.golden.networks import complete

W = "projections/dense/variables/w"
SECRET = b"content of another file"

Defect = Callable[[Path], None]
DEFECTS: dict[str, tuple[type[CheckpointError], Defect]] = {}


def defect(expected: type[CheckpointError]) -> Callable[[Defect], Defect]:
    """Register a function that spoils the good file it is given."""

    def register(spoil: Defect) -> Defect:
        DEFECTS[spoil.__name__] = (expected, spoil)
        return spoil

    return register


def inside(edit: Callable[[h5py.File], None]) -> Defect:
    """Let ``edit`` work on the opened file."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            edit(file)

    spoil.__name__ = edit.__name__
    return spoil


def good(path: Path) -> Path:
    ann_ckpt.write(complete(), path)
    return path


def replace_w(file: h5py.File, **options) -> None:
    del file[W]
    file.create_dataset(W, **options)


@defect(FileMissingError)
def missing(path):
    path.unlink()


@defect(NotReadableError)
def a_directory(path):
    path.unlink()
    path.mkdir()


@defect(UnknownFormatError)
def empty(path):
    path.write_bytes(b"")


@defect(UnknownFormatError)
def not_hdf5(path):
    path.write_bytes(b"some other file" * 30)


@defect(CorruptFileError)
def truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


@defect(CorruptFileError)
def superblock_only(path):
    path.write_bytes(path.read_bytes()[:40])


@defect(CorruptFileError)
def zeros_after_superblock(path):
    data = path.read_bytes()
    path.write_bytes(data[:96] + bytes(len(data) - 96))


@defect(UnknownFormatError)
@inside
def hdf5_of_something_else(file):
    for name in list(file.attrs):
        del file.attrs[name]


@defect(UnknownFormatError)
@inside
def format_of_variable_length(file):
    file.attrs["format"] = "ann_ckpt"


@defect(CorruptFileError)
@inside
def no_version(file):
    del file.attrs["format_version"]


@defect(CorruptFileError)
@inside
def no_index(file):
    del file["index"]


@defect(CorruptFileError)
@inside
def index_of_other_columns(file):
    del file["index"]
    file["index"] = np.zeros(3, [("path", "S3"), ("digest", "S32")])


@defect(CorruptFileError)
@inside
def time_step_changed(file):
    file.attrs.modify("time_step", np.int64(5))


@defect(CorruptFileError)
@inside
def geometry_changed(file):
    file["populations/layer"].attrs.modify("geometry", np.array([100]))


@defect(CorruptFileError)
@inside
def array_missing(file):
    del file[W]


@defect(CorruptFileError)
@inside
def group_where_an_array_should_be(file):
    del file[W]
    file.create_group(W)


@defect(CorruptFileError)
@inside
def array_where_a_group_should_be(file):
    del file["populations/layer"]
    file["populations/layer"] = 1


@defect(CorruptFileError)
@inside
def value_changed(file):
    file[W][777] = 1.0


@defect(CorruptFileError)
@inside
def small_value_changed(file):
    file["populations/grid/variables/r"][0, 0] = 1.0


@defect(CorruptFileError)
@inside
def global_value_changed(file):
    packed = file["projections/one weight/global_parameters"]
    value = packed[()]
    value["w"] = 3.0
    packed[()] = value


@defect(CorruptFileError)
@inside
def array_of_another_length(file):
    values = file[W][:-5]
    replace_w(file, data=values)


@defect(CorruptFileError)
@inside
def metadata_is_no_json(file):
    length = file["metadata"].dtype.itemsize
    file["metadata"][()] = b"{" * length


@defect(CorruptFileError)
def deflate_stream_damaged(path):
    with h5py.File(path) as file:
        offset = file["projections/dense/pre_ranks"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 40] ^= 0xFF
    path.write_bytes(data)


@defect(UnsafeFileError)
def external_storage(path):
    secret = path.with_name("secret.bin")
    secret.write_bytes(SECRET * 20_000)
    with h5py.File(path, "r+") as file:
        replace_w(file, shape=(40_000,), dtype="f8", external=[(str(secret), 0, 320_000)])


@defect(UnsafeFileError)
def external_link(path):
    other = good(path.with_name("other.h5"))
    with h5py.File(path, "r+") as file:
        del file[W]
        file[W] = h5py.ExternalLink(str(other), W)


@defect(UnsafeFileError)
def virtual_dataset(path):
    other = good(path.with_name("other.h5"))
    with h5py.File(path, "r+") as file:
        shape = (40_000,)
        virtual = h5py.VirtualLayout(shape, "f8")
        virtual[:] = h5py.VirtualSource(str(other), W, shape)
        del file[W]
        file.create_virtual_dataset(W, virtual)


@defect(UnsafeFileError)
@inside
def soft_link(file):
    file.move(W, "elsewhere")
    file[W] = h5py.SoftLink("/elsewhere")


@defect(UnsafeFileError)
@inside
def group_in_a_circle(file):
    del file["populations/layer"]
    file["populations/layer"] = h5py.SoftLink("/populations")


@defect(UnsafeFileError)
@inside
def strings_of_variable_length(file):
    replace_w(file, shape=(40_000,), dtype=h5py.string_dtype())


@defect(UnsafeFileError)
@inside
def references(file):
    replace_w(file, shape=(40_000,), dtype=h5py.ref_dtype)


@defect(UnsafeFileError)
@inside
def big_endian(file):
    replace_w(file, shape=(40_000,), dtype=">f8")


@defect(UnsafeFileError)
@inside
def unknown_filter(file):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1000,))
    creation.set_filter(40_000, h5py.h5z.FLAG_OPTIONAL, ())
    del file[W]
    space = h5py.h5s.create_simple((40_000,))
    h5py.h5d.create(file[W.rpartition("/")[0]].id, b"w", h5py.h5t.NATIVE_DOUBLE, space, creation)


@defect(UnsafeFileError)
@inside
def filters_the_other_way_round(file):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1000,))
    creation.set_deflate(1)
    creation.set_shuffle()
    values = file[W][()]
    del file[W]
    space = h5py.h5s.create_simple((40_000,))
    made = h5py.h5d.create(file[W.rpartition("/")[0]].id, b"w", h5py.h5t.NATIVE_DOUBLE, space, creation)
    h5py.Dataset(made)[...] = values


@defect(UnsafeFileError)
@inside
def petabytes_claimed(file):
    replace_w(file, shape=(1 << 47,), dtype="f8", chunks=(4096,), compression="gzip")


@defect(UnsafeFileError)
@inside
def enormous_chunk(file):
    replace_w(file, shape=(40_000,), maxshape=(None,), dtype="f8", chunks=(1 << 28,), compression="gzip")


@defect(CorruptFileError)
@inside
def chunk_missing(file):
    replace_w(file, shape=(40_000,), dtype="f8", chunks=(4096,), compression="gzip")


@defect(UnsafeFileError)
@inside
def contiguous_never_written(file):
    replace_w(file, shape=(40_000,), dtype="f8")
