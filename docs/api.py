"""Write docs/api.md, which names everything public: ``python -m docs.api``, or ``make api``."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = [
    "ann_ckpt",
    "ann_ckpt.reports",
    "ann_ckpt.annarchy",
    "ann_ckpt.nest",
    "ann_ckpt.pynn",
    "ann_ckpt.params",
    "ann_ckpt.plot",
    "ann_ckpt.simulators",
    "ann_ckpt.testing",
    "ann_ckpt.errors",
]
PAGE = Path(__file__).with_name("api.md")
HEAD = """# Public names

What is named here is public; everything else may change. Written by `make api` from the code, where the
full docstrings are: `python -c 'import ann_ckpt; help(ann_ckpt.save)'`. A signature leaves the types out.
"""


def page() -> str:
    """Return the page as it should be."""
    return "\n".join([HEAD, *(line for name in MODULES for line in _module(name))])


def public_names(module: ModuleType) -> list[str]:
    """Return what a module exports; ``__all__`` leaves out what would hide a builtin."""
    hiding = [name for name, thing in vars(module).items() if hasattr(builtins, name) and _is_ours(thing)]
    return sorted({*module.__all__, *hiding}, key=str.casefold)


def _is_ours(thing: Any) -> bool:
    return inspect.isfunction(thing) and thing.__module__.startswith("ann_ckpt")


def _module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    yield f"## {name}\n"
    yield f"{_first_line(module)}\n"
    for public in public_names(module):
        yield from _entry(public, getattr(module, public))
    yield ""


def _entry(name: str, thing: Any) -> Iterator[str]:
    if inspect.ismodule(thing):
        yield f"- module [`{name}`](#{thing.__name__.replace('.', '')}): {_first_line(thing)}"
    elif inspect.isclass(thing):
        yield f"- class `{name}{_signature(thing)}`: {_first_line(thing)}"
        yield from (f"  - {line}" for line in _members(thing))
    elif inspect.isfunction(thing):
        yield f"- `{name}{_signature(thing)}`: {_first_line(thing)}"
    else:
        yield f"- `{name}`: {_text_below(name, thing)}".removesuffix(": ")


def _members(cls: type) -> Iterator[str]:
    """Methods, properties and members of an enumeration, those of private bases included."""
    if hasattr(cls, "__members__"):
        yield from (f"`{name}`" for name in cls.__members__)
    seen: set[str] = set()
    for owner in cls.__mro__:
        if owner is not cls and (not owner.__module__.startswith("ann_ckpt.") or owner.__name__ == "Report"):
            continue
        for name, member in vars(owner).items():
            if name.startswith(("_", "test_")) or name in seen:
                continue
            seen.add(name)
            function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            if inspect.isfunction(function):
                bound = not isinstance(member, staticmethod)
                yield f"`{name}{_signature(function, bound=bound)}`: {_first_line(function)}"
            elif isinstance(member, property) or type(member).__name__ == "cached_property":
                yield f"`{name}`: {_first_line(member)}"


def _signature(thing: Any, *, bound: bool = False) -> str:
    if inspect.isclass(thing) and (issubclass(thing, (BaseException, type)) or hasattr(thing, "__members__")):
        return ""
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return ""
    parameters = list(signature.parameters.values())[bound:]
    if inspect.isclass(thing) and [p.name for p in parameters] == ["args", "kwargs"]:
        return ""  # a protocol
    bare = inspect.Signature([p.replace(annotation=inspect.Parameter.empty) for p in parameters])
    answer = signature.return_annotation
    return f"{bare} -> {answer}" if isinstance(answer, str) and answer != "None" else str(bare)


def _first_line(thing: Any) -> str:
    return _one_line(inspect.getdoc(thing) or "")


def _one_line(text: str) -> str:
    """Return the first paragraph without Sphinx's roles."""
    line = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", line).replace("``", "`")


def _text_below(name: str, thing: Any) -> str:
    """Return the text below the assignment of a constant, from the module where it stands."""
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("ann_ckpt.") or vars(module).get(name) is not thing:
            continue
        body = ast.parse(inspect.getsource(module)).body
        for statement, text in itertools.pairwise(body):
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            if any(ast.unparse(target) == name for target in targets) and isinstance(text, ast.Expr):
                return _one_line(str(ast.literal_eval(text.value)))
    return ""


if __name__ == "__main__":
    PAGE.write_text(page())
