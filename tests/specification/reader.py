"""A reader written from docs/format.md and docs/store.md alone: it imports nothing of the package.

Everything is checked that the two pages give a digest for. Values come out as plain numpy arrays.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash

BLOCK_BYTES, LARGE_BYTES, GROUP = 64 << 10, 32 << 10, 256
ROOT = {"format", "format_version", "created", "time_step", "dt", "seed", "reseeded", "tag"}
GROUPS = {
    "geometry",
    "part",
    "type",
    "pre",
    "post",
    "target",
    "rows",
    "delay_steps",
    "pre_size",
    "post_size",
    "partial",
}
_COLUMNS = ("row", "kind", "packed", "dtype", "shape", "chunk", "first")
DATASET = np.dtype(list(zip(_COLUMNS, ("<u4", "u1", "u1", "S8", "S64", "<u8", "<u8"), strict=True)))
CHUNK = np.dtype([("offset", "<u8"), ("size", "<u4"), ("mask", "<u4")])


def unescape(link: str) -> str:
    return "" if link == "%" else re.sub("%([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), link)


def type_bytes(dtype: np.dtype) -> bytes:
    if dtype.names is None:
        return f"{dtype.kind}{dtype.itemsize}\0".encode()
    return b"".join(name.encode() + b"\0" + type_bytes(dtype[name]) for name in dtype.names)


def digest(*parts: bytes) -> str:
    return xxhash.xxh3_128(b"".join(parts)).hexdigest()


def fixed(values: Any) -> np.ndarray:
    """What h5py gives for a text is bytes; for everything else, the type that is stored."""
    return np.asarray(values)


def group_digest(attributes: dict[str, np.ndarray], known: set[str]) -> str:
    chosen = sorted((name for name in attributes if name in known), key=str.encode)
    return digest(
        *(n.encode() + b"\0" + type_bytes(attributes[n].dtype) + attributes[n].tobytes() for n in chosen)
    )


class File:
    """One checkpoint file, everything read and checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw = path.read_bytes()
        with h5py.File(path) as file:
            self.root = self._attributes(file)
            assert self.root["format"].tobytes().rstrip(b"\0") == b"ann_ckpt"
            self.version = tuple(self.root["format_version"].tolist())
            assert self.version[0] == 1
            table = file["index"][()]
            assert digest(type_bytes(table.dtype), table.tobytes()) == self._text("index_digest")
            if self.version >= (1, 2):
                assert group_digest(self.root, ROOT | {"index_digest"}) == self._text("header_digest")
            self.index = [
                tuple(v.decode() if isinstance(v, bytes) else v for v in row) for row in table.tolist()
            ]
            self.shared = [path for path, encoding, *_ in self.index if encoding == "shared"]
            self.trailer = self._read_trailer()
            self.values: dict[str, Any] = {}
            self.tables = {p: file[p][()] for p, encoding, *_ in self.index if encoding == "table"}
            for number, (path_, encoding, version, _, expected) in enumerate(self.index):
                self._read(file, number, path_, encoding, version, expected)
            self._check_versions()

    def _check_versions(self) -> None:
        """Values that are arrays stand in a file of 1.3, and the index marks them, and none else."""
        marked = {"array": 3, "shared": 2}
        for path, encoding, version, locality, _ in self.index:
            if not locality or encoding not in marked or locality == "unknown":
                continue
            owner = "/".join(path.split("/")[:2])
            axes = self.values[owner]["geometry"].size if path.startswith("populations") else 1
            own = 0 if locality == "global" else axes
            assert (version == marked[encoding]) == (self.values[path].ndim > own), path
            assert self.version >= (1, 3) or version != marked[encoding]

    def _text(self, name: str) -> str:
        return self.root[name].tobytes().rstrip(b"\0").decode()

    @staticmethod
    def _attributes(group: Any) -> dict[str, np.ndarray]:
        found = {}
        for name in group.attrs:
            kind = group.attrs.get_id(name).dtype
            found[name] = np.array(group.attrs[name], kind if kind.kind == "S" else None)
        return found

    def _read(self, file: Any, number: int, path: str, encoding: str, version: int, expected: str) -> None:
        if encoding == "group":
            attributes = self._attributes(file[path or "/"])
            assert group_digest(attributes, ROOT if not path else GROUPS) == expected, path
            self.values[path] = attributes
        elif encoding == "shared":
            assert version in (1, 2)
            self.values[path] = self._shared_array(self.shared.index(path), expected)
        else:
            dataset = file[path]
            values = np.array(dataset[()], dataset.dtype)
            if encoding == "array" and version >= 2:
                assert self._array_digest(number, values) == expected, path
            else:
                assert digest(type_bytes(values.dtype), values.tobytes()) == expected, path
            if number in self.trailer:
                assert self._by_trailer(number, values), path
            if encoding == "text":
                self.values[path] = values.tobytes().rstrip(b"\0").decode()
            elif encoding == "globals":
                self.values[path] = {unescape(n): values[n] for n in values.dtype.names}
            else:
                self.values[path] = values

    def _array_digest(self, number: int, values: np.ndarray) -> str:
        head = type_bytes(values.dtype) + "x".join(map(str, values.shape)).encode() + b"\0"
        if values.nbytes < LARGE_BYTES or not values.shape:
            return digest(head, values.tobytes())
        entry = values.nbytes // values.shape[0]
        size = max(1, BLOCK_BYTES // entry) * entry
        data = values.tobytes()
        leaves = [xxhash.xxh3_64_intdigest(data[i : i + size]) for i in range(0, len(data), size)]
        leaf = np.array(leaves, "<u8")
        groups = [xxhash.xxh3_64_intdigest(leaf[i : i + GROUP].tobytes()) for i in range(0, leaf.size, GROUP)]
        firsts = dict(self.tables["digests/arrays"].tolist())
        stored = self.tables["digests/blocks"][firsts[number] :][: len(groups) + leaf.size]
        assert stored.tolist() == [*groups, *leaves]
        return digest(head, np.array(groups, "<u8").tobytes())

    # --- Trailer --------------------------------------------------------------------

    def _read_trailer(self) -> dict[int, np.void]:
        place = {0: 40, 2: 28, 3: 28}[self.raw[8]]
        end = struct.unpack_from("<Q", self.raw, place)[0]
        if end == len(self.raw):
            return {}
        count, chunks, expected, magic = struct.unpack("<QQ16s8s", self.raw[-40:])
        assert magic == b"annplace"
        datasets = self.raw[-40 - count * DATASET.itemsize : -40]
        assert xxhash.xxh3_128_digest(datasets) == expected
        assert end + chunks * CHUNK.itemsize + len(datasets) + 40 == len(self.raw)
        self.chunks = np.frombuffer(self.raw, CHUNK, chunks, end)
        records = np.frombuffer(datasets, DATASET)
        assert np.all(np.diff(records["row"].astype(np.int64)) > 0)
        return {int(r["row"]): r for r in records}

    def _by_trailer(self, number: int, values: np.ndarray) -> bool:
        """Whether the bytes that the trailer points to are the values."""
        record = self.trailer[number]
        assert record["shape"].decode() == "x".join(map(str, values.shape))
        assert int(np.dtype(record["dtype"].decode()).itemsize) == values.dtype.itemsize
        chunk, entry = int(record["chunk"]), values.nbytes // values.shape[0]
        many = 1 if record["kind"] == 1 else -(-values.shape[0] // chunk)
        data = b""
        for offset, size, mask in self.chunks[int(record["first"]) :][:many].tolist():
            part = self.raw[offset : offset + size]
            if record["packed"] and not mask & 2:
                part = zlib.decompress(part)
            if record["packed"] and not mask & 1:
                part = np.frombuffer(part, np.uint8).reshape(values.itemsize, -1).T.tobytes()
            assert record["kind"] == 1 or len(part) == chunk * entry
            data += part
        return data[: values.nbytes] == values.tobytes()

    # --- Shared arrays ----------------------------------------------------------------

    def _shared_array(self, number: int, expected: str) -> np.ndarray:
        objects, arrays = self.tables["shared/objects"], self.tables["shared/arrays"]
        pieces, blocks = self.tables["shared/pieces"], self.tables["shared/blocks"]
        first = [int(arrays[c][:number].sum()) for c in ("pieces", "blocks")]
        row = arrays[number]
        pieces = pieces[first[0] :][: int(row["pieces"])]
        blocks = blocks[first[1] :][: int(row["blocks"])]
        assert digest(type_bytes(blocks.dtype), blocks.tobytes()) == expected
        dtype = np.dtype(row["dtype"].decode())
        shape = tuple(map(int, row["shape"].decode().split("x")))
        parts = [np.empty((0, *shape[1:]), dtype)]
        for piece in pieces:
            values = self._object(objects[piece["object"]], dtype, shape[1:])
            parts.append(values[int(piece["start"]) :][: int(piece["count"])])
        values = np.concatenate(parts)
        assert values.shape == shape
        at = 0
        for count, high, low in blocks.tolist():
            found = xxhash.xxh3_128_intdigest(values[at : at + count].tobytes())
            assert found == high << 64 | low
            at += count
        assert at == shape[0]
        return values

    def _object(self, record: np.void, dtype: np.dtype, entry: tuple[int, ...]) -> np.ndarray:
        name = record["name"].decode()
        path = self.path.parent.parent / "objects" / name[:2] / f"{name}.h5"
        assert path.stat().st_size == record["size"]
        with h5py.File(path) as file:
            assert file.attrs["format"] == b"ann_ckpt object 1"
            values = file["values"][()]
        assert (values.dtype, values.shape) == (dtype, (int(record["entries"]), *entry))
        return values


class Network:
    """What a file says about the network, by true names."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.time_step = int(file.root["time_step"]) if "time_step" in file.root else None
        self.metadata = json.loads(file.values["metadata"])
        self.populations = {
            unescape(n): self._attributes(f"populations/{n}") for n in self._in("populations")
        }
        self.projections = {
            unescape(n): self._projection(f"projections/{n}") for n in self._in("projections")
        }

        self.recordings = {unescape(n): self._recording(f"recordings/{n}") for n in self._in("recordings")}
        assert not self.recordings or self.file.version >= (1, 4)

    def _recording(self, path: str) -> dict[str, Any]:
        values = self.file.values
        found = json.loads(values[f"{path}/about"])
        assert set(found) == {"of", "settings", "carried"}
        found["ranks"] = values.get(f"{path}/ranks")
        found["series"] = {}
        for link in self._in(f"{path}/series"):
            arrays = {n: values[f"{path}/series/{link}/{n}"] for n in self._in(f"{path}/series/{link}")}
            assert arrays
            assert arrays.keys() <= {"times", "ranks", "values"}
            assert len({len(array) for array in arrays.values()}) == 1
            found["series"][unescape(link)] = arrays
        return found

    def _in(self, group: str) -> list[str]:
        return [p.rpartition("/")[2] for p, *_ in self.file.index if p and p.rpartition("/")[0] == group]

    def _attributes(self, path: str) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for group in ("parameters", "variables", "dynamics"):
            found |= self.file.values.get(f"{path}/global_{group}", {})
            found |= {
                unescape(n): self.file.values[f"{path}/{group}/{n}"] for n in self._in(f"{path}/{group}")
            }
        return found

    def _projection(self, path: str) -> dict[str, Any]:
        values = self.file.values
        header = values[path]
        names = ("post_ranks", "row_ptr", "pre_ranks", "delays", "pre_view", "post_view", "order")
        found: dict[str, Any] = {n: values[f"{path}/{n}"] for n in names if f"{path}/{n}" in values}
        for name in ("pre", "post", "target"):
            found[name] = header[name].tobytes().rstrip(b"\0").decode()
        if "delay_steps" in header:
            found["delays"] = int(header["delay_steps"])
        pathways = f"{path}/pathway_delays"
        found["pathway_delays"] = {unescape(n): values[f"{pathways}/{n}"] for n in self._in(pathways)}
        return {**found, **self._attributes(path)}


def read(path: Path) -> Network:
    return Network(File(path))


def checkpoints(store: Path) -> list[Path]:
    """The checkpoint files of a store in the order in which they were saved."""
    settings = json.loads((store / "store.json").read_text())
    assert (settings["format"], settings["version"]) == ("ann_ckpt store", 1)

    def place(path: Path) -> tuple[int, int]:
        step, _, number = path.stem.partition("-")
        return int(number or 0), int(step)

    return sorted((p for p in (store / "checkpoints").iterdir() if p.suffix == ".h5"), key=place)
