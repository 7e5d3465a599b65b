"""Archives and MATLAB files with one defect each."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.io import savemat

from ann_ckpt.errors import CorruptFileError, UnrecognisedFileError, UnsafeFileError
from tests.malformed.legacy_pickles import (
    COMMAND,
    PROJECTION,
    SAMPLES,
    called,
    entry,
    projection,
    sample,
    text,
)

__all__ = ["SAMPLES"]

# --- archives ------------------------------------------------------------------------------


def npy(array: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(array), allow_pickle=True)
    return out.getvalue()


def npy_header(header: str, data: bytes = b"", version: int = 1) -> bytes:
    body = header.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(body)) + body + data


def good_members() -> dict[str, bytes]:
    return {
        f"{key}.npy": npy(np.array([*value, None], dtype=object)[:-1] if key in ("pre_ranks", "w") else value)
        for key, value in PROJECTION.items()
    }


def archive(
    members: dict[str, bytes] | None = None, method: int = zipfile.ZIP_DEFLATED, **extra: bytes
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in ((good_members() if members is None else members) | extra).items():
            file.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return out.getvalue()


def changed(**members: bytes) -> bytes:
    return archive(good_members() | {f"{key}.npy": data for key, data in members.items()})


def edited(find: bytes, replace: bytes, count: int = -1) -> bytes:
    data = archive(method=zipfile.ZIP_STORED)
    assert find in data
    return data.replace(find, replace, count)


def object_member(pickled: bytes) -> bytes:
    return npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (), }\n", pickled)


def npz(name: str, expected: type[Exception], make: Callable[[], bytes]) -> None:
    sample(f"npz: {name}", expected)(make)


npz("empty", CorruptFileError, lambda: archive({}))
npz("only the end of one", CorruptFileError, lambda: b"PK\x05\x06" + bytes(18))
npz("cut in half", CorruptFileError, lambda: archive()[:900])
npz("without its end", CorruptFileError, lambda: archive()[:-1])
npz("bytes behind", CorruptFileError, lambda: archive() + b"x")
npz("a comment", CorruptFileError, lambda: archive()[:-2] + b"\x03\x00abc")
npz("damaged data", CorruptFileError, lambda: edited(b"G?\xe0", b"G?\xe1"))
npz(
    "calls",
    UnsafeFileError,
    lambda: changed(w=object_member(entry(called("posix", "system", text(COMMAND))))),
)
npz(
    "calls in a member that is not needed",
    UnsafeFileError,
    lambda: changed(zz=object_member(entry(called("posix", "system", text(COMMAND))))),
)
npz("a pickle by another name", UnsafeFileError, lambda: entry(called("posix", "system", text(COMMAND))))
npz("a pickle for a member", CorruptFileError, lambda: changed(w=projection()))
npz("not a member of numpy's", CorruptFileError, lambda: archive(good_members() | {"evil.py": b"import os"}))
npz("a folder", CorruptFileError, lambda: archive(good_members() | {"folder/": b""}))
npz("leads out of the folder", UnsafeFileError, lambda: archive(good_members() | {"../../x.npy": npy(1.0)}))
npz(
    "leads out with backslashes",
    UnsafeFileError,
    lambda: archive(good_members() | {"..\\..\\x.npy": npy(1.0)}),
)
npz("begins at the root", UnsafeFileError, lambda: archive(good_members() | {"/etc/x.npy": npy(1.0)}))
npz("a name with a zero byte", CorruptFileError, lambda: edited(b"target.npy", b"tar\0et.npy"))
npz(
    "an evaluated header",
    CorruptFileError,
    lambda: changed(
        w=npy_header(
            "{'descr': __import__('os').system('touch ran'), 'fortran_order': False, 'shape': (1,), }\n"
        )
    ),
)
npz("a deep header", CorruptFileError, lambda: changed(w=npy_header("{'descr': " + "(" * 20_000 + "\n")))
npz(
    "a header of 16 million bytes",
    UnsafeFileError,
    lambda: changed(w=b"\x93NUMPY\x02\x00\x00\x00\x00\x01" + b"x" * 100),
)
npz(
    "a header of two megabytes",
    UnsafeFileError,
    lambda: changed(w=b"\x93NUMPY\x02\x00" + struct.pack("<I", 2 << 20) + b" " * (2 << 20)),
)
npz("a header cut short", CorruptFileError, lambda: changed(w=b"\x93NUMPY\x01\x00\xff"))
npz("a version of numpy to come", CorruptFileError, lambda: changed(w=b"\x93NUMPY\x09\x00" + bytes(100)))
npz(
    "a huge shape",
    CorruptFileError,
    lambda: changed(w=npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }\n")),
)
npz(
    "a shape that overflows",
    CorruptFileError,
    lambda: changed(
        w=npy_header(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0), }\n", b"x"
        )
    ),
)
npz(
    "a shape that no number ends",  # which may be taken apart in two ways at each digit
    CorruptFileError,
    lambda: changed(
        w=npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1" * 60_000 + "X), }\n")
    ),
)
npz(
    "a shape of 40 axes",
    UnsafeFileError,
    lambda: changed(
        w=npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 40 + "), }\n", bytes(8))
    ),
)
npz(
    "a shape whose digits do not end",
    CorruptFileError,
    lambda: changed(
        w=npy_header(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1" * 30_000 + "), }\n", bytes(8)
        )
    ),
)
npz(
    "texts of no length, without end",
    CorruptFileError,
    lambda: changed(
        w=npy_header("{'descr': '|S0', 'fortran_order': False, 'shape': (999999999999999,), }\n")
    ),
)
npz(
    "objects that are addresses",
    CorruptFileError,
    lambda: changed(
        w=npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1000,), }\n", bytes(8000))
    ),
)
npz("a structured type", CorruptFileError, lambda: changed(w=npy(np.zeros(2, [("a", "f8"), ("b", "O")]))))
npz(
    "a void type",
    UnsafeFileError,
    lambda: changed(w=npy_header("{'descr': '|V8', 'fortran_order': False, 'shape': (1,), }\n", bytes(8))),
)
npz("a complex type", UnsafeFileError, lambda: changed(w=npy(np.zeros(2, complex))))
npz(
    "dates",
    UnsafeFileError,
    lambda: changed(
        w=npy_header("{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,), }\n", bytes(8))
    ),
)
npz("data behind an array", CorruptFileError, lambda: changed(w=npy([1.0]) + b"x"))
npz("data behind a pickle", CorruptFileError, lambda: changed(w=object_member(projection() + b"x")))
npz("an archive in an archive", CorruptFileError, lambda: archive({"a.npy": archive()}))
npz(
    "too many members",
    UnsafeFileError,
    lambda: archive({f"{i}.npy": b"" for i in range(20_001)}, zipfile.ZIP_STORED),
)
npz("packed with bzip2", UnsafeFileError, lambda: archive(method=zipfile.ZIP_BZIP2))
npz("packed with LZMA", UnsafeFileError, lambda: archive(method=zipfile.ZIP_LZMA))
npz("inside a directory that is too long", UnsafeFileError, lambda: _with_directory(5 << 20))
npz("a bomb", UnsafeFileError, lambda: changed(w=npy(np.zeros(40 << 17))))
npz(
    "many small bombs",
    UnsafeFileError,
    lambda: archive({f"{i}.npy": npy(np.zeros(12 << 17)) for i in range(4)}),
)
npz("a bomb that says it is small", CorruptFileError, lambda: _with_size(npy(np.zeros(8 << 17)), 4096))
npz("a member that says it is large", UnsafeFileError, lambda: _with_size(npy(np.zeros(4)), 1 << 31))


def _with_directory(size: int) -> bytes:
    data = bytearray(archive())
    struct.pack_into("<L", data, len(data) - 10, size)
    return bytes(data)


def _with_size(content: bytes, size: int) -> bytes:
    data = bytearray(archive({"w.npy": content}))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, size)
    struct.pack_into("<L", data, 22, size)
    return bytes(data)


@sample("npz: a member twice", CorruptFileError)
def _() -> bytes:
    data = archive({"target.npy": npy("exc"), "larget.npy": npy("inh")}, zipfile.ZIP_STORED)
    return data.replace(b"larget.npy", b"target.npy")


@sample("npz: an encrypted member", UnsafeFileError)
def _() -> bytes:
    data = bytearray(archive({"w.npy": npy(1.0)}, zipfile.ZIP_STORED))
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@sample("npz: members that overlap", UnsafeFileError)
def _() -> bytes:
    data = bytearray(archive({"a.npy": npy(1.0), "b.npy": npy(2.0)}, zipfile.ZIP_STORED))
    last = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, last + 42, 0)
    return bytes(data)


@sample("npz: a member before the file", CorruptFileError)
def _() -> bytes:
    data = bytearray(archive({"a.npy": npy(1.0)}, zipfile.ZIP_STORED))
    struct.pack_into("<L", data, data.rfind(b"PK\x01\x02") + 42, 0xFFFFFF00)
    return bytes(data)


# --- MATLAB files --------------------------------------------------------------------------

MATRIX, COMPRESSED = 14, 15
INT8, INT32, UINT32, DOUBLE, UTF8 = 1, 5, 6, 9, 16
CELL, STRUCT, OBJECT, CHAR, SPARSE, NUMBER, INT32_CLASS, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 6, 12, 16, 17


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(form: int, dims: tuple[int, ...], *content: bytes, name: bytes = b"w", flags: int = 0) -> bytes:
    head = element(UINT32, struct.pack("<II", form | flags << 8, 0))
    size = element(INT32, struct.pack(f"<{len(dims)}i", *dims))
    return element(MATRIX, head + size + element(INT8, name) + b"".join(content))


def numbers(*values: float) -> bytes:
    return matrix(
        NUMBER, (1, len(values)), element(DOUBLE, struct.pack(f"<{len(values)}d", *values)), name=b""
    )


def struct_of(fields: dict[str, bytes], width: int = 8, dims: tuple[int, int] = (1, 1)) -> bytes:
    names = b"".join(name.encode().ljust(width, b"\0") for name in fields)
    return matrix(
        STRUCT, dims, element(INT32, struct.pack("<i", width)), element(INT8, names), *fields.values()
    )


def mat_file(*elements: bytes, header: bytes = b"MATLAB 5.0 MAT-file", subsystem: bytes = bytes(8)) -> bytes:
    return header.ljust(116) + subsystem + b"\x00\x01IM" + b"".join(elements)


def compressed(data: bytes) -> bytes:
    packed = zlib.compress(data, 1)
    return struct.pack("<II", COMPRESSED, len(packed)) + packed


def saved(**changes: Any) -> bytes:
    out = io.BytesIO()
    cells = np.empty(2, dtype=object)
    cells[:] = [np.array([0, 1]), np.array([2])]
    savemat(out, PROJECTION | {"pre_ranks": cells, "w": [[0.5, 0.25, 0.125]], "parameters": "none"} | changes)
    return out.getvalue()


def mat(name: str, expected: type[Exception], make: Callable[[], bytes]) -> None:
    sample(f"mat: {name}", expected)(make)


mat("only a header", CorruptFileError, mat_file)
mat(
    "version 7.3",
    UnrecognisedFileError,
    lambda: b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n",
)
mat("cut in half", CorruptFileError, lambda: saved()[:600])
mat("bytes behind", CorruptFileError, lambda: saved() + b"xyz")
mat("not a matrix", UnsafeFileError, lambda: mat_file(element(DOUBLE, bytes(8))))
mat("an element that is too long", CorruptFileError, lambda: mat_file(struct.pack("<II", MATRIX, 1 << 30)))
mat("a struct of a billion", CorruptFileError, lambda: mat_file(struct_of({"a": b""}, dims=(32768, 32768))))
mat("a cell of a billion", CorruptFileError, lambda: mat_file(matrix(CELL, (32768, 32768))))
mat(
    "a matrix of a billion",
    CorruptFileError,
    lambda: mat_file(matrix(NUMBER, (32768, 32768), element(DOUBLE, bytes(8)))),
)
mat(
    "characters, a billion",
    CorruptFileError,
    lambda: mat_file(matrix(CHAR, (32768, 32768), element(UTF8, b"abc"))),
)
mat(
    "dimensions that overflow",
    CorruptFileError,
    lambda: mat_file(matrix(NUMBER, (2**31 - 1,) * 4, element(DOUBLE, bytes(8)))),
)
mat(
    "negative dimensions",
    CorruptFileError,
    lambda: mat_file(matrix(NUMBER, (-1, -1), element(DOUBLE, bytes(8)))),
)
mat("no dimensions", CorruptFileError, lambda: mat_file(matrix(NUMBER, (), element(DOUBLE, bytes(8)))))
mat("33 dimensions", CorruptFileError, lambda: mat_file(matrix(NUMBER, (1,) * 33, element(DOUBLE, bytes(8)))))
mat(
    "20,971 fields",
    UnsafeFileError,
    lambda: mat_file(struct_of({f"f{i:06}": element(MATRIX, b"") for i in range(20_971)})),
)
mat(
    "fields of no length",
    CorruptFileError,
    lambda: mat_file(matrix(STRUCT, (1, 1), element(INT32, struct.pack("<i", 0)), element(INT8, b"abc"))),
)
mat(
    "fields of a negative length",
    CorruptFileError,
    lambda: mat_file(
        matrix(STRUCT, (1, 1), element(INT32, struct.pack("<i", -8)), element(INT8, b"abcdefgh"))
    ),
)
mat(
    "fields that are missing",
    CorruptFileError,
    lambda: mat_file(
        matrix(STRUCT, (1, 1), element(INT32, struct.pack("<i", 4)), element(INT8, b"aaa\0bbb\0"))
    ),
)
mat("cells 10,000 deep", UnsafeFileError, lambda: mat_file(_nested(10_000)))
mat("cells 65 deep", UnsafeFileError, lambda: mat_file(_nested(65)))
mat("an object", UnsafeFileError, lambda: mat_file(matrix(OBJECT, (1, 1), element(INT8, b"cls"))))
mat("a function", UnsafeFileError, lambda: mat_file(matrix(FUNCTION, (1, 1), numbers(1.0))))
mat("an opaque object", UnsafeFileError, lambda: mat_file(matrix(OPAQUE, (1, 1), numbers(1.0))))
mat("a sparse matrix", UnsafeFileError, lambda: mat_file(matrix(SPARSE, (4, 4), element(INT32, bytes(16)))))
mat(
    "complex numbers",
    UnsafeFileError,
    lambda: mat_file(matrix(NUMBER, (1, 1), element(DOUBLE, bytes(8)), element(DOUBLE, bytes(8)), flags=8)),
)
mat("an unknown class", UnsafeFileError, lambda: mat_file(matrix(99, (1, 1), element(DOUBLE, bytes(8)))))
mat(
    "a section of MATLAB's own",
    UnsafeFileError,
    lambda: mat_file(saved()[128:], subsystem=struct.pack("<Q", 128)),
)
mat("numbers of no type", CorruptFileError, lambda: mat_file(matrix(NUMBER, (1, 1), element(11, bytes(8)))))
mat("half a number", CorruptFileError, lambda: mat_file(matrix(NUMBER, (1, 1), element(DOUBLE, bytes(4)))))
mat(
    "too many numbers", CorruptFileError, lambda: mat_file(matrix(NUMBER, (1, 1), element(DOUBLE, bytes(80))))
)
mat("no flags", CorruptFileError, lambda: mat_file(element(MATRIX, element(INT32, bytes(8)))))
mat(
    "a small element that is large",
    CorruptFileError,
    lambda: mat_file(element(MATRIX, struct.pack("<HH", UINT32, 9) + bytes(4))),
)
mat(
    "bytes behind an array",
    CorruptFileError,
    lambda: mat_file(matrix(NUMBER, (1, 1), element(DOUBLE, bytes(8)), element(DOUBLE, bytes(8)))),
)
mat(
    "a bomb",
    UnsafeFileError,
    lambda: mat_file(compressed(matrix(NUMBER, (40 << 17, 1), element(DOUBLE, bytes(40 << 20))))),
)
mat(
    "two bombs",
    UnsafeFileError,
    lambda: mat_file(*[compressed(matrix(NUMBER, (20 << 17, 1), element(DOUBLE, bytes(20 << 20))))] * 2),
)
mat("compressed within compressed", UnsafeFileError, lambda: mat_file(compressed(compressed(numbers(1.0)))))
mat(
    "damaged compression",
    CorruptFileError,
    lambda: mat_file(compressed(numbers(1.0)).replace(b"\x78\x01", b"\x78\x02")),
)
mat("compression cut short", CorruptFileError, lambda: mat_file(_shortened(compressed(numbers(*range(100))))))
mat(
    "data behind compression",
    CorruptFileError,
    lambda: mat_file(_lengthened(compressed(numbers(*range(100))))),
)
mat("ranks that are texts", CorruptFileError, lambda: saved(pre_ranks=["ab", "cd"]))
mat("ranks that are floats", CorruptFileError, lambda: saved(pre_ranks=[[0.5, 1.5], [2.5, 3.5]]))
mat(
    "a foreign variable",
    UnrecognisedFileError,
    lambda: mat_file(matrix(NUMBER, (1, 1), element(DOUBLE, bytes(8)))),
)
mat(
    "a billion structs without a field",
    UnsafeFileError,
    lambda: mat_file(struct_of({}, dims=(1 << 15, 1 << 15))),
)
mat(
    "small numbers that become wide",
    UnsafeFileError,
    lambda: mat_file(compressed(matrix(NUMBER, (30 << 20, 1), element(INT8, bytes(30 << 20))))),
)
mat(
    "a variable twice",
    CorruptFileError,
    lambda: mat_file(struct_of({"a": numbers(1.0)}), struct_of({"a": numbers(2.0)})),
)
mat(
    "numbers that do not fit their class",
    CorruptFileError,
    lambda: mat_file(matrix(INT32_CLASS, (1, 1), element(DOUBLE, struct.pack("<d", 1e300)))),
)
mat("a hundred thousand variables", UnsafeFileError, lambda: mat_file(*[element(MATRIX, b"")] * 100_000))
mat(
    "empty cells in eight dimensions", CorruptFileError, lambda: mat_file(matrix(CELL, (0, *[2**31 - 1] * 7)))
)
mat(
    "an opaque object in a cell",
    UnsafeFileError,
    lambda: mat_file(matrix(CELL, (1, 1), matrix(OPAQUE, (1, 1), numbers(1.0)))),
)
mat(
    "version 4",
    UnrecognisedFileError,
    lambda: struct.pack("<5I", 0, 1 << 20, 1 << 20, 0, 2) + b"x\0" + bytes(200),
)


def _nested(depth: int) -> bytes:
    inner = numbers(1.0)
    pieces = [inner]
    size = len(inner)
    for _ in range(depth):
        head = matrix(CELL, (1, 1), name=b"")
        size += len(head)
        pieces.append(struct.pack("<II", MATRIX, size - 8) + head[8:])
    return b"".join(reversed(pieces))


def _shortened(packed: bytes) -> bytes:
    return struct.pack("<II", COMPRESSED, len(packed) - 8 - 10) + packed[8:-10]


def _lengthened(packed: bytes) -> bytes:
    return struct.pack("<II", COMPRESSED, len(packed) - 8 + 5) + packed[8:] + b"extra"
