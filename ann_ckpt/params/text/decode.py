"""Bytes to text, strictly."""

from __future__ import annotations

import re

from ann_ckpt.params.text.document import Problems
from ann_ckpt.params.text.source import SourceText

__all__ = ["LARGEST", "decode"]

LARGEST = 32 << 20
"""Bytes in the largest file that is read: a value for each of a million neurons fits."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# The old XML files were written on the systems of their time.
_DECLARED = re.compile(
    rb"<\?xml[^>]*encoding\s*=\s*[\"'](iso-8859-1|iso-8859-15|windows-1252)[\"']", re.IGNORECASE
)


def decode(raw: bytes, path: str, problems: Problems) -> tuple[SourceText, bool]:
    """Return the text of a file, and whether it is worth reading on.

    JSON and YAML are UTF-8 without a byte-order mark; an XML file may declare one of
    the Western European encodings.
    """
    if len(raw) > LARGEST:
        problems.add("P005", (0, 1), f"more than {LARGEST >> 20} MiB; no parameter file needs that")
        return SourceText(path, ""), False
    if raw.startswith(_UTF16):
        problems.add("P002", (0, 1), "the bytes are UTF-16; save the file as UTF-8")
        return SourceText(path, ""), False
    if raw.startswith(_BOM):
        problems.add("P003", (0, 1), "a byte-order mark; save the file as UTF-8 without one")
        raw = raw[len(_BOM) :]
    if not raw.strip():
        problems.add("P004", (0, 1), "the file is empty")
        return SourceText(path, ""), False
    declared = _DECLARED.match(raw.lstrip())
    try:
        return SourceText(path, raw.decode(declared[1].decode() if declared else "utf-8")), True
    except UnicodeDecodeError as error:
        start = len(raw[: error.start].decode("utf-8", "replace"))
        problems.add("P002", (start, start + 1), f"byte 0x{raw[error.start]:02x} is not UTF-8")
        return SourceText(path, raw.decode("utf-8", "replace")), False
