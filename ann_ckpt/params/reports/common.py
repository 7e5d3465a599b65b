"""What the reports for machines share: paths, fingerprints, and what is said once for a file."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.text.document import MOST_PROBLEMS
from ann_ckpt.paths import exists

__all__ = ["against", "fingerprinted", "over_limit", "relative"]

_CI_FOLDERS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Where GitHub and GitLab say that the repository is."""


def relative(path: str) -> str:
    """Return a path as repositories have it: from the top of the repository, with slashes.

    The top is what the CI says it is, else the folder above the file that has a ``.git``,
    else the working directory. What lies elsewhere keeps its absolute path.
    """
    # A name that is no Unicode cannot stand in a report as it is.
    sayable = path.encode("utf-8", "replace").decode("utf-8")
    # Not resolved: a link in the repository is what people see.
    absolute = Path(os.path.normpath(Path.cwd() / sayable))
    for root in _roots(absolute):
        # The runner may name its folder by a link that the shell has followed.
        for way in (root, Path(os.path.realpath(root))):
            if absolute.is_relative_to(way):
                return absolute.relative_to(way).as_posix()
    return absolute.as_posix()


def _roots(file: Path) -> Iterator[Path]:
    for variable in _CI_FOLDERS:
        named = os.environ.get(variable)
        if named and Path(named).is_absolute():
            yield Path(os.path.normpath(named))
    for folder in file.parents:
        if exists(folder / ".git"):
            yield folder
            break
    yield Path.cwd()


def over_limit(file: Checked) -> str:
    """Return what to say of the findings that were counted only; empty if there are none."""
    if not file.dropped:
        return ""
    # Beyond a limit of its own, a check no longer looks for more.
    least = "at least " if len(file.findings) + file.dropped >= MOST_PROBLEMS else ""
    return f"and {least}{file.dropped} more findings, over the limit"


def against(file: Checked) -> str:
    """Return what a file was checked against, as a sentence says it; empty if nobody said."""
    return f"checked against {file.schema}" if file.schema else ""


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
