"""HDF5 files with one defect each, made from a good one."""

from __future__ import annotations

import os
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


def without_end(path):
    """Set the length of the free end of each global heap to 0: HDF5 takes it for an entry again and again."""
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL\x01")
    assert heap > 0
    while heap > 0:
        end = heap + int.from_bytes(data[heap + 8 : heap + 16], "little")
        at = heap + 16
        while int.from_bytes(data[at : at + 2], "little"):
            at += 16 + -(-int.from_bytes(data[at + 8 : at + 16], "little") // 8) * 8
        data[at:end] = bytes(end - at)
        heap = data.find(b"GCOL\x01", end)
    path.write_bytes(data)


def endless(path, place):
    """Put a virtual dataset there that HDF5 never finishes to open."""
    with h5py.File(path, "r+") as file:
        virtual = h5py.VirtualLayout((40_000,), "f8")
        virtual[:] = h5py.VirtualSource("other.h5", W, (40_000,))
        del file[place]
        file.create_virtual_dataset(place, virtual)
    without_end(path)


@defect(UnsafeFileError)
def virtual_dataset_that_never_opens(path):
    endless(path, W)


@defect(UnsafeFileError)
def virtual_dataset_that_never_opens_in_the_place_of_a_group(path):
    endless(path, "populations")


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
def chunks_of_one_byte(file):
    replace_w(file, shape=(60_000_000,), dtype="i1", chunks=(1,), compression="gzip")


@defect(UnsafeFileError)
@inside
def chunks_of_one_byte_along_another_axis(file):
    replace_w(file, shape=(1, 60_000_000), dtype="i1", chunks=(1, 1), compression="gzip")


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


def put(file: h5py.File, kind, space, creation=None) -> None:
    """Put a dataset that h5py's own calls would not make in the place of ``w``."""
    del file[W]
    parent, _, name = W.rpartition("/")
    h5py.h5d.create(file[parent].id, name.encode(), kind, space, creation)


@defect(UnsafeFileError)
@inside
def attribute_of_variable_length(file):
    file["populations/layer"].attrs["geometry"] = "any text that h5py writes"


@defect(UnsafeFileError)
@inside
def attribute_that_refers(file):
    file.attrs["created"] = file["populations"].ref


@defect(UnsafeFileError)
@inside
def attribute_of_arrays(file):
    kind = np.dtype(("i8", (100,)))
    file["populations/layer"].attrs.create("geometry", np.zeros((1, 100), "i8"), dtype=kind)


@defect(UnsafeFileError)
@inside
def thousands_of_attributes(file):
    attributes = file["populations/layer"].attrs
    for number in range(2000):
        attributes[f"a{number}"] = np.int8(1)


@defect(UnsafeFileError)
@inside
def enum_that_is_no_bool(file):
    kind = h5py.enum_dtype({"FALSE": 0, "MAYBE": 7}, basetype="i1")
    replace_w(file, data=np.zeros(40_000, "i1"), dtype=kind)


@defect(UnsafeFileError)
@inside
def arrays_in_an_array(file):
    kind = h5py.h5t.array_create(h5py.h5t.NATIVE_DOUBLE, (1000, 1000))
    put(file, kind, h5py.h5s.create_simple((4,)))


@defect(UnsafeFileError)
@inside
def opaque_bytes(file):
    replace_w(file, shape=(40_000,), dtype="V8")


@defect(UnsafeFileError)
@inside
def floats_of_another_kind(file):
    kind = h5py.h5t.NATIVE_DOUBLE.copy()
    kind.set_ebias(7)
    put(file, kind, h5py.h5s.create_simple((40_000,)))


@defect(UnsafeFileError)
@inside
def no_dataspace(file):
    put(file, h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create(h5py.h5s.NULL))


@defect(CorruptFileError)
@inside
def type_where_an_array_should_be(file):
    del file[W]
    file[W] = np.dtype("f8")


@defect(CorruptFileError)
@inside
def one_value_where_an_array_should_be(file):
    replace_w(file, data=1.0)


@defect(UnsafeFileError)
@inside
def text_of_a_gigabyte(file):
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(1 << 30)
    del file["metadata"]
    h5py.h5d.create(file.id, b"metadata", kind, h5py.h5s.create(h5py.h5s.SCALAR))


@defect(UnsafeFileError)
@inside
def index_of_a_billion(file):
    kind = file["index"].dtype
    del file["index"]
    file.create_dataset("index", shape=(1 << 30,), dtype=kind, chunks=(4096,), compression="gzip")


@defect(UnsafeFileError)
@inside
def soft_link_in_a_circle(file):
    del file[W]
    file[W] = h5py.SoftLink(f"/{W}")


@defect(UnsafeFileError)
@inside
def group_behind_a_soft_link(file):
    file.move("projections", "elsewhere")
    file["projections"] = h5py.SoftLink("/elsewhere")


@defect(UnsafeFileError)
@inside
def group_in_another_file(file):
    del file["projections"]
    file["projections"] = h5py.ExternalLink("other.h5", "/projections")


@defect(UnsafeFileError)
@inside
def index_in_another_file(file):
    del file["index"]
    file["index"] = h5py.ExternalLink("/etc/passwd", "/index")


@defect(CorruptFileError)
@inside
def root_below_itself(file):
    del file["projections"]
    file["projections"] = file["/"]


@defect(CorruptFileError)
@inside
def group_below_itself(file):
    del file["populations/layer"]
    file["populations/layer"] = file["populations"]


@defect(UnsafeFileError)
@inside
def virtual_dataset_of_itself(file):
    virtual = h5py.VirtualLayout((40_000,), "f8")
    virtual[:] = h5py.VirtualSource(".", W, (40_000,))
    del file[W]
    file.create_virtual_dataset(W, virtual)


@defect(UnsafeFileError)
@inside
def storage_without_end(file):
    replace_w(file, shape=(40_000,), dtype="f8", external=[("/dev/zero", 0, 320_000)])


@defect(UnsafeFileError)
@inside
def filter_of_hdf5_that_is_not_ours(file):
    replace_w(file, shape=(40_000,), dtype="f8", chunks=(4096,), scaleoffset=3)


@defect(UnsafeFileError)
@inside
def filter_of_h5py(file):
    replace_w(file, data=np.zeros(40_000), chunks=(4096,), compression="lzf")


@defect(UnsafeFileError)
@inside
def filters_in_a_long_row(file):
    replace_w(
        file, shape=(40_000,), dtype="f8", chunks=(4096,), compression="gzip", shuffle=True, fletcher32=True
    )


@defect(UnknownFormatError)
def bytes_before_the_signature(path):
    path.write_bytes(bytes(512) + path.read_bytes())


@defect(CorruptFileError)
def end_of_file_beyond_everything(path):
    data = bytearray(path.read_bytes())
    data[40:48] = b"\xff" * 8
    path.write_bytes(data)


@defect(NotReadableError)
def a_pipe(path):
    path.unlink()
    os.mkfifo(path)
