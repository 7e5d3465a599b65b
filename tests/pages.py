"""The blocks of Python in a page of docs/, each a script of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str) -> list[str]:
    """Return the code of a page."""
    return re.findall(r"^```python\n(.*?)^```", (_DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def run(block: str, page: str) -> dict[str, Any]:
    """Return the names that a block leaves behind."""
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(block, page, "exec"), names)
    return names
