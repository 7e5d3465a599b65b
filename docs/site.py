"""What MkDocs does not do by itself for ``make docs``: pages of docstrings, links out of ``docs/``, roles."""

from __future__ import annotations

import importlib
import re
from typing import Any

import griffe
from mkdocs.structure.files import File, Files

from docs.api import MODULES, public_names

_OUTSIDE = re.compile(r"\[([^\]\n]+)\]\(\.\./[^)\s]+\)")
_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`(~?)([^`]+)`")
_MERMAID = re.compile(r"^```mermaid$", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each public module."""
    for name in MODULES:
        page = f"reference/{name.rpartition('.')[2]}.md"
        files.append(File.generated(config, page, content=_reference(name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leave the words of links to files that are not part of the site, and diagrams as the text they are."""
    return _MERMAID.sub("```text", _OUTSIDE.sub(r"\1", markdown))


def _reference(name: str) -> str:
    module = importlib.import_module(name)
    parts = [f"# {name}", f"::: {name}\n    options: {{members: false}}"]
    for public in public_names(module):
        thing = getattr(module, public)
        if getattr(thing, "__doc__", None) and not isinstance(thing, type(importlib)) and callable(thing):
            parts.append(
                f"::: {name}.{public}\n    options: {{show_root_heading: true, show_root_toc_entry: true}}"
            )
    return "\n\n".join(parts) + "\n"


class PlainRoles(griffe.Extension):
    """Turns ``:func:`~ann_ckpt.load``` into ``load``: roles are Sphinx's, which this is not."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of whatever was found."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_plain, obj.docstring.value)


def _plain(role: re.Match[str]) -> str:
    return f"`{role[2].rpartition('.')[2] if role[1] else role[2]}`"
