"""A restricted pickle reader: interprets opcodes itself, without imports or calls.

This is not Python's unpickler with a filter in front. It knows the opcodes that
ANNarchy's files contain, from protocol 0 of Python 2 to protocol 5, and refuses all
others; what they build are lists, dicts, texts, numbers and arrays, nothing else.
Names of functions and classes are tokens (:mod:`~ann_ckpt.adapters.legacy.pickle.global_names`).

Opcodes are those of :mod:`pickletools` in Python's library.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable
from typing import Any, Final

from ann_ckpt.adapters.legacy.pickle import global_names
from ann_ckpt.adapters.legacy.pickle.containers import (
    NUMBER_ROW,
    RUN,
    Arena,
    DictNode,
    ListNode,
    Settler,
    tuple_of,
)
from ann_ckpt.adapters.legacy.pickle.stack import Stack, Window
from ann_ckpt.adapters.legacy.streams import Budget, Stream
from ann_ckpt.adapters.legacy.values import Value
from ann_ckpt.errors import CorruptFileError, OptionError, UnsafeFileError, printable

__all__ = [
    "Unpickler",
    "checked_encoding",
    "read_pickle",
]

_DECIMAL = re.compile(rb"[+-]?\d{1,20}L?")
_REAL = re.compile(rb"[+-]?(?:\d{1,40}\.?\d{0,40}(?:e[+-]?\d{1,4})?|inf|nan)", re.IGNORECASE)
_ESCAPE = re.compile(rb"\\(?:([\\'\"abfnrtv])|x([0-9a-fA-F]{2}))|\\")
_ESCAPED: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_HIGHEST_PROTOCOL = 5
_LONG_BYTES = 9  # holds the largest unsigned integer of 64 bits


def read_pickle(
    stream: Stream, budget: Budget, *, encoding: str | None = None
) -> tuple[Value, frozenset[str]]:
    """Return the one object that a pickle holds, and what it shows of the writer.

    Parameters
    ----------
    stream : Stream
        The pickle, to its last byte; anything behind its end is refused.
    budget : Budget
        What this file has used so far of what it may use.
    encoding : str, optional
        Of the texts that Python 2 wrote. By default UTF-8, or Latin-1 where they are
        not UTF-8, which the traits then say.

    Returns
    -------
    Value
    frozenset of str
        Of ``python2``, ``numpy2``, ``guessed-encoding``.

    Raises
    ------
    UnsafeFileError
        If it refers to, or asks for, anything that numbers and texts do not need.
    CorruptFileError
        If it is cut short, goes on behind its end, or makes no sense.
    """
    return Unpickler(stream, budget, encoding=encoding).load()


class Unpickler:
    """The state of one reading: a window on the bytes, and a stack."""

    def __init__(self, stream: Stream, budget: Budget, *, encoding: str | None = None) -> None:
        self._name = stream.name
        self._budget = budget
        self._depth = budget.limits.depth
        self._encoding = checked_encoding(encoding)
        self._window = Window(stream)
        self._stack = Stack(budget.limits)
        self._arena = Arena()
        self._traits: set[str] = set()

    def load(self) -> tuple[Value, frozenset[str]]:
        """Run the pickle to its end and return its object."""
        try:
            self._run()
            return self._finish()
        except (UnsafeFileError, CorruptFileError) as error:
            error.where = error.where or f"{self._name}, byte {self._window.position}"
            raise

    def _run(self) -> None:
        handlers, window = _HANDLERS, self._window
        operations = 0
        while True:
            if window.pos >= window.turn:
                self._check_work(operations)
                operations = 0
                window.refill()
            code = window.data[window.pos]
            window.pos += 1
            if code == _STOP:
                return
            operations += 1
            handlers[code](self)

    def _check_work(self, operations: int) -> None:
        self._budget.work(operations, self._stack.made)
        self._stack.made = 0
        self._stack.check_size()

    def _finish(self) -> tuple[Value, frozenset[str]]:
        content = self._stack.finish()
        if not self._window.at_end():
            raise CorruptFileError("data follows the end of the pickle")
        value = Settler(self._arena.arrays(), self._budget, self._text).value(content)
        return value, frozenset(self._traits)

    # Containers ----------------------------------------------------------------------

    def _op_mark(self) -> None:
        items = self._stack.items
        self._stack.mark()
        if items and type(items[-1]) is ListNode:
            self._fill_with_numbers(items[-1])

    def _fill_with_numbers(self, target: ListNode) -> None:
        """Move a batch of numbers into the arena at once, frame borders between them included."""
        window = self._window
        runs = []
        while match := RUN.match(window.data, window.pos):
            behind = window.data[match.end() : match.end() + 1]
            if behind not in (b"e", b"\x95"):
                break  # numbers of several kinds, which would make as many runs: one by one, then
            runs.append(self._arena.add_run(window.data, *match.span()))
            window.pos = match.end()
            if behind == b"\x95":
                window.pos += 1
                window.expect(window.number(8))
        if runs and window.data[window.pos : window.pos + 1] == b"e":
            window.pos += 1
            self._stack.unmark()
            for run in runs:
                target.extend_run(run, self._arena)
        else:
            for run in runs:
                self._stack.items += self._arena.numbers(*run)

    def _op_empty_list(self) -> None:
        """Make a list, or as many whole lists of numbers as follow each other."""
        nodes: list[ListNode] = []
        spans = []
        window, stack = self._window, self._stack
        data, turn, pos = window.data, window.turn, window.pos - 1
        while pos < turn and (match := NUMBER_ROW.match(data, pos)):
            node = ListNode()
            stack.items.append(node)
            put = match[1]
            if put == b"\x94":
                stack.memoize()
            elif put:
                stack.remember(int.from_bytes(put[1:], "little"), window.seen)
            nodes.append(node)
            spans.append(match.span(match.lastindex or 0))
            pos = match.end()
        if not nodes:
            stack.push_new(ListNode())
            return
        window.pos = pos
        stack.made += len(nodes)
        for node, run in zip(nodes, self._arena.add_runs(data, spans), strict=True):
            node.kind, node.start, node.stop = run

    def _op_list(self) -> None:
        items = self._stack.pop_to_mark()
        self._stack.push_new(ListNode())
        self._extend(items)

    def _op_dict(self) -> None:
        items = self._stack.pop_to_mark()
        self._stack.push_new(DictNode())
        self._update(items)

    def _op_tuple2(self) -> None:
        second = self._stack.pop()
        self._push_tuple([self._stack.pop(), second])

    def _op_tuple3(self) -> None:
        third, second = self._stack.pop(), self._stack.pop()
        self._push_tuple([self._stack.pop(), second, third])

    def _push_tuple(self, items: list[Any]) -> None:
        self._stack.push_new(tuple_of(items, self._depth))

    def _op_append(self) -> None:
        element = self._stack.pop()
        self._stack.top(ListNode).append(element, self._arena, self._depth)

    def _extend(self, items: list[Any]) -> None:
        self._stack.top(ListNode).extend(items, self._arena, self._depth)

    def _op_setitem(self) -> None:
        element = self._stack.pop()
        self._update([self._stack.pop(), element])

    def _update(self, items: list[Any]) -> None:
        target = self._stack.top(DictNode)
        if len(items) % 2:
            raise CorruptFileError("a dict has a key without a value")
        for key, element in zip(items[::2], items[1::2], strict=True):
            name = self._text(key) if isinstance(key, bytes) else key
            target.set(name, element, self._depth)

    # Numbers -------------------------------------------------------------------------

    def _push_long(self, width: int) -> None:
        if width > _LONG_BYTES:
            raise UnsafeFileError(f"an integer has {width} bytes; expected at most {_LONG_BYTES}")
        self._stack.push(int.from_bytes(self._window.take(width), "little", signed=True))

    def _op_int(self) -> None:
        line = self._window.line()
        if line in (b"00", b"01"):
            self._stack.push(line == b"01")
        else:
            self._stack.push(self._decimal(line))

    def _decimal(self, line: bytes) -> int:
        if not _DECIMAL.fullmatch(line):
            raise CorruptFileError(f"{printable(line[:40])} is not an integer")
        return int(line.rstrip(b"L"))

    def _op_float(self) -> None:
        line = self._window.line()
        if not _REAL.fullmatch(line):
            raise CorruptFileError(f"{printable(line[:40])} is not a number")
        self._stack.push(float(line))

    # Texts and bytes -------------------------------------------------------------------

    def _text(self, data: bytes) -> str:
        """Decode a text of Python 2."""
        self._check_length(len(data))
        try:
            return data.decode(self._encoding or "utf-8")
        except UnicodeDecodeError as error:
            if self._encoding is not None:
                raise CorruptFileError(
                    f"a name is not {printable(self._encoding)}: {error.reason}",
                    details={"hint": "try another encoding=; latin1 always works"},
                ) from error
            self._traits.add("guessed-encoding")
            return data.decode("latin1")

    def _unicode(self, size: int) -> None:
        self._check_length(size)
        try:
            self._stack.push_new(str(self._window.take(size), "utf-8"))
        except UnicodeDecodeError as error:
            raise CorruptFileError(f"a text is not UTF-8: {error.reason}") from error

    def _check_length(self, size: int) -> None:
        if size > self._budget.limits.text_bytes:
            raise UnsafeFileError(f"a name has {size} bytes")

    def _old_text(self, size: int) -> None:
        self._traits.add("python2")
        self._stack.push_new(self._window.take(size))

    def _op_string(self) -> None:
        line = self._window.line()
        self._check_length(len(line) // 4)  # an escape such as \x41 stands for one byte
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise CorruptFileError("a text is not in quotes")
        self._traits.add("python2")
        self._stack.push_new(_ESCAPE.sub(self._unescape, line[1:-1]))

    def _unescape(self, match: re.Match[bytes]) -> bytes:
        letter, digits = match.groups()
        if digits:
            return bytes([int(digits, 16)])
        if not letter:
            raise CorruptFileError("a text has an escape that Python 2 does not write")
        return _ESCAPED.get(letter, letter)

    def _op_unicode(self) -> None:
        line = self._window.line()
        self._check_length(len(line))
        try:
            text = line.decode("raw-unicode-escape")
            text.encode("utf-8")
        except UnicodeError as error:
            raise CorruptFileError(f"a text is not Unicode: {error}") from error
        self._stack.push_new(text)

    # Names, and what is made with them ---------------------------------------------------

    def _op_global(self) -> None:
        module, name = self._window.line(), self._window.line()
        self._check_length(len(module) + len(name))
        self._push_token(module.decode("utf-8", "replace"), name.decode("utf-8", "replace"))

    def _op_stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._push_token(module, name)

    def _push_token(self, module: object, name: object) -> None:
        self._stack.push(global_names.find(module, name))
        if isinstance(module, str) and module.startswith("numpy._core"):
            self._traits.add("numpy2")

    def _op_reduce(self) -> None:
        args, function = self._stack.pop(), self._stack.pop()
        if not isinstance(args, ListNode) or not args.is_tuple:
            raise CorruptFileError("a call has no arguments")
        self._stack.push_new(global_names.call(function, args.items or []))

    def _op_build(self) -> None:
        state = self._stack.pop()
        target = self._stack.pop()
        global_names.build(target, state, self._depth)
        self._stack.push(target)

    # The frame ---------------------------------------------------------------------------

    def _op_proto(self) -> None:
        protocol = self._window.number(1)
        if protocol > _HIGHEST_PROTOCOL:
            raise CorruptFileError(f"the pickle has protocol {protocol}; the highest is 5")
        self._traits.add(f"protocol{protocol}")

    def _op_forbidden(self) -> None:
        code = self._window.data[self._window.pos - 1]
        if code in _PYTHONS_OWN:
            raise UnsafeFileError(
                f"the pickle uses the opcode {_PYTHONS_OWN[code]}, which numbers and texts do not need",
            )
        raise CorruptFileError(f"byte {code:#04x} is not a pickle opcode")


def checked_encoding(encoding: str | None) -> str | None:
    """Return ``encoding``, or refuse it with :class:`OptionError` if there is none of that name."""
    try:
        if encoding is not None:
            b"ab".decode(encoding)  # nothing at all would be decoded without looking at the name
    except UnicodeError:
        pass  # an encoding, only not of these two letters
    except (LookupError, ValueError, TypeError) as error:
        raise OptionError(f"encoding= is not a text encoding: {printable(encoding)!r}") from error
    return encoding


_PYTHONS_OWN: Final = {ord(op.code): op.name for op in pickletools.opcodes}
_STOP: Final = ord(".")

_OPCODES: Final[dict[str, Callable[[Unpickler], None]]] = {
    "MARK": Unpickler._op_mark,
    "EMPTY_LIST": Unpickler._op_empty_list,
    "EMPTY_DICT": lambda u: u._stack.push_new(DictNode()),
    "LIST": Unpickler._op_list,
    "DICT": Unpickler._op_dict,
    "TUPLE": lambda u: u._push_tuple(u._stack.pop_to_mark()),
    "EMPTY_TUPLE": lambda u: u._push_tuple([]),
    "TUPLE1": lambda u: u._push_tuple([u._stack.pop()]),
    "TUPLE2": Unpickler._op_tuple2,
    "TUPLE3": Unpickler._op_tuple3,
    "APPEND": Unpickler._op_append,
    "APPENDS": lambda u: u._extend(u._stack.pop_to_mark()),
    "SETITEM": Unpickler._op_setitem,
    "SETITEMS": lambda u: u._update(u._stack.pop_to_mark()),
    "NONE": lambda u: u._stack.push(None),
    "NEWTRUE": lambda u: u._stack.push(True),
    "NEWFALSE": lambda u: u._stack.push(False),
    "BININT": lambda u: u._stack.push(int.from_bytes(u._window.take(4), "little", signed=True)),
    "BININT1": lambda u: u._stack.push(u._window.number(1)),
    "BININT2": lambda u: u._stack.push(u._window.number(2)),
    "LONG1": lambda u: u._push_long(u._window.number(1)),
    "LONG4": lambda u: u._push_long(u._window.number(4)),
    "INT": Unpickler._op_int,
    "LONG": lambda u: u._stack.push(u._decimal(u._window.line())),
    "BINFLOAT": lambda u: u._stack.push(struct.unpack(">d", u._window.take(8))[0]),
    "FLOAT": Unpickler._op_float,
    "STRING": Unpickler._op_string,
    "BINSTRING": lambda u: u._old_text(u._window.number(4)),
    "SHORT_BINSTRING": lambda u: u._old_text(u._window.number(1)),
    "UNICODE": Unpickler._op_unicode,
    "BINUNICODE": lambda u: u._unicode(u._window.number(4)),
    "SHORT_BINUNICODE": lambda u: u._unicode(u._window.number(1)),
    "BINUNICODE8": lambda u: u._unicode(u._window.number(8)),
    "BINBYTES": lambda u: u._stack.push_new(u._window.take(u._window.number(4))),
    "SHORT_BINBYTES": lambda u: u._stack.push_new(u._window.take(u._window.number(1))),
    "BINBYTES8": lambda u: u._stack.push_new(u._window.take(u._window.number(8))),
    "BYTEARRAY8": lambda u: u._stack.push_new(u._window.take(u._window.number(8))),
    "PUT": lambda u: u._stack.remember(u._decimal(u._window.line()), u._window.seen),
    "BINPUT": lambda u: u._stack.remember(u._window.number(1), u._window.seen),
    "LONG_BINPUT": lambda u: u._stack.remember(u._window.number(4), u._window.seen),
    "MEMOIZE": lambda u: u._stack.memoize(),
    "GET": lambda u: u._stack.recall(u._decimal(u._window.line())),
    "BINGET": lambda u: u._stack.recall(u._window.number(1)),
    "LONG_BINGET": lambda u: u._stack.recall(u._window.number(4)),
    "GLOBAL": Unpickler._op_global,
    "STACK_GLOBAL": Unpickler._op_stack_global,
    "REDUCE": Unpickler._op_reduce,
    "BUILD": Unpickler._op_build,
    "PROTO": Unpickler._op_proto,
    "FRAME": lambda u: u._window.expect(u._window.number(8)),
}

_HANDLERS: Final = [_OPCODES.get(_PYTHONS_OWN.get(code, ""), Unpickler._op_forbidden) for code in range(256)]
