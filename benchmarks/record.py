"""The file of a run: what the run is in the first line, a measured case in each further one.

Lines are added when a case is done, so a run that was stopped goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks.results import Result

__all__ = ["Record", "RecordError"]

_SAME = ("scale", "commit", "command", "cases")
"""What two halves of a run have in common."""


class RecordError(Exception):
    """A file is no whole record of a run, or that of another one than wants to go on in it."""


class Record:
    """A run on disk.

    Parameters
    ----------
    path : Path
        Its file.
    run : mapping
        Scale, commit, command, cases, machine.
    results : dict of str to Result
        By the keys of their cases.
    """

    def __init__(self, path: Path, run: Mapping[str, Any], results: dict[str, Result]) -> None:
        self._path = path
        self.run = run
        self.results = results

    @classmethod
    def begin(cls, path: Path, run: Mapping[str, Any]) -> Self:
        """Write the first line; what the file held is gone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run) + "\n")
        return cls(path, run, {})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file back; of a case that stands there twice, the last one counts.

        Raises
        ------
        RecordError
            If a line is not whole, as the last one may be that was written when a run was killed.
        """
        found = []
        for number, line in enumerate(path.read_text().splitlines() or [""], 1):
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise RecordError(f"{path}: line {number} is not whole; take it out to go on") from error
        run, *results = found
        return cls(path, run, {one["key"]: Result.from_json(one) for one in results})

    @classmethod
    def go_on(cls, path: Path, run: Mapping[str, Any]) -> Self:
        """Read the file of a run that was stopped, or begin one where there is none.

        Raises
        ------
        RecordError
            If the file is that of another command, or of another commit, or is not whole.
        """
        if not path.exists():
            return cls.begin(path, run)
        record = cls.read(path)
        for what in _SAME:
            there, here = record.run[what], run[what]
            if there != here:
                shown = f"other {what}" if what == "cases" else f"{what} {there}, not {here}"
                raise RecordError(f"{path} holds another run ({shown}); without --resume it is replaced")
        return record

    def add(self, result: Result) -> None:
        """Keep one more case."""
        self.results[result.key] = result
        with self._path.open("a") as file:
            file.write(json.dumps(result.to_json()) + "\n")
