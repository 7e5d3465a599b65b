"""Checkpoint files with one defect each that every digest agrees with, and trailers that lie.

What :mod:`tests.malformed.hdf5` does to a file is damage, or asks for what no checkpoint
needs; here the file is whole and says nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash

from ann_ckpt.format import layout
from ann_ckpt.format.chunk_locations import _DATASET, _FOOTER, LOCATION
from ann_ckpt.format.layout import IndexRow
from tests.malformed.hdf5 import DEFECTS
from tests.malformed.samples import Rows, Spoil, W, good_complete, replaced, sealed, set_attribute

FILES: dict[str, Spoil] = {}
"""What spoils a good file, by what is wrong with it then."""

Edit = Callable[[h5py.File, Rows], object]


def case(name: str, edit: Edit) -> None:
    """Register an edit after which the digests are made right."""

    def spoil(path: Path) -> None:
        with sealed(path) as (file, rows):
            edit(file, rows)

    FILES[name] = spoil


# --- Attributes ---------------------------------------------------------------------

VALUES: dict[str, Any] = {
    "an array": np.arange(3),
    "no values": np.empty(0, np.int64),
    "a text": np.bytes_(b"seven"),
    "bytes that are no text": np.bytes_(b"\xff\xfe\x00\x80"),
    "nan": np.float64("nan"),
    "infinity": np.float64("inf"),
    "2**64 - 1": np.uint64(2**64 - 1),
    "-2**63": np.int64(-(2**63)),
    "a compound": np.array((1, 2.0), [("a", "i4"), ("b", "f8")]),
    "a bool": np.bool_(True),
    "a table": np.zeros((2, 2, 2), "i1"),
}

ROOT_ATTRIBUTES = ("format_version", "created", "time_step", "dt", "seed", "reseeded", "tag", "index_digest")
GROUP_ATTRIBUTES = {
    "populations/layer": ("geometry", "type"),
    "projections/ragged": ("pre", "post", "target", "rows", "pre_size", "post_size", "type"),
    "projections/forward": ("delay_steps",),
}


def _attribute(path: str, name: str, value: Any) -> Edit:
    def edit(file: h5py.File, _: Rows) -> None:
        set_attribute(file[path], name, value)

    return edit


def _without(path: str, name: str) -> Edit:
    def edit(file: h5py.File, _: Rows) -> None:
        if name in file[path].attrs:
            del file[path].attrs[name]

    return edit


for _path, _names in {"/": ROOT_ATTRIBUTES, **GROUP_ATTRIBUTES}.items():
    for _name in _names:
        case(f"{_path}: {_name} is missing", _without(_path, _name))
        for _what, _value in VALUES.items():
            case(f"{_path}: {_name} is {_what}", _attribute(_path, _name, _value))


# --- Texts that should be JSON ------------------------------------------------------

TEXTS: dict[str, bytes] = {
    "nothing": b"\0",
    "no JSON": b"{'a': 1}",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "nested deeply": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects nested deeply": b'{"a": ' * 50_000 + b"1" + b"}" * 50_000,
    "numbers of many digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "a number beyond all": b'{"a": 1e99999, "b": NaN, "c": -Infinity}',
    "lone surrogates": b'{"\\ud800": "\\udfff", "command": ["\\ud800"], "simulator": "\\ud83d"}',
    "control characters": b'{"\\u001b[2J\\u0000": "\\u001b]0;title\\u0007\\u0000"}',
    "names that are longer than lines": json.dumps({"n" * 5000: "v" * 5000}).encode(),
    "a wide list": b'{"a": [' + b"0," * 100_000 + b"0]}",
}
DOCUMENTS = {
    "metadata": "metadata",
    "provenance": "provenance",
    "resume": "resume",
    "types": "types/0",
}
SHAPES: dict[str, list[Any]] = {
    "provenance": [
        {"command": 5},
        {"command": {"a": [1]}},
        {"command": [None, [1], {}]},
        {"git": [1], "simulator": {"a": 1}, "host": 7},
        {"ann_ckpt": [1, 2], "numpy": {}, "python": None, "hdf5": 1.5},
    ],
    "metadata": [{"converted_from": 7}, {"converted_from": [{}]}, {"converted_from": {"losses": 3}}],
    "resume": [
        {"network": 5},
        {"network": {"exactness": "perfect", "reasons": []}},
        {"network": {"exactness": ["exact"], "reasons": 7}},
        {"network": {"exactness": "approximate", "reasons": [[1], {"a": 2}]}},
        {"network": {"exactness": "approximate", "reasons": "letters"}},
        {"network": {}},
        {"populations": []},
        {"populations": {"layer": []}, "projections": 1},
        {"populations": {"layer": {"exactness": None, "reasons": None}}},
    ],
    "types": [
        {},
        {"name": 5},
        {"name": None, "description": [], "texts": 7, "attributes": []},
        {"name": "x", "attributes": {"tau": 5}},
        {"name": "x", "attributes": {"tau": {"what": 1}}},
        {"name": "x", "attributes": {"tau": {"ctype": 1, "minimum": "low", "maximum": []}}},
        {"name": "x", "texts": {"equations": {"a": 1}}},
        {"name": "x", "description": {"a": 1}},
    ],
}


def _text(path: str, content: bytes) -> Edit:
    def edit(file: h5py.File, rows: Rows) -> None:
        replaced(file, path, np.array(content))

    return edit


for _name, _path in DOCUMENTS.items():
    for _what, _content in TEXTS.items():
        case(f"{_name}: {_what}", _text(_path, _content))
    for _number, _document in enumerate(SHAPES[_name]):
        case(f"{_name}: wrong shape {_number}", _text(_path, json.dumps(_document).encode()))
    case(f"{_name}: numbers instead of a text", lambda f, _, p=_path: replaced(f, p, np.arange(5)))  # type: ignore[misc]
    case(
        f"{_name}: texts in a row",
        lambda f, _, p=_path: replaced(f, p, np.array([b"{}", b"[]"])),  # type: ignore[misc]
    )


# --- The index ----------------------------------------------------------------------


def _renamed(old: str, new: str) -> Edit:
    """Call something otherwise in the index, and in the file where HDF5 has such names."""

    def edit(file: h5py.File, rows: Rows) -> None:
        renamed = {}
        for path, row in rows.items():
            inside = path == old or path.startswith(f"{old}/")
            renamed[path] = replace(row, path=new + path[len(old) :]) if inside else row
        rows.clear()
        rows.update({row.path: row for row in renamed.values()})
        if new and "\0" not in new and new not in file:
            file.move(old, new)

    return edit


NAMES = (
    "%ZZ",
    "%",
    "%0",
    "%2f",
    "%C3%A4",
    "..",
    ".",
    "",
    "\x1b[2J",
    "a\nb",
    "n" * 5000,
    "%00",
    "%41",
    "\u202e",
)
for _name in NAMES:
    _shown = ascii(_name[:20])
    case(f"index: a population called {_shown}", _renamed("populations/layer", f"populations/{_name}"))
    case(f"index: a projection called {_shown}", _renamed("projections/ragged", f"projections/{_name}"))
    case(f"index: a constant called {_shown}", _renamed("constants/period", f"constants/{_name}"))
    case(
        f"index: a variable called {_shown}",
        _renamed("projections/ragged/variables/odd", f"projections/ragged/variables/{_name}"),
    )


def _row(path: str, **fields: Any) -> Edit:
    def edit(_: h5py.File, rows: Rows) -> None:
        rows[path] = replace(rows[path], **fields)

    return edit


for _encoding in ("array", "globals", "text", "group", "shared", "table", "", "unknown", "\N{SNOWMAN}"):
    for _path in (
        W,
        "metadata",
        "populations/layer",
        "projections/ragged",
        "populations/layer/global_parameters",
    ):
        case(f"index: {_path} is encoded as {_encoding!a}", _row(_path, encoding=_encoding))
for _locality in ("", "elsewhere", "global", "\N{SNOWMAN}"):
    case(f"index: locality {_locality!a}", _row(W, locality=_locality))
case("index: a version of the future", _row(W, version=65535))
case("index: no root", lambda _, rows: rows.pop(""))
case("index: nothing", lambda _, rows: rows.clear())
case("index: root only", lambda _, rows: [rows.pop(p) for p in list(rows) if p])
for _path in (
    "populations/layer",
    "projections/forward",
    "projections/ragged/row_ptr",
    "projections/ragged/pre_ranks",
    "projections/ragged/post_ranks",
    "types/0",
    "metadata",
    "provenance",
):
    case(f"index: without {_path}", lambda _, rows, p=_path: rows.pop(p))  # type: ignore[misc]
case(
    "index: 20,000 rows that nothing stands for",
    lambda _, rows: rows.update(
        {
            (p := f"populations/layer/variables/v{n}"): IndexRow(p, "array", 1, "local", "0" * 32)
            for n in range(20_000)
        }
    ),
)
case(
    "index: a shared array in a file that is in no store",
    lambda _, rows: rows.update(
        {
            "projections/forward/variables/x": IndexRow(
                "projections/forward/variables/x", "shared", 1, "local", "0" * 32
            )
        }
    ),
)


# --- Arrays that do not fit each other ---------------------------------------------

ARRAYS: dict[str, Any] = {
    "one value": np.float64(1.0),
    "nothing": np.empty(0),
    "texts": np.array([b"a", b"\xff"]),
    "bools": np.ones(5, bool),
    "three axes": np.zeros((2, 3, 4), "i4"),
    "32 axes": np.zeros((1,) * 32, "i4"),
    "an empty axis": np.zeros((4, 0, 3)),
    "negative": -np.arange(1, 6, dtype=np.int64),
    "beyond 32 bits": np.full(5, 2**40, np.int64),
    "2**64 - 1": np.full(4, 2**64 - 1, np.uint64),
    "-2**63": np.full(4, -(2**63), np.int64),
    "nan": np.full(5, np.nan),
    "records": np.zeros(5, [("a", "i4"), ("b", "f8")]),
    "small floats": np.linspace(0, 1, 5).astype("f2"),
}
PLACES = (
    "projections/ragged/post_ranks",
    "projections/ragged/row_ptr",
    "projections/ragged/pre_ranks",
    "projections/ragged/delays",
    "projections/ragged/pre_view",
    "projections/ragged/parameters/w",
    W,
    "populations/layer/global_parameters",
    "populations/layer/parameters/threshold",
    "constants/period",
    "index",
)
for _path in PLACES:
    for _what, _value in ARRAYS.items():
        case(f"{_path}: {_what}", lambda f, _, p=_path, v=_value: replaced(f, p, v) if p in f else None)  # type: ignore[misc]


for _what, _pointers in {
    "beyond the end": [0, 2, 2, 2**40],
    "falling": [0, 5, 2, 5],
    "not from 0": [3, 2, 2, 5],
    "one short": [0, 2, 2],
    "a single one": [0],
    "negative": [0, -1, 2, 5],
    "large": [2**62, 2**63 - 1, 0, 5],
    "rising only by overflow": [0, 2**63 - 1, -2, 5],
}.items():
    case(
        f"row_ptr: {_what}",
        lambda f, _, v=_pointers: replaced(f, "projections/ragged/row_ptr", np.array(v, np.int64)),  # type: ignore[misc]
    )
for _geometry in ([0], [-4], [2**40, 2**40], [2**62], [1] * 40, [8, -8], [2**31, 2**31, 2**31]):
    case(f"geometry: {_geometry}", _attribute("populations/layer", "geometry", np.array(_geometry)))


def _zeros(count: int, dtype: str) -> Edit:
    """An array of zeros that is a thousand times larger than what is in the file."""

    def edit(file: h5py.File, _: Rows) -> None:
        del file[W]
        made = file.create_dataset(
            W, shape=(count,), dtype=dtype, chunks=(1 << 20,), compression="gzip", compression_opts=9
        )
        filled = np.zeros(1 << 20, dtype)
        made[: len(filled)] = filled
        _, packed = made.id.read_direct_chunk((0,))
        for start in range(0, count, 1 << 20):
            made.id.write_direct_chunk((start,), packed)

    return edit


LARGE = "zeros: 512 MiB"
"""A case that takes what it says, if it is read whole; a genuine file may hold as many zeros."""
case("zeros: 64 MiB", _zeros(1 << 26, "i1"))
case(LARGE, _zeros(1 << 26, "f8"))


# --- Digests of blocks ----------------------------------------------------------------


def _digests(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(at: Path) -> None:
        with sealed(at, arrays=False) as (file, _):
            replaced(file, path, change(file[path][()]))

    return spoil


def _firsts(**columns: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(table: np.ndarray) -> np.ndarray:
        for column, value in columns.items():
            table[column] = value
        return table

    return change


for _path in (layout.DIGESTS_ARRAYS, layout.DIGESTS_BLOCKS):
    FILES[f"{_path}: empty"] = _digests(_path, lambda t: t[:0])
    FILES[f"{_path}: one short"] = _digests(_path, lambda t: t[:-1])
    FILES[f"{_path}: backwards"] = _digests(_path, lambda t: t[::-1])
    FILES[f"{_path}: two axes"] = _digests(_path, lambda t: np.stack((t, t)))
    FILES[f"{_path}: other columns"] = _digests(_path, lambda t: np.zeros(len(t), [("a", "i4")]))
    FILES[f"{_path}: small floats"] = _digests(_path, lambda t: np.zeros(len(t), "f2"))
    FILES[f"{_path}: one value"] = _digests(_path, lambda t: t[0])
    FILES[f"{_path}: texts"] = _digests(_path, lambda t: np.full(len(t), b"\xff"))
    FILES[f"{_path}: missing"] = lambda at, p=_path: _without_dataset(at, p)  # type: ignore[misc]
for _number in (1, 2**32, 2**62, 2**63, 2**64 - 1):
    FILES[f"{layout.DIGESTS_ARRAYS}: first {_number}"] = _digests(
        layout.DIGESTS_ARRAYS, _firsts(first=_number)
    )
for _number in (0, 2**32 - 1):
    FILES[f"{layout.DIGESTS_ARRAYS}: row {_number}"] = _digests(layout.DIGESTS_ARRAYS, _firsts(row=_number))


def _without_dataset(at: Path, path: str) -> None:
    with sealed(at, arrays=False) as (file, _):
        del file[path]


# --- Trailers -----------------------------------------------------------------------


class Trailer:
    """The trailer of a file, taken apart."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.count, self.chunks, _, self.magic = _FOOTER.unpack(self.data[-_FOOTER.size :])
        end = len(self.data) - _FOOTER.size
        start = end - self.count * _DATASET.itemsize
        self.records = np.frombuffer(self.data[start:end], _DATASET).copy()
        self.values_end = start - self.chunks * LOCATION.itemsize
        self.places = np.frombuffer(self.data[self.values_end : start], LOCATION).copy()

    def write(self, path: Path, *, digest: bytes | None = None) -> None:
        """Write it behind the values again, its digest right."""
        raw = self.records.tobytes()
        footer = _FOOTER.pack(self.count, self.chunks, digest or xxhash.xxh3_128_digest(raw), self.magic)
        path.write_bytes(self.data[: self.values_end] + self.places.tobytes() + raw + footer)


def lying(name: str, lie: Callable[[Trailer], None]) -> None:
    """Register a change to the trailer of a good file."""

    def spoil(path: Path) -> None:
        taken = Trailer(path)
        lie(taken)
        taken.write(path)

    FILES[f"trailer: {name}"] = spoil


def _field(name: str, value: Any) -> Callable[[Trailer], None]:
    def lie(taken: Trailer) -> None:
        taken.records[name] = value

    return lie


def _place(name: str, value: int) -> Callable[[Trailer], None]:
    def lie(taken: Trailer) -> None:
        taken.places[name] = value

    return lie


for _shape in (
    b"",
    b"x",
    b"-3",
    b"-3x-3",
    b"0",
    b"99999999999999999999x3",
    b"18446744073709551616",
    "\u0663".encode(),
    b"\xff",
    b"1" * 64,
    b"x".join([b"1"] * 32),
    b"4611686018427387904",
):
    lying(f"shape {_shape!r}", _field("shape", _shape))
for _dtype in (b"", b"O", b"|O8", b"<c8", b"|V99999", b"<f8\xff", b"|S8", b"<f2", b"|b1"):
    lying(f"type {_dtype!r}", _field("dtype", _dtype))
for _column, _numbers in {
    "kind": (0, 1, 2, 3, 255),
    "packed": (0, 1, 255),
    "chunk": (0, 1, 2**32, 2**63, 2**64 - 1),
    "first": (1, 2**32, 2**60, 2**63, 2**64 - 1),
    "row": (0, 2**32 - 1, 5),
}.items():
    for _number in _numbers:
        lying(f"{_column} {_number}", _field(_column, _number))
for _column, _numbers in {
    "offset": (0, 2**40, 2**63, 2**64 - 1),
    "size": (0, 1, 2**31, 2**32 - 1),
    "mask": (1, 3, 2**32 - 1),
}.items():
    for _number in _numbers:
        lying(f"each {_column} is {_number}", _place(_column, _number))


def _footer(**fields: Any) -> Spoil:
    def spoil(path: Path) -> None:
        taken = Trailer(path)
        for name, value in fields.items():
            setattr(taken, name, value)
        taken.write(path)

    return spoil


for _number in (0, 1, 2**32, 2**62, 2**64 - 1):
    FILES[f"trailer: {_number} datasets"] = _footer(count=_number)
    FILES[f"trailer: {_number} chunks"] = _footer(chunks=_number)
FILES["trailer: of another kind"] = _footer(magic=b"annplacf")
FILES["trailer: bytes behind it"] = lambda path: path.write_bytes(path.read_bytes() + b"more")
FILES["trailer: twice"] = lambda path: path.write_bytes(path.read_bytes() + path.read_bytes()[-4000:])


def _many_records(path: Path) -> None:
    """Hundreds of thousands of records, each for the same row."""
    taken = Trailer(path)
    taken.records = np.repeat(taken.records[:1], 200_000)
    taken.count = len(taken.records)
    taken.write(path)


FILES["trailer: 200,000 records"] = _many_records


def _chunks_of_one(path: Path) -> None:
    """One array in as many chunks of one byte as the trailer has room for, all the same byte."""
    taken = Trailer(path)
    number = int(np.flatnonzero(taken.records["kind"] == 2)[0])
    count = 250_000
    record = taken.records[number]
    record["dtype"], record["shape"], record["chunk"], record["packed"] = b"|i1", str(count).encode(), 1, 0
    record["first"] = len(taken.places)
    taken.records[number] = record
    more = np.zeros(count, LOCATION)
    more["offset"], more["size"] = 96, 1
    taken.places = np.concatenate((taken.places, more))
    taken.chunks = len(taken.places)
    taken.write(path)


FILES["trailer: 250,000 chunks of one byte"] = _chunks_of_one


# --- What is done to the other file -------------------------------------------------


def _of_another(spoil: Spoil) -> Spoil:
    """Spoil the file that ``hdf5.py`` was written for, in the place of the good one."""

    def again(path: Path) -> None:
        good_complete(path)
        spoil(path)

    return again


for _name, (_, _spoil) in DEFECTS.items():
    FILES[f"hdf5: {_name}"] = _of_another(_spoil)
