"""What the reports for machines share: paths and fingerprints."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ann_ckpt.params.findings import Finding

__all__ = ["fingerprinted", "relative"]


def relative(path: str) -> str:
    """Return a path as repositories have it: from the working directory, with slashes.

    What lies elsewhere keeps its absolute path.
    """
    # A name that is no Unicode cannot stand in a report as it is.
    sayable = path.encode("utf-8", "replace").decode("utf-8")
    # Not resolved: a link in the repository is what people see.
    absolute = Path(os.path.normpath(Path.cwd() / sayable))
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return absolute.as_posix()


def fingerprinted(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Yield each finding with a digest that stays when lines move, and is like no other.

    A finding is recognised by its rule, file and pointer; those without a pointer by
    their message. Equal ones are told apart by their order.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    for finding in findings:
        what = (finding.rule, relative(finding.path), finding.pointer or finding.message)
        text = "\0".join((*what, str(seen[what])))
        seen[what] += 1
        yield finding, hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
