"""Stores with one defect each: what stands in the place of a file or folder, settings, and tables."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ann_ckpt.format import layout
from ann_ckpt.format.digest import digest_of
from ann_ckpt.format.shared.array import TABLE_TYPES
from tests.malformed.hdf5 import endless
from tests.malformed.samples import SECRET, Spoil, newest, replaced, sealed

STORES: dict[str, Spoil] = {}
"""What spoils a good store, by what is wrong with it then."""


def defect(name: str) -> Callable[[Spoil], Spoil]:
    def register(spoil: Spoil) -> Spoil:
        STORES[name] = spoil
        return spoil

    return register


def an_object(store: Path) -> Path:
    """File of an object that the newest checkpoint needs: the one that was made last."""
    return max((store / "objects").glob("??/*.h5"), key=lambda p: (p.stat().st_mtime_ns, p.name))


# --- Something else in the place of a file or a folder --------------------------------


def outside(store: Path) -> Path:
    """A folder of somebody else's, beside the store."""
    folder = store.parent / "outside"
    folder.mkdir(exist_ok=True)
    for name in ("secret.h5", "000000000009.h5", ".new-1.tmp"):
        (folder / name).write_bytes(SECRET * 50)
    deeper = folder / "ab"
    deeper.mkdir(exist_ok=True)
    (deeper / f"ab{'0' * 30}.h5").write_bytes(SECRET)
    return folder


def _gone(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _socket(path: Path) -> None:
    """A socket; its address may be no longer than a hundred bytes, so it is made from inside the folder."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 36)


def _copy_outside(path: Path, store: Path) -> None:
    """A link to an intact copy, which lies out of the store."""
    target = outside(store) / f"copy-{path.name}"
    if path.is_dir():
        shutil.copytree(path, target)
    elif path.exists():
        shutil.copyfile(path, target)
    _gone(path)
    path.symlink_to(target)


THINGS: dict[str, Callable[[Path, Path], object]] = {
    "missing": lambda path, store: _gone(path),
    "a pipe": lambda path, store: (_gone(path), os.mkfifo(path)),
    "a socket": lambda path, store: (_gone(path), _socket(path)),
    "a folder": lambda path, store: (_gone(path), path.mkdir()),
    "an empty file": lambda path, store: (_gone(path), path.touch()),
    "another file": lambda path, store: (_gone(path), path.write_bytes(b"some other text\n" * 9)),
    "64 GiB of nothing": lambda path, store: (_gone(path), _sparse(path)),
    "a link to zeros without end": lambda path, store: (_gone(path), path.symlink_to("/dev/zero")),
    "a link to nowhere": lambda path, store: (_gone(path), path.symlink_to(store / "nowhere")),
    "a link to itself": lambda path, store: (_gone(path), path.symlink_to(path)),
    "a link to another's file": lambda path, store: (
        (
            _gone(path),
            path.symlink_to(outside(store) / "secret.h5"),
        )
    ),
    "a link to another's folder": lambda path, store: (_gone(path), path.symlink_to(outside(store))),
    "a link to a copy": _copy_outside,
    "a link to a pipe": lambda path, store: (
        (
            _gone(path),
            os.mkfifo(store.parent / "pipe"),
            path.symlink_to(store.parent / "pipe"),
        )
    ),
}


def _zeros(path: Path, store: Path) -> None:
    _gone(path)
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))


if os.geteuid() == 0:
    THINGS["zeros without end"] = _zeros

WHERE: dict[str, Callable[[Path], Path]] = {
    "store.json": lambda store: store / "store.json",
    "lock": lambda store: store / "lock",
    "lock.change": lambda store: store / "lock.change",
    "checkpoints": lambda store: store / "checkpoints",
    "objects": lambda store: store / "objects",
    "the newest checkpoint": newest,
    "one more checkpoint": lambda store: store / "checkpoints" / "000000000099.h5",
    "an object": an_object,
    "a folder of objects": lambda store: an_object(store).parent,
    "one more object": lambda store: an_object(store).with_name(
        f"{an_object(store).parent.name}{'0' * 30}.h5"
    ),
    "a leftover": lambda store: store / "objects" / ".new-7.tmp",
    "the next object": lambda store: store / "objects" / ".new-0.tmp",
}


def _placed(where: Callable[[Path], Path], thing: Callable[[Path, Path], object]) -> Spoil:
    return lambda store: thing(where(store), store)


for _place, _where in WHERE.items():
    for _thing, _put in THINGS.items():
        STORES[f"{_place}: {_thing}"] = _placed(_where, _put)


# --- Names ----------------------------------------------------------------------------


@defect("names: not UTF-8")
def _(store: Path) -> None:
    for folder in ("checkpoints", "objects"):
        os.close(os.open(os.fsencode(store / folder) + b"/\xff\xfe.h5", os.O_CREAT, 0o666))
        os.close(os.open(os.fsencode(store / folder) + b"/.\xff.tmp", os.O_CREAT, 0o666))
    os.mkdir(os.fsencode(store / "objects") + b"/\xff\xfe")  # noqa: PTH102  (bytes)


@defect("names: of checkpoints, almost")
def _(store: Path) -> None:
    good = newest(store)
    for name in ("1", "00000000000a", "000000000001-", "-000000000001", "00000000000001", "9" * 30, "9" * 19):
        shutil.copyfile(good, good.with_name(f"{name}.h5"))
    for name in ("\u0663" * 12, "000000000001-999999999", "\x1b[2J"):
        shutil.copyfile(good, good.with_name(f"{name}.h5"))


@defect("names: 3,000 checkpoints that are nothing")
def _(store: Path) -> None:
    for number in range(3000):
        (store / "checkpoints" / f"{number + 100:012}.h5").touch()


@defect("names: folders within folders")
def _(store: Path) -> None:
    deep = store / "objects" / "ab"
    for _ in range(200):
        deep = deep / "ab"
    deep.mkdir(parents=True)


@defect("names: a checkpoint of another step")
def _(store: Path) -> None:
    newest(store).rename(store / "checkpoints" / "000000000999.h5")


@defect("names: two checkpoints are one")
def _(store: Path) -> None:
    shutil.copyfile(newest(store), store / "checkpoints" / "000000000999.h5")


@defect("names: an object in the place of a checkpoint")
def _(store: Path) -> None:
    shutil.copyfile(an_object(store), newest(store))


@defect("names: a checkpoint in the place of an object")
def _(store: Path) -> None:
    shutil.copyfile(newest(store), an_object(store))


@defect("names: another object in the place of an object")
def _(store: Path) -> None:
    one = an_object(store)
    other = next(p for p in sorted((store / "objects").glob("??/*.h5")) if p != one)
    shutil.copyfile(other, one)


@defect("an object: only its head")
def _(store: Path) -> None:
    os.truncate(an_object(store), 100)


@defect("an object: longer")
def _(store: Path) -> None:
    with an_object(store).open("ab") as file:
        file.write(bytes(1000))


@defect("an object: 64 GiB longer")
def _(store: Path) -> None:
    os.truncate(an_object(store), 1 << 36)


@defect("a checkpoint: only its head")
def _(store: Path) -> None:
    os.truncate(newest(store), 1000)


@defect("a checkpoint: 64 GiB longer")
def _(store: Path) -> None:
    os.truncate(newest(store), 1 << 36)


# --- store.json -----------------------------------------------------------------------

_GOOD = {"format": "ann_ckpt store", "version": 1}
SETTINGS: dict[str, bytes] = {
    "nothing": b"",
    "not UTF-8": b'{"format": "\xff\xfe"}',
    "UTF-16": json.dumps(_GOOD).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(_GOOD).encode(),
    "NULs": bytes(5000),
    "no JSON": b"format = ann_ckpt store",
    "a list": b"[]",
    "a text": b'"ann_ckpt store"',
    "null": b"null",
    "nested deeply": b'{"format": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects nested deeply": b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
    "numbers of many digits": b'{"version": ' + b"9" * 50_000 + b"}",
    "a megabyte of spaces": b" " * (1 << 20) + json.dumps(_GOOD).encode(),
    "64 MB of spaces": b" " * (64 << 20) + json.dumps(_GOOD).encode(),
    "many keys": json.dumps({str(n): n for n in range(100_000)} | _GOOD).encode(),
    "control characters": b'{"format": "ann_ckpt store", "version": "\\u001b[2J"}',
    "lone surrogates": b'{"format": "ann_ckpt store", "version": "\\ud800"}',
}
for _version in (0, 2, -1, 1.5, True, None, "1", [1], {"a": 1}, float("nan"), 10**30):
    SETTINGS[f"version {_version!a}"] = json.dumps({**_GOOD, "version": _version}).encode()
for _format in (None, 7, [1], "ann_ckpt", "", {"a": 1}):
    SETTINGS[f"format {_format!a}"] = json.dumps({**_GOOD, "format": _format}).encode()
for _compression in (None, 5, [], {}, "", "lzma", "\ud800", True):
    SETTINGS[f"compression {_compression!a}"] = json.dumps({**_GOOD, "compression": _compression}).encode()


def _settings(content: bytes) -> Spoil:
    return lambda store: (store / "store.json").write_bytes(content)


for _what, _content in SETTINGS.items():
    STORES[f"store.json: {_what}"] = _settings(_content)


# --- Lock files -----------------------------------------------------------------------

LOCKS: dict[str, bytes] = {
    "of another host": b'{"host": "elsewhere", "pid": 1, "since": "now"}',
    "no JSON": b"locked by me",
    "a list": b"[1, 2]",
    "not UTF-8": b'{"host": "\xff"}',
    "nested deeply": b"[" * 4000,
    "other types": b'{"host": [1], "pid": {"a": 1}, "since": 5, "purpose": ["a"]}',
    "control characters": b'{"host": "\\u001b[2J", "pid": "\\u0007", "purpose": "\\u001b]0;x\\u0007"}',
    "lone surrogates": b'{"host": "\\ud800", "pid": "\\udfff", "purpose": "\\ud800"}',
    "numbers of many digits": b'{"host": ' + b"9" * 4080 + b"}",
}
for _lock in ("lock", "lock.change"):
    for _what, _content in LOCKS.items():
        STORES[f"{_lock}: {_what}"] = lambda s, n=_lock, c=_content: (s / n).write_bytes(c)  # type: ignore[misc]


# --- Tables ---------------------------------------------------------------------------


def table(what: str, path: str, **columns: Any) -> None:
    """Register other values in columns of a table of the newest checkpoint."""

    def spoil(store: Path) -> None:
        with sealed(newest(store)) as (file, _):
            records = file[path][()].astype(TABLE_TYPES[path])
            for column, value in columns.items():
                records[column] = value
            replaced(file, path, records)

    STORES[f"{path}: {what}"] = spoil


for _name in (b"", b"../../../etc/passwd", b"..", b"A" * 32, b"\0" * 32, b"0" * 31, b"\xff" * 32, b"0" * 32):
    table(f"name {_name!r}", layout.SHARED_OBJECTS, name=_name)
for _number in (0, 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
    table(f"entries {_number}", layout.SHARED_OBJECTS, entries=_number)
    table(f"size {_number}", layout.SHARED_OBJECTS, size=_number)
    table(f"pieces {_number}", layout.SHARED_ARRAYS, pieces=_number)
    table(f"blocks {_number}", layout.SHARED_ARRAYS, blocks=_number)
    table(f"start {_number}", layout.SHARED_PIECES, start=_number)
    table(f"count {_number}", layout.SHARED_PIECES, count=_number)
    table(f"object {_number}", layout.SHARED_PIECES, object=_number % 2**32)
    table(f"count {_number}", layout.SHARED_BLOCKS, count=_number % 2**32)
for _shape in (
    b"",
    b"x",
    b"-3",
    b"-3x-3",
    b"0",
    b"3x0",
    b"99999999999999999999x3",
    b"99999999999999999999",
    b"18446744073709551616",
    b"4611686018427387904",
    "\u0663".encode(),
    b"\xff",
    b"1_0",
    b"1" * 64,
    b"x".join([b"1"] * 32),
    b"1099511627776",
):
    table(f"shape {_shape!r}", layout.SHARED_ARRAYS, shape=_shape)
for _dtype in (b"", b"O", b"|O8", b"<c8", b"|V8", b"\xff", b"|S8", b"<f2", b">f8", b"<f4"):
    table(f"type {_dtype!r}", layout.SHARED_ARRAYS, dtype=_dtype)
table("all of one object", layout.SHARED_PIECES, object=0, start=0)
table(
    "a terabyte, believed by all tables",
    layout.SHARED_ARRAYS,
    shape=str(2**37).encode(),
)


def _reshaped(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(store: Path) -> None:
        with sealed(newest(store)) as (file, _):
            replaced(file, path, change(file[path][()].astype(TABLE_TYPES[path])))

    return spoil


for _path in (layout.SHARED_OBJECTS, layout.SHARED_ARRAYS, layout.SHARED_PIECES, layout.SHARED_BLOCKS):
    STORES[f"{_path}: empty"] = _reshaped(_path, lambda t: t[:0])
    STORES[f"{_path}: one short"] = _reshaped(_path, lambda t: t[:-1])
    STORES[f"{_path}: twice"] = _reshaped(_path, lambda t: np.concatenate((t, t)))
    STORES[f"{_path}: backwards"] = _reshaped(_path, lambda t: t[::-1])
    STORES[f"{_path}: two axes"] = _reshaped(_path, lambda t: np.stack((t, t)))
    STORES[f"{_path}: other columns"] = _reshaped(_path, lambda t: np.zeros(len(t), [("a", "i4")]))
    STORES[f"{_path}: numbers"] = _reshaped(_path, lambda t: np.arange(len(t)))
    STORES[f"{_path}: one value"] = _reshaped(_path, lambda t: t[0])


@defect("tables: 200,000 objects that are not there")
def _(store: Path) -> None:
    with sealed(newest(store)) as (file, _):
        kind = TABLE_TYPES[layout.SHARED_OBJECTS]
        records = file[layout.SHARED_OBJECTS][()].astype(kind)
        more = np.array([(f"{n:032x}".encode(), 9, 9) for n in range(200_000)], kind)
        replaced(file, layout.SHARED_OBJECTS, np.concatenate((records, more)))


@defect("tables: one array of 2**40 entries in one object that says so")
def _(store: Path) -> None:
    with sealed(newest(store)) as (file, rows):
        tables = {p: file[p][()].astype(TABLE_TYPES[p]) for p in TABLE_TYPES}
        arrays, objects, pieces, blocks = (
            tables[p]
            for p in (layout.SHARED_ARRAYS, layout.SHARED_OBJECTS, layout.SHARED_PIECES, layout.SHARED_BLOCKS)
        )
        # The last array becomes one piece of as many blocks as the table of blocks can say.
        entries = 2**31
        first_piece, first_block = (int(arrays[c][:-1].sum()) for c in ("pieces", "blocks"))
        arrays[-1]["shape"], arrays[-1]["pieces"], arrays[-1]["blocks"] = str(entries).encode(), 1, 1
        pieces = pieces[: first_piece + 1]
        blocks = blocks[: first_block + 1]
        pieces[-1]["start"], pieces[-1]["count"], blocks[-1]["count"] = 0, entries, entries
        objects[pieces[-1]["object"]]["entries"] = entries
        for path, records in zip(
            (layout.SHARED_ARRAYS, layout.SHARED_OBJECTS, layout.SHARED_PIECES, layout.SHARED_BLOCKS),
            (arrays, objects, pieces, blocks),
            strict=True,
        ):
            replaced(file, path, records)
        last = [p for p, row in rows.items() if row.encoding == layout.E_SHARED][-1]
        rows[last] = replace(rows[last], digest=digest_of(blocks[-1:]))


@defect("links: HDF5 sees another file")
def _(store: Path) -> None:
    import h5py

    with sealed(newest(store)) as (file, rows):
        path = next(p for p, row in rows.items() if row.encoding == layout.E_SHARED)
        del file[path]
        file[path] = h5py.ExternalLink(str(outside(store) / "secret.h5"), "/values")


@defect("links: HDF5 never finishes to open one")
def _(store: Path) -> None:
    with sealed(newest(store)) as (_, rows):
        path = next(p for p, row in rows.items() if row.encoding == layout.E_SHARED)
    endless(newest(store), path)
