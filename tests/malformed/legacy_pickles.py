"""Pickles with one defect each, put together opcode by opcode.

Those that would run code leave a file called ``ran`` where they run.
"""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zlib
from collections.abc import Callable

import numpy as np

from ann_ckpt.errors import CheckpointError, CorruptFileError, UnrecognisedFileError, UnsafeFileError

Sample = tuple[type[CheckpointError], Callable[[], bytes]]
SAMPLES: dict[str, Sample] = {}
COMMAND = "touch ran"


def sample(
    name: str, expected: type[CheckpointError]
) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Register a function that makes one file."""

    def register(make: Callable[[], bytes]) -> Callable[[], bytes]:
        assert name not in SAMPLES
        SAMPLES[name] = (expected, make)
        return make

    return register


def unsafe(name: str, data: bytes) -> None:
    sample(name, UnsafeFileError)(lambda: data)


def corrupt(name: str, data: bytes) -> None:
    sample(name, CorruptFileError)(lambda: data)


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def pickled(body: bytes, protocol: int = 4) -> bytes:
    return bytes([0x80, protocol]) + body + b"."


def entry(body: bytes) -> bytes:
    """A dict with one entry, as every file of ANNarchy's is a dict."""
    return pickled(b"}" + text("w") + body + b"s")


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def called(module: str, name: str, *args: bytes) -> bytes:
    return named(module, name) + b"(" + b"".join(args) + b"tR"


def dtype(code: str, order: str = "<") -> bytes:
    made = called("numpy", "dtype", text(code), b"\x89\x88")
    return made + b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def array(shape: bytes, element: bytes, data: bytes, fortran: bytes = b"\x89") -> bytes:
    start = called("numpy.core.multiarray", "_reconstruct", named("numpy", "ndarray"), b"(K\x00t", b"C\x01b")
    return start + b"(K\x01" + shape + element + fortran + data + b"tb"


def raw(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


PROJECTION = {
    "name": "ff",
    "pre": "a",
    "post": "b",
    "target": "exc",
    "post_ranks": [0, 1],
    "pre_ranks": [[0, 1], [2]],
    "attributes": ["w"],
    "parameters": [],
    "variables": ["w"],
    "delays": 1.0,
    "w": [[0.5, 0.25], [0.125]],
}
POPULATION = {
    "name": "a",
    "geometry": (2, 2),
    "size": 4,
    "attributes": ["r"],
    "parameters": [],
    "variables": ["r"],
    "r": np.zeros(4),
}


def projection(**changes: object) -> bytes:
    return pickle.dumps({k: v for k, v in (PROJECTION | changes).items() if v is not ...}, 4)


def population(**changes: object) -> bytes:
    return pickle.dumps({k: v for k, v in (POPULATION | changes).items() if v is not ...}, 4)


# --- what would run code -------------------------------------------------------------------

for module, name in [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "getoutput"),
    ("subprocess", "Popen"),
    ("commands", "getoutput"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.f2py", "os.system"),
    ("numpy.f2py.diagnose", "os.system"),
    ("numpy", "f2py.os.system"),
    ("ann_ckpt.adapters.legacy.sandbox.client", "os.system"),
]:
    unsafe(f"calls {name} of {module}", entry(called(module, name, text(COMMAND))))
for module in ("builtins", "__builtin__"):
    code = "__import__('os').system('touch ran')"
    unsafe(f"calls {module}.eval", entry(called(module, "eval", text(code))))
    unsafe(f"calls {module}.exec", entry(called(module, "exec", text(code))))
    unsafe(f"calls {module}.getattr", entry(called(module, "getattr", text("a"), text("upper"))))
    unsafe(f"calls {module}.open", entry(called(module, "open", text("ran"), text("w"))))
unsafe(
    "calls through STACK_GLOBAL", entry(text("os") + text("system") + b"\x93" + b"(" + text(COMMAND) + b"tR")
)
unsafe("calls in protocol 0", b"(dp0\nS'w'\ncposix\nsystem\n(S'touch ran'\ntRs.")
unsafe("calls with INST", entry(b"(" + text(COMMAND) + b"iposix\nsystem\n"))
unsafe("calls with OBJ", entry(b"(" + named("posix", "system") + text(COMMAND) + b"o"))
unsafe("calls with NEWOBJ", entry(named("subprocess", "Popen") + b"(" + text(COMMAND) + b"t\x81"))
unsafe("calls with NEWOBJ_EX", entry(named("subprocess", "Popen") + b"(t}\x92"))
unsafe("calls before anything else", pickled(called("posix", "system", text(COMMAND)) + b"0}"))
unsafe("calls deep inside", entry(b"](](" + called("posix", "system", text(COMMAND)) + b"ee"))
unsafe("calls as a key", pickled(b"}" + called("posix", "system", text(COMMAND)) + b"Ns"))
unsafe("names and does not call", entry(named("os", "system")))
unsafe("holds an allowed function as a value", entry(named("numpy", "ndarray")))
for code in (b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"):
    unsafe(f"extension registry {code[0]:#x}", entry(code))
unsafe("persistent id in text", entry(b"Pid\n"))
unsafe("persistent id on the stack", entry(text("id") + b"Q"))
unsafe("out-of-band buffer", entry(b"\x97"))
unsafe("set", entry(b"\x8f(K\x01\x90"))
unsafe("frozenset", entry(b"(K\x01\x91"))
unsafe("duplicates the stack", entry(b"]2a"))
unsafe("sets the state of a list", entry(b"]}b"))

# --- what numpy would do with a file -------------------------------------------------------

unsafe("memmap truncates a file", entry(called("numpy", "memmap", text("ran"), text("f8"), text("w+"))))
unsafe("memmap by its module", entry(called("numpy.core.memmap", "memmap", text("ran"))))
unsafe("fromfile reads a file", entry(called("numpy", "fromfile", text("/etc/hostname"), text("u1"))))
unsafe("load reads a file", entry(called("numpy", "load", text("x.npz"))))
unsafe("DataSource reads a file", entry(called("numpy.lib.npyio", "DataSource", text("."))))
unsafe("loadtxt reads a file", entry(called("numpy", "loadtxt", text("/etc/hostname"))))
corrupt(
    "array of a subclass",
    entry(called("numpy.core.multiarray", "_reconstruct", named("numpy", "dtype"), b"(K\x00t", b"C\x01b")),
)
unsafe(
    "array of a memmap",
    entry(called("numpy.core.multiarray", "_reconstruct", named("numpy", "memmap"), b"(K\x00t", b"C\x01b")),
)
for code in (
    "V8",
    "c16",
    "M8",
    "m8",
    "f2",
    "g",
    "i8,i8",
    "O8,i4",
    "U9999999999",
    "(1000,1000)f8",
    "q",
    "void",
):
    unsafe(f"array of type {code}", entry(called("numpy", "dtype", text(code), b"\x89\x88")))
corrupt("type with a number for a name", entry(called("numpy", "dtype", b"K\x01", b"\x89\x88")))
corrupt(
    "type with fields",
    entry(
        called("numpy", "dtype", text("f8"), b"\x89\x88") + b"(K\x03" + text("<") + b"N](e}K\x00K\x00K\x00tb"
    ),
)
unsafe("builds with a codec that unpacks", entry(called("_codecs", "decode", b"C\x01x", text("zip"))))
corrupt("encodes with another codec", entry(called("_codecs", "encode", text("x"), text("zlib"))))
corrupt("encodes what Latin-1 lacks", entry(called("_codecs", "encode", text("\u4e00"), text("latin1"))))
corrupt("bytes of a length", entry(called("builtins", "bytes", b"J\xff\xff\xff\x7f")))
corrupt("bytes of a long length", entry(called("__builtin__", "bytes", b"\x8a\x05\x00\x00\x00\x00\x10")))

# --- what makes no sense -------------------------------------------------------------------

sample("empty file", UnrecognisedFileError)(lambda: b"")
sample("one byte", UnrecognisedFileError)(lambda: b"\x80")
sample("text file", UnrecognisedFileError)(lambda: b"time,r\n0,1\n" * 50)
sample("noise", UnrecognisedFileError)(lambda: bytes(range(1, 256)) * 8)
sample("JSON file", UnrecognisedFileError)(lambda: b'{"populations": {}}')
sample("HDF5 file", UnrecognisedFileError)(lambda: b"\x89HDF\r\n\x1a\n" + bytes(500))
sample("pickle of a list", UnrecognisedFileError)(lambda: pickle.dumps([1.0, 2.0]))
sample("pickle of a number", UnrecognisedFileError)(lambda: pickle.dumps(3))
sample("pickle of a foreign dict", UnrecognisedFileError)(lambda: pickle.dumps({"a": 1, "b": "c"}))
corrupt("only a protocol", b"\x80\x04")
corrupt("protocol 6", b"\x80\x05\x80\x06}.")
corrupt("cut in half", projection()[:200])
corrupt("without its end", projection()[:-1])
corrupt("one more byte", projection() + b"\0")
corrupt("a second pickle behind", projection() + projection())
corrupt("nothing on the stack", pickled(b""))
corrupt("two objects on the stack", pickled(b"}}"))
corrupt("an open mark", pickled(b"}("))
corrupt("takes from an empty stack", pickled(b"s"))
corrupt("takes from below a mark", pickled(b"}" + text("w") + b"(s"))
corrupt("mark that was never set", pickled(b"}u"))
corrupt("byte that is no opcode", pickled(b"}\xff"))
corrupt("recalls what was never kept", entry(b"h\x07"))
corrupt("recalls far beyond", entry(b"j\xff\xff\xff\xff"))
corrupt("recalls below zero", entry(b"g-1\n"))
unsafe("remembers under a huge number", pickled(b"}r\xff\xff\xff\x7f"))
unsafe("remembers under a huge decimal", pickled(b"}p99999999999999999999\n"))
unsafe("remembers below zero", pickled(b"}p-1\n"))
corrupt("remembers nothing", pickled(b"q\x00}"))
corrupt("key without value", pickled(b"}(" + text("a") + b"u"))
corrupt("appends to a dict", pickled(b"}}a"))
corrupt("sets an item of a list", pickled(b"]" + text("a") + b"Ns"))
corrupt("text that is not UTF-8", entry(b"\x8c\x02\xff\xfe"))
corrupt("text that is half a pair", entry(b"\x8c\x03\xed\xa0\x80"))
corrupt("raw text that is half a pair", entry(b"V\\ud800\n"))
corrupt("old text without quotes", b"(dp0\nSw'\nNs.")
corrupt("old text with a strange escape", b"(dp0\nS'\\q'\nNs.")
corrupt("line that does not end", b"(dp0\nS'" + b"w" * 1000)
corrupt("call without a tuple", entry(named("builtins", "bytes") + b"]R"))

# --- lengths that lie ----------------------------------------------------------------------

for name, code, width in [
    ("BINUNICODE8", b"\x8d", 8),
    ("BINBYTES8", b"\x8e", 8),
    ("BYTEARRAY8", b"\x96", 8),
    ("BINBYTES", b"B", 4),
    ("BINSTRING", b"T", 4),
    ("FRAME", b"\x95", 8),
]:
    expected = UnsafeFileError if name == "BINUNICODE8" else CorruptFileError
    for label, length in (("huge", (1 << 8 * width) - 1), ("large", 1 << 31), ("little more", 100)):
        if label == "little more" and name == "BINUNICODE8":
            expected = CorruptFileError
        data = entry(code + length.to_bytes(width, "little") + b"abc")
        sample(f"{name} with a {label} length", expected)(lambda data=data: data)
unsafe("BINUNICODE with a huge length", entry(b"X\xff\xff\xff\xff"))
unsafe("text of two megabytes", entry(text("x" * (2 << 20))))
unsafe(
    "old text of two megabytes as a key",
    pickled(b"}T" + struct.pack("<I", 2 << 20) + b"x" * (2 << 20) + b"Ns", 2),
)
unsafe("name of a function of two megabytes", entry(named("x" * (2 << 20), "y")))
unsafe("integer of 255 bytes", entry(b"\x8a\xff" + b"\x01" * 255))
unsafe("integer of a gigabyte", entry(b"\x8b\x00\x00\x00\x40"))
corrupt("decimal of a million digits", b"(dp0\nS'w'\nI" + b"9" * 1_000_000 + b"\ns.")
corrupt("long of a million digits", b"(dp0\nS'w'\nL" + b"9" * 1_000_000 + b"L\ns.")
corrupt("float of a million digits", b"(dp0\nS'w'\nF" + b"9" * 1_000_000 + b"\ns.")
corrupt("float with underscores", b"(dp0\nS'w'\nF1_0\ns.")
corrupt("float in words", b"(dp0\nS'w'\nFinfinity and beyond\ns.")

# --- depth and cycles ----------------------------------------------------------------------

unsafe("lists 100,000 deep", entry(b"]" * 100_000 + b"a" * 99_999))
unsafe("tuples 100,000 deep", entry(b")" + b"\x85" * 100_000))
unsafe("tuples 130,000 deep as a key", pickled(b"}" + b")" + b"\x85" * 130_000 + b"Ns"))
unsafe("dicts 50,000 deep", pickled(b"}" + (text("a") + b"}") * 50_000 + b"s" * 50_000))
unsafe("marks 100,000 deep", entry(b"(" * 100_000))
unsafe("lists 65 deep", entry(b"]" * 65 + b"a" * 64))
corrupt("list in itself", entry(b"]\x94h\x00a"))
corrupt("dict in itself", pickled(b"}\x94" + text("w") + b"h\x00s"))
corrupt("list grows after use", pickled(b"}" + text("w") + b"]\x94s" + text("v") + b"h\x00K\x01as"))
corrupt(
    "array in itself",
    entry(
        called("numpy.core.multiarray", "_reconstruct", named("numpy", "ndarray"), b"(K\x00t", b"C\x01b")
        + b"\x94(K\x01(K\x01t"
        + dtype("O8", "|")
        + b"\x89](h\x00etb"
    ),
)
unsafe("number as a key", pickled(b"}K\x01Ns"))
unsafe(
    "300 kB of colliding numbers as keys",
    pickled(
        b"}("
        + b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(23_000))
        + b"u"
    ),
)
unsafe("tuple as a key", pickled(b"}K\x01\x85Ns"))
unsafe("None as a key", pickled(b"}NNs"))

# --- expansion -----------------------------------------------------------------------------


@sample("billion laughs", CorruptFileError)
def _() -> bytes:
    levels = b"](" + b"K\x01" * 10 + b"e\x94"
    for level in range(40):
        levels += b"](" + (b"h" + bytes([level])) * 10 + b"e\x94"
    return pickled(b"}(" + text("post_ranks") + b"](" + levels + b"e" + text("uniform_delay") + b"K\x01u")


@sample("billion laughs in rows", CorruptFileError)
def _() -> bytes:
    levels = b"](" + b"K\x01" * 10 + b"e\x94"
    for level in range(40):
        levels += b"](" + (b"h" + bytes([level])) * 10 + b"e\x94"
    ranks = text("post_ranks") + b"](K\x00K\x01e"
    return pickled(b"}(" + ranks + text("pre_ranks") + b"](" + levels + b"eu")


@sample("one long row a hundred thousand times", UnsafeFileError)
def _() -> bytes:
    row = b"](" + b"K\x01" * 200_000 + b"e\x94"
    return pickled(b"}" + text("w") + b"](" + row + b"h\x00" * 100_000 + b"es")


@sample("one projection a hundred thousand times", UnsafeFileError)
def _() -> bytes:
    body = projection(pre_ranks=[list(range(5000))] * 2, w=None, attributes=[], variables=[])
    inner = body[11:-1] if body[2:3] == b"\x95" else body[2:-1]
    again = b"".join(text(f"p{i}") + b"j" + struct.pack("<I", 60_000) for i in range(100_000))
    return pickled(b"}(" + text("p") + b"N" * 0 + inner + b"r" + struct.pack("<I", 60_000) + again + b"u")


@sample("one value for ten thousand attributes", UnsafeFileError)
def _() -> bytes:
    names = [f"a{i}" for i in range(10_000)]
    rows = [[0.5]] * 1
    many = [[0.5] for _ in range(100_000)]
    shared = dict.fromkeys(names, many)
    del rows
    ranks = [[0] for _ in range(100_000)]
    return projection(
        post_ranks=list(range(100_000)), pre_ranks=ranks, attributes=names, variables=names, w=..., **shared
    )


@sample("ten thousand objects from one table", CorruptFileError)
def _() -> bytes:
    return pickle.dumps(
        {"time_step": 3, "obj_names": dict.fromkeys(map(str, range(10_000)), ()), "x": {"geometry": None}}
    )


unsafe("a million empty lists on the stack", pickled(b"}" + b"]" * 1_000_000))
unsafe("a million nothings on the stack", pickled(b"}(" + b"N" * 1_000_000 + b"u"))
corrupt("a million lists, one used", pickled(b"}" + text("w") + b"](" + b"]" * 100_000 + b"es}"))


sample("numbers of three kinds in turn", UnrecognisedFileError)(
    lambda: pickle.dumps({"w": [1, 1.0, True] * 300_000})
)
sample("a text all in escapes", UnsafeFileError)(lambda: b"(dp0\nS'" + b"\\x41" * 2_000_000 + b"'\nNs.")
unsafe(
    "texts of no length, four billion",
    entry(array(b"\x8a\x05\xff\xff\xff\xff\x00\x85", dtype("S0", "|"), raw(b""))),
)

# --- arrays --------------------------------------------------------------------------------

corrupt("array with too little data", entry(array(b"K\x08\x85", dtype("f8"), raw(bytes(8)))))
corrupt("array with too much data", entry(array(b"K\x01\x85", dtype("f8"), raw(bytes(80)))))
corrupt("array of a huge shape", entry(array(b"\x8a\x06\x00\x00\x00\x00\x00\x10\x85", dtype("f8"), raw(b""))))
corrupt("array whose size overflows", entry(array(b"J\x00\x00\x00\x40" * 3 + b"\x87", dtype("f8"), raw(b""))))
corrupt("array of a negative shape", entry(array(b"J\xff\xff\xff\xff\x85", dtype("f8"), raw(bytes(8)))))
corrupt("array with 64 axes", entry(array(b"(" + b"K\x01" * 64 + b"t", dtype("f8"), raw(bytes(8)))))
corrupt("array with a float for a shape", entry(array(b"G" + bytes(8) + b"\x85", dtype("f8"), raw(bytes(8)))))
corrupt("array with a list for a shape", entry(array(b"]", dtype("f8"), raw(bytes(8)))))
corrupt("array with text for data", entry(array(b"K\x01\x85", dtype("f8"), text("12345678"))))
corrupt(
    "array without content",
    entry(called("numpy.core.multiarray", "_reconstruct", named("numpy", "ndarray"), b"(K\x00t", b"C\x01b")),
)
corrupt(
    "array built twice",
    entry(
        array(b"K\x01\x85", dtype("f8"), raw(bytes(8)))
        + b"(K\x01K\x01\x85"
        + dtype("f8")
        + b"\x89"
        + raw(bytes(8))
        + b"tb"
    ),
)
corrupt("array of objects, too few", entry(array(b"K\x05\x85", dtype("O8", "|"), b"](K\x01K\x02e")))
corrupt("array of objects, bytes", entry(array(b"K\x01\x85", dtype("O8", "|"), raw(bytes(8)))))
corrupt(
    "array of bools that are neither", entry(array(b"K\x04\x85", dtype("b1", "|"), raw(b"\x00\x01\x02\x03")))
)
corrupt("array of texts beyond Unicode", entry(array(b"K\x01\x85", dtype("U1"), raw(b"\xff\xff\xff\x7f"))))
corrupt("array with an unknown byte order", entry(array(b"K\x01\x85", dtype("f8", "?"), raw(bytes(8)))))
corrupt(
    "number of objects", entry(called("numpy.core.multiarray", "scalar", dtype("O8", "|"), raw(bytes(8))))
)
corrupt(
    "frombuffer of objects",
    entry(
        called("numpy._core.numeric", "_frombuffer", raw(bytes(8)), dtype("O8", "|"), b"K\x01\x85", text("C"))
    ),
)
corrupt(
    "frombuffer in another order",
    entry(called("numpy._core.numeric", "_frombuffer", raw(bytes(8)), dtype("f8"), b"K\x01\x85", text("A"))),
)
corrupt(
    "frombuffer with wrong axes",
    entry(
        called(
            "numpy._core.numeric",
            "_frombuffer",
            raw(bytes(8)),
            dtype("f8"),
            b"K\x01\x85",
            text("K"),
            b"K\x05\x85",
        )
    ),
)

# --- networks that make no sense -----------------------------------------------------------

corrupt("negative ranks", projection(pre_ranks=[[0, -1], [2]]))
corrupt("ranks beyond 32 bits", projection(pre_ranks=[[0, 1 << 40], [2]]))
corrupt("ranks that are floats", projection(pre_ranks=[[0.0, 1.0], [2.0]]))
corrupt("ranks that are texts", projection(pre_ranks=["a", "b"]))
corrupt("one row too few", projection(pre_ranks=[[0, 1]]))
corrupt("a post rank twice", projection(post_ranks=[1, 1]))
corrupt("post ranks that are rows", projection(post_ranks=[[0], [1]]))
corrupt("no ranks", projection(pre_ranks=...))
corrupt("a number for a name", projection(name=3))
corrupt("a list for a target", projection(target=["exc", "inh"]))
corrupt("numbers for names", projection(attributes=[1, 2]))
corrupt("a wrong number of synapses", projection(number_of_synapses=[2, 2]))
corrupt("numbers beyond 64 bits", projection(w=[[1 << 63, -1], [0]]))
unsafe("a name of a hundred thousand letters", population(name="n" * 100_000))
unsafe("an attribute of a hundred thousand letters", population(attributes=["n" * 100_000]))
corrupt("a geometry that does not fit", population(geometry=(3, 3)))
corrupt("a negative geometry", population(geometry=(-2, -2)))
corrupt("a geometry of many axes", population(geometry=(2, 2) + (1,) * 31))
corrupt("a geometry of 2**62 neurons", population(geometry=(1 << 31, 1 << 31), size=1 << 62))
corrupt("a geometry that is text", population(geometry="abc"))
corrupt("a time step that is text", pickle.dumps({"time_step": "3", "obj_names": {}}))
corrupt("a negative time step", pickle.dumps({"time_step": -3, "obj_names": {}}))
corrupt("a time step beyond 64 bits", pickle.dumps({"time_step": 1 << 63, "obj_names": {}}))
corrupt(
    "a rank beyond the population",
    pickle.dumps(
        {"time_step": 1, "a": POPULATION, "ff": PROJECTION | {"pre_ranks": [[0, 9], [2]]}, "obj_names": {}}
    ),
)

# --- gzip ----------------------------------------------------------------------------------


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def packed_zeros(head: bytes, megabytes: int, tail: bytes = b"") -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as file:
        file.write(head)
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
        file.write(tail)
    return out.getvalue()


def flipped(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 0x40]) + data[offset + 1 :]


sample("gzip: calls", UnsafeFileError)(lambda: packed(entry(called("posix", "system", text(COMMAND)))))
sample("gzip: only a header", CorruptFileError)(lambda: packed(projection())[:10])
sample("gzip: cut in half", CorruptFileError)(lambda: packed(projection())[:120])
sample("gzip: without checksum", CorruptFileError)(lambda: packed(projection())[:-8])
sample("gzip: wrong checksum", CorruptFileError)(lambda: flipped(packed(projection()), -8))
sample("gzip: wrong length", CorruptFileError)(lambda: flipped(packed(projection()), -2))
sample("gzip: damaged", CorruptFileError)(lambda: flipped(packed(projection()), 60))
sample("gzip: bytes behind", CorruptFileError)(lambda: packed(projection()) + b"\0\0\0\0")
sample("gzip: a second member", CorruptFileError)(lambda: packed(projection()) * 2)
sample("gzip: data behind the pickle", CorruptFileError)(lambda: packed(projection() + b"more"))
sample("gzip: inside gzip", CorruptFileError)(lambda: packed(packed(projection())))
sample("gzip: bomb of zeros", CorruptFileError)(lambda: packed_zeros(b"", 40))
sample("gzip: bomb in a byte string", UnsafeFileError)(
    lambda: packed_zeros(b"\x80\x04}" + text("w") + b"B" + struct.pack("<I", 40 << 20), 40, b"s.")
)
sample("gzip: text of forty megabytes", UnsafeFileError)(
    lambda: packed_zeros(b"\x80\x04}" + text("w") + b"X" + struct.pack("<I", 40 << 20), 40, b"s.")
)
sample("gzip: bomb behind the pickle", CorruptFileError)(lambda: packed_zeros(projection(), 40))
sample("gzip: bomb of small integers", UnsafeFileError)(
    lambda: packed(b"\x80\x04}" + text("w") + b"](" + b"K\x01" * 17_000_000 + b"es.")
)
sample("gzip: bomb of lists", UnsafeFileError)(
    lambda: packed(b"\x80\x04}" + text("w") + (b"](" + b"]" * 1000 + b"e0") * 5_000)
)
sample("gzip: bomb of opcodes", UnsafeFileError)(
    lambda: packed(b"\x80\x04}" + text("w") + b"]" + b"Na" * 2_000_000 + b"s.")
)
sample("gzip: bomb of rows", UnsafeFileError)(
    lambda: packed(b"\x80\x04}" + text("w") + b"](" + b"]K\x01a" * 3_000_000 + b"es.")
)
sample("gzip: bomb of texts", UnsafeFileError)(
    lambda: packed(b"\x80\x04}" + text("w") + b"]" + (b"(" + b"\x8c\x02ab" * 1000 + b"e") * 3_000 + b"s.")
)
sample("gzip: a line of thirty megabytes", UnsafeFileError)(
    lambda: packed(b"(dp0\nS'" + b"w" * (30 << 20) + b"'\nNs.")
)
sample("gzip: numbers in words", UnsafeFileError)(
    lambda: packed(b"(dp0\nS'w'\n(lp1\n" + b"F1.5\na" * 1_200_000 + b"s.")
)
sample("gzip: empty lists without end", UnsafeFileError)(
    lambda: packed(b"\x80\x04}" + text("w") + b"](" + (b"]" * 100_000 + b"e(") * 19 + b"es.")
)
sample("gzip: two hundred thousand members", CorruptFileError)(lambda: packed(b"") * 200_000)
sample("gzip: blocks of nothing", CorruptFileError)(
    lambda: packed(b"")[:10] + b"\x00\x00\x00\xff\xff" * 2_000_000
)
sample("gzip: a name that does not end", CorruptFileError)(
    lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"A" * 2_000_000
)
sample("zlib without gzip", UnrecognisedFileError)(lambda: zlib.compress(projection()))
