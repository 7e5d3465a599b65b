"""Names that stand in SONATA files, and what they are called in a network."""

from __future__ import annotations

from urllib.parse import quote, unquote

__all__ = [
    "CONFIG",
    "DELAY",
    "FIRST_TYPE",
    "GEOMETRY",
    "GROUP",
    "MAGIC",
    "OURS",
    "TARGET",
    "VERSION",
    "WEIGHT",
    "from_file",
    "in_file",
]

MAGIC = 0x0A7A
VERSION = (0, 1)
CONFIG = "circuit_config.json"
GROUP = "0"
"""The one group of attributes that is written."""
FIRST_TYPE = 100
WEIGHT = "syn_weight"
"""What ``w`` is called."""
DELAY = "delay"
"""In ms; a network has steps."""
GEOMETRY = "geometry"
"""Column of the table of node types: lengths of the axes, ``20x20``."""
TARGET = "target"
"""Column of the table of edge types: ``exc``, ``inh``, ..."""
OURS = "ann_ckpt"
"""Key of the configuration: length of a step and number of steps, which SONATA keeps with a simulation."""


def in_file(name: str) -> str:
    """Return the name that stands for a population, projection or attribute in a file.

    Examples
    --------
    >>> in_file("a/b"), in_file("w"), in_file("")
    ('a%2Fb', 'w', '%')
    """
    safe = "".join(c if c.isprintable() and c not in "%/" else quote(c, safe="") for c in name)
    return {"": "%", ".": "%2E", "..": "%2E."}.get(safe, safe)


def from_file(name: str) -> str:
    """Return the name that :func:`in_file` made another one of.

    Examples
    --------
    >>> from_file("a%2Fb"), from_file("50%"), from_file("%")
    ('a/b', '50%', '')
    """
    return "" if name == "%" else unquote(name)
