"""Data members of the C++ structures that ANNarchy generates, as their text declares them.

Every population and projection becomes one ``struct`` in a header of its own. What it
carries from one step to the next are its data members; its functions carry nothing.
Reading the generated text instead of expecting certain members finds all of them, those
of a user's own population included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "CppMember",
    "base_class",
    "data_members",
    "is_unordered",
]

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PREPROCESSOR = re.compile(r"^[ \t]*#[^\n]*", re.MULTILINE)
_CONTAINER = re.compile(r"std::(?:vector|deque|queue)<(.*)>")
_NUMBERS = {
    "bool": "?",
    "char": "i1",
    "double": "f8",
    "float": "f4",
    "int": "i4",
    "long": "i8",
    "long int": "i8",
    "short int": "i2",
    "size_t": "u8",
    "unsigned int": "u4",
}
"""C++ type of a number -> its type in numpy, on the 64-bit systems that ANNarchy runs on."""
_DISTRIBUTION = re.compile(r"std::\w+_distribution<.*>")
_FIRST = re.compile(r"(.*[ >*&])(\w+)")
_LABEL = re.compile(r"^ ?(?:public|protected|private) ?:(?!:) ?")
_UNORDERED = re.compile(
    r"#pragma omp (?:atomic|critical)"
    r"|#pragma omp (?:for|single nowait)(?:(?!#pragma)[\s\S])*\brng\[0\]"
)
_NOT_DATA = ("using ", "typedef ", "struct ", "friend ")


@dataclass(frozen=True, slots=True)
class CppMember:
    """One data member of a generated structure."""

    name: str
    ctype: str
    """C++ type with single spaces, such as ``std::vector<std::vector<double>>``."""

    @property
    def depth(self) -> int:
        """Containers around the values: 0 for a number, 1 for a vector of numbers."""
        return self._peeled()[0]

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Type of the numbers inside; None if it holds anything else."""
        code = _NUMBERS.get(self._peeled()[1])
        return None if code is None else np.dtype(code)

    @property
    def is_distribution(self) -> bool:
        """Whether it is a random distribution, which may keep a number for the next draw."""
        return _DISTRIBUTION.fullmatch(self.ctype) is not None

    def _peeled(self) -> tuple[int, str]:
        depth, inner = 0, self.ctype
        while (within := _CONTAINER.fullmatch(inner)) is not None:
            depth, inner = depth + 1, within[1]
        return depth, inner


def is_unordered(text: str, threads: int) -> bool:
    r"""Whether threads add to one sum or list, or draw from one random generator, as they happen to come.

    Then two runs of one network differ in the last bits, whether they are interrupted or not.

    Parameters
    ----------
    text : str
        The header of a population or projection.
    threads : int
        How many there are. Two parts of a sum make the same in either order, three do not.

    Examples
    --------
    >>> is_unordered("#pragma omp atomic\n g += w;", 2)
    True
    >>> is_unordered("#pragma omp for\n for (;;) g[i] += w;", 2)
    False
    """
    if threads < 2:
        return False
    plain = _COMMENT.sub(" ", text)
    return _UNORDERED.search(plain) is not None or (threads > 2 and "reduction(+" in plain)


def data_members(text: str, struct: str) -> tuple[CppMember, ...]:
    """Return the data members that ``struct`` declares itself, in order.

    Parameters
    ----------
    text : str
        The header.
    struct : str
        Name of the structure.

    Raises
    ------
    ValueError
        If the header defines no such structure, or it does not end.

    Examples
    --------
    >>> data_members("struct P { int a, b; long int f() { int c; return c; } };", "P")
    (CppMember(name='a', ctype='int'), CppMember(name='b', ctype='int'))
    """
    head = _head(text, struct)
    body = head.string[head.end() :]
    return tuple(member for line in _declarations(body, struct) for member in _declared(line))


def base_class(text: str, struct: str) -> str:
    """Return what ``struct`` is derived from, without spaces; empty if from nothing.

    Parameters
    ----------
    text : str
        The header.
    struct : str
        Name of the structure.

    Raises
    ------
    ValueError
        If the header defines no such structure.

    Examples
    --------
    >>> base_class("struct P : LILMatrix<int, int> { int a; };", "P")
    'LILMatrix<int,int>'
    """
    return "".join(_head(text, struct)[1].split()).removeprefix(":")


def _head(text: str, struct: str) -> re.Match[str]:
    """Return where the definition of a structure begins, in the text without comments."""
    plain = _PREPROCESSOR.sub("", _COMMENT.sub(" ", text))
    head = re.search(rf"\bstruct {re.escape(struct)}\b([^;{{]*){{", plain)
    if head is None:
        raise ValueError(f"the generated code defines no struct {struct}")
    return head


def _declarations(text: str, struct: str) -> Iterator[str]:
    """Yield what stands before each semicolon of the body, without functions."""
    depth, line = 0, ""
    for part in re.split(r"([{};])", text):
        if part == "{":
            depth += 1
        elif part == "}":
            depth -= 1
            if depth < 0:
                return
            # The end of a function's body ends the function; that of an initial value does not.
            if depth == 0 and "(" in line:
                line = ""
        elif depth == 0 and part == ";":
            yield line
            line = ""
        elif depth == 0:
            line += part
    raise ValueError(f"struct {struct} does not end in the generated code")


def _declared(line: str) -> Iterator[CppMember]:
    """Yield the members of one declaration such as ``bool _update, _plasticity = true``."""
    words = _LABEL.sub("", " ".join(line.split()))
    if not words or "(" in words or words.startswith(_NOT_DATA):
        return
    first, *others = (part.partition("=")[0].strip() for part in _at_top_commas(words))
    match = _FIRST.fullmatch(first)
    if match is None:
        # What is not understood is a member all the same, of a type that nobody knows.
        yield CppMember(first, words)
        return
    ctype = re.sub(r" ?([<>,*]) ?", r"\1", match[1]).strip()
    for name in (match[2], *others):
        yield CppMember(name, ctype)


def _at_top_commas(words: str) -> list[str]:
    """Cut at the commas that stand outside of angle brackets."""
    parts, depth = [""], 0
    for character in words:
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
