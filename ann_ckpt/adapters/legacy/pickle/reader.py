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
                self._op_frame()
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

    def _op_empty_dict(self) -> None:
        self._stack.push_new(DictNode())

    def _op_list(self) -> None:
        items = self._stack.pop_to_mark()
        self._stack.push_new(ListNode())
        self._extend(items)

    def _op_dict(self) -> None:
        items = self._stack.pop_to_mark()
        self._stack.push_new(DictNode())
        self._update(items)

    def _op_tuple(self) -> None:
        self._push_tuple(self._stack.pop_to_mark())

    def _op_empty_tuple(self) -> None:
        self._push_tuple([])

    def _op_tuple1(self) -> None:
        self._push_tuple([self._stack.pop()])

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

    def _op_appends(self) -> None:
        self._extend(self._stack.pop_to_mark())

    def _extend(self, items: list[Any]) -> None:
        self._stack.top(ListNode).extend(items, self._arena, self._depth)

    def _op_setitem(self) -> None:
        element = self._stack.pop()
        self._update([self._stack.pop(), element])

    def _op_setitems(self) -> None:
        self._update(self._stack.pop_to_mark())

    def _update(self, items: list[Any]) -> None:
        target = self._stack.top(DictNode)
        if len(items) % 2:
            raise CorruptFileError("a dict has a key without a value")
        for key, element in zip(items[::2], items[1::2], strict=True):
            name = self._text(key) if isinstance(key, bytes) else key
            target.set(name, element, self._depth)

    # Numbers -------------------------------------------------------------------------

    def _op_none(self) -> None:
        self._stack.push(None)

    def _op_true(self) -> None:
        self._stack.push(True)

    def _op_false(self) -> None:
        self._stack.push(False)

    def _op_binint(self) -> None:
        self._stack.push(int.from_bytes(self._window.take(4), "little", signed=True))

    def _op_binint1(self) -> None:
        self._stack.push(self._window.number(1))

    def _op_binint2(self) -> None:
        self._stack.push(self._window.number(2))

    def _op_long1(self) -> None:
        self._push_long(self._window.number(1))

    def _op_long4(self) -> None:
        self._push_long(self._window.number(4))

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

    def _op_long(self) -> None:
        self._stack.push(self._decimal(self._window.line()))

    def _decimal(self, line: bytes) -> int:
        if not _DECIMAL.fullmatch(line):
            raise CorruptFileError(f"{printable(line[:40])} is not an integer")
        return int(line.rstrip(b"L"))

    def _op_binfloat(self) -> None:
        self._stack.push(struct.unpack(">d", self._window.take(8))[0])

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

    def _op_binstring(self) -> None:
        self._old_text(self._window.number(4))

    def _op_short_binstring(self) -> None:
        self._old_text(self._window.number(1))

    def _op_unicode(self) -> None:
        line = self._window.line()
        self._check_length(len(line))
        try:
            text = line.decode("raw-unicode-escape")
            text.encode("utf-8")
        except UnicodeError as error:
            raise CorruptFileError(f"a text is not Unicode: {error}") from error
        self._stack.push_new(text)

    def _op_short_binunicode(self) -> None:
        self._unicode(self._window.number(1))

    def _op_binunicode(self) -> None:
        self._unicode(self._window.number(4))

    def _op_binunicode8(self) -> None:
        self._unicode(self._window.number(8))

    def _op_short_binbytes(self) -> None:
        self._stack.push_new(self._window.take(self._window.number(1)))

    def _op_binbytes(self) -> None:
        self._stack.push_new(self._window.take(self._window.number(4)))

    def _op_binbytes8(self) -> None:
        self._stack.push_new(self._window.take(self._window.number(8)))

    # The memo --------------------------------------------------------------------------

    def _op_memoize(self) -> None:
        self._stack.memoize()

    def _op_put(self) -> None:
        self._stack.remember(self._decimal(self._window.line()), self._window.seen)

    def _op_binput(self) -> None:
        self._stack.remember(self._window.number(1), self._window.seen)

    def _op_long_binput(self) -> None:
        self._stack.remember(self._window.number(4), self._window.seen)

    def _op_get(self) -> None:
        self._stack.recall(self._decimal(self._window.line()))

    def _op_binget(self) -> None:
        self._stack.recall(self._window.number(1))

    def _op_long_binget(self) -> None:
        self._stack.recall(self._window.number(4))

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

    def _op_frame(self) -> None:
        self._window.expect(self._window.number(8))

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
    except (LookupError, ValueError) as error:
        raise OptionError(f"encoding= is not a text encoding: {printable(encoding)!r}") from error
    return encoding


_PYTHONS_OWN: Final = {ord(op.code): op.name for op in pickletools.opcodes}
_STOP: Final = ord(".")

_OPCODES: Final[dict[str, Callable[[Unpickler], None]]] = {
    "(": Unpickler._op_mark,
    "]": Unpickler._op_empty_list,
    "}": Unpickler._op_empty_dict,
    "l": Unpickler._op_list,
    "d": Unpickler._op_dict,
    "t": Unpickler._op_tuple,
    ")": Unpickler._op_empty_tuple,
    "\x85": Unpickler._op_tuple1,
    "\x86": Unpickler._op_tuple2,
    "\x87": Unpickler._op_tuple3,
    "a": Unpickler._op_append,
    "e": Unpickler._op_appends,
    "s": Unpickler._op_setitem,
    "u": Unpickler._op_setitems,
    "N": Unpickler._op_none,
    "\x88": Unpickler._op_true,
    "\x89": Unpickler._op_false,
    "J": Unpickler._op_binint,
    "K": Unpickler._op_binint1,
    "M": Unpickler._op_binint2,
    "\x8a": Unpickler._op_long1,
    "\x8b": Unpickler._op_long4,
    "I": Unpickler._op_int,
    "L": Unpickler._op_long,
    "G": Unpickler._op_binfloat,
    "F": Unpickler._op_float,
    "S": Unpickler._op_string,
    "T": Unpickler._op_binstring,
    "U": Unpickler._op_short_binstring,
    "V": Unpickler._op_unicode,
    "X": Unpickler._op_binunicode,
    "\x8c": Unpickler._op_short_binunicode,
    "\x8d": Unpickler._op_binunicode8,
    "B": Unpickler._op_binbytes,
    "C": Unpickler._op_short_binbytes,
    "\x8e": Unpickler._op_binbytes8,
    "\x96": Unpickler._op_binbytes8,
    "p": Unpickler._op_put,
    "q": Unpickler._op_binput,
    "r": Unpickler._op_long_binput,
    "\x94": Unpickler._op_memoize,
    "g": Unpickler._op_get,
    "h": Unpickler._op_binget,
    "j": Unpickler._op_long_binget,
    "c": Unpickler._op_global,
    "\x93": Unpickler._op_stack_global,
    "R": Unpickler._op_reduce,
    "b": Unpickler._op_build,
    "\x80": Unpickler._op_proto,
    "\x95": Unpickler._op_frame,
}

_HANDLERS: Final = [_OPCODES.get(chr(code), Unpickler._op_forbidden) for code in range(256)]
