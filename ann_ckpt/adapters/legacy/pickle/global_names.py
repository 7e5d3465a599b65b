"""The globals that pickles of networks may refer to, as tokens; nothing is imported.

A pickle names functions and classes and says what to call them with. The names here
are all that a genuine file needs. Each stands for a small piece of code below that
does what numpy would do with these arguments, after checking every one of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.pickle.containers import ArrayNode, DtypeNode, ListNode
from ann_ckpt.errors import CorruptFileError, UnsafeFileError, printable

__all__ = [
    "Token",
    "build",
    "call",
    "element_type",
    "find",
]

_MAX_AXES = 32
_DTYPE: Final = re.compile(r"[|<>=]?(b1|i[1248]|u[1248]|f[48]|O[48]?|U\d{1,6}|S\d{1,6})")


class Token(Enum):
    """One of the known names."""

    NDARRAY = auto()
    DTYPE = auto()
    RECONSTRUCT = auto()
    FROMBUFFER = auto()
    SCALAR = auto()
    ENCODE = auto()
    BYTES = auto()


_KNOWN: Final[dict[tuple[str, str], Token]] = {
    ("numpy", "ndarray"): Token.NDARRAY,
    ("numpy", "dtype"): Token.DTYPE,
    ("_codecs", "encode"): Token.ENCODE,
    ("__builtin__", "bytes"): Token.BYTES,
    ("builtins", "bytes"): Token.BYTES,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Token.RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): Token.SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): Token.FROMBUFFER for core in ("core", "_core")},
}


def find(module: object, name: object) -> Token:
    """Return the token of a global that the file refers to.

    Raises
    ------
    UnsafeFileError
        If it is not one that networks need.
    """
    token = _KNOWN.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if token is None:
        raise UnsafeFileError(
            f"the file refers to {printable(module, 60)}.{printable(name, 60)}",
            details={"expected": "only what numpy arrays need; nothing was imported or called"},
        )
    return token


def element_type(text: str) -> np.dtype[Any]:
    """Return the type that numpy calls ``text``, such as ``<f8``.

    Raises
    ------
    UnsafeFileError
        If it is not one of numbers, bools, texts or objects.
    """
    if not _DTYPE.fullmatch(text):
        raise UnsafeFileError(f"an array holds elements of type {printable(text, 40)!r}")
    return np.dtype(object) if text.lstrip("|<>=")[0] == "O" else np.dtype(text)


def call(token: object, args: Sequence[Any]) -> Any:
    """Return what calling a known global with these arguments would give."""
    maker = _MAKERS.get(token) if isinstance(token, Token) else None
    if maker is None:
        raise UnsafeFileError("the file calls something other than numpy's array constructors")
    return maker(args)


def build(target: object, state: object, depth: int) -> None:
    """Give an array or a type that was just made its state.

    ``depth`` bounds the nesting of an array of objects.
    """
    items = state.items if isinstance(state, ListNode) and state.is_tuple else None
    if isinstance(target, DtypeNode) and items is not None:
        _set_byte_order(target, items)
    elif isinstance(target, ArrayNode) and items is not None:
        _fill(target, items, depth)
    else:
        raise UnsafeFileError("the file sets the state of an object that is not a numpy array or dtype")


def _bad(what: str) -> CorruptFileError:
    return CorruptFileError(f"{what} differs from numpy's format")


def _reconstruct(args: Sequence[Any]) -> ArrayNode:
    if len(args) != 3 or args[0] is not Token.NDARRAY or _ints(args[1]) != (0,) or args[2] not in (b"b", "b"):
        raise _bad("an array")
    return ArrayNode()


def _frombuffer(args: Sequence[Any]) -> ArrayNode:
    if len(args) not in (4, 5) or not isinstance(args[1], DtypeNode):
        raise _bad("an array")
    data, dtype, shape, order = args[0], args[1].dtype, _shape(args[2]), args[3]
    axes = _ints(args[4]) if len(args) == 5 and order == "K" else None
    if order == "K" and axes is not None and sorted(axes) == list(range(len(shape))):
        values = _from_bytes(data, dtype, shape, "C").transpose(axes)
    elif order in ("C", "F"):
        values = _from_bytes(data, dtype, shape, order)
    else:
        raise _bad("the order of an array")
    return ArrayNode(values)


def _dtype(args: Sequence[Any]) -> DtypeNode:
    name = args[0] if args else None
    text = name.decode("ascii", "replace") if isinstance(name, bytes) else name
    if not isinstance(text, str) or len(args) not in (1, 3) or any(flag not in (0, 1) for flag in args[1:]):
        raise _bad("an element type")
    return DtypeNode(element_type(text))


def _set_byte_order(node: DtypeNode, state: Sequence[Any]) -> None:
    if (
        node.built
        or len(state) not in (8, 9)
        or state[0] not in (2, 3, 4)
        or any(f is not None for f in state[2:5])
    ):
        raise _bad("an element type")
    order: Any = state[1].decode("ascii", "replace") if isinstance(state[1], bytes) else state[1]
    if order not in ("<", ">", "|", "=") or (len(state) == 9 and state[8] is not None):
        raise _bad("the byte order of an element type")
    if node.dtype.kind in "iufU" and order in "<>":
        node.dtype = node.dtype.newbyteorder(order)
    node.built = True


def _fill(node: ArrayNode, state: Sequence[Any], depth: int) -> None:
    if not node.is_open or len(state) != 5 or state[0] not in (0, 1) or not isinstance(state[2], DtypeNode):
        raise _bad("the state of an array")
    shape, dtype, fortran, data = _shape(state[1]), state[2].dtype, state[3], state[4]
    if fortran not in (0, 1):
        raise _bad("the order of an array")
    if not dtype.hasobject:
        node.set_values(_from_bytes(data, dtype, shape, "F" if fortran else "C"))
        return
    if not isinstance(data, ListNode) or data.is_tuple or len(data) != math.prod(shape):
        raise _bad("an array of objects")
    if fortran and len(shape) > 1:
        raise UnsafeFileError("an array of objects is stored column by column")
    node.set_objects(data, shape, depth)


def _scalar(args: Sequence[Any]) -> ArrayNode:
    if len(args) != 2 or not isinstance(args[0], DtypeNode):
        raise _bad("a numpy number")
    return ArrayNode(_from_bytes(args[1], args[0].dtype, (), "C"))


def _encode(args: Sequence[Any]) -> bytes:
    if len(args) != 2 or not isinstance(args[0], str) or args[1] != "latin1":
        raise _bad("a byte string")
    try:
        return args[0].encode("latin1")
    except UnicodeEncodeError as error:
        raise _bad("a byte string") from error


def _empty_bytes(args: Sequence[Any]) -> bytes:
    if args:
        raise _bad("an empty byte string")
    return b""


def _from_bytes(data: object, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any) -> NDArray[Any]:
    if not isinstance(data, (bytes, bytearray)) or dtype.hasobject:
        raise _bad("an array")
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise CorruptFileError(
            f"an array of shape {printable(shape, 60)} and type {dtype} has {len(data)} bytes of data"
        )
    if not data:
        return np.empty(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _ints(node: object) -> tuple[int, ...] | None:
    """Return a tuple of ints as such; None if the node is anything else."""
    items = node.items if isinstance(node, ListNode) and node.is_tuple else None
    return tuple(items) if items is not None and all(type(i) is int for i in items) else None


def _shape(node: object) -> tuple[int, ...]:
    shape = _ints(node)
    if shape is None or len(shape) > _MAX_AXES or any(not 0 <= n < 1 << 48 for n in shape):
        raise _bad("the shape of an array")
    return shape


_MAKERS: Final = {
    Token.RECONSTRUCT: _reconstruct,
    Token.FROMBUFFER: _frombuffer,
    Token.DTYPE: _dtype,
    Token.SCALAR: _scalar,
    Token.ENCODE: _encode,
    Token.BYTES: _empty_bytes,
}
