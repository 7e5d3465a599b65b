"""``ann-ckpt convert``: converts files of other programs, such as ANNarchy and Brian2, to checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from ann_ckpt.cli.command import Command, isolate_option, json_option, report_error
from ann_ckpt.cli.output import emit, print_json, progress_bar, safe
from ann_ckpt.cli.targets import check_checkpoint_target
from ann_ckpt.convert import Conversion, ConvertReport, plan_folder
from ann_ckpt.convert import convert as convert_file
from ann_ckpt.errors import CheckpointError, OptionError, UnrecognisedFileError
from ann_ckpt.paths import is_file, is_folder, local_path
from ann_ckpt.report import Note

__all__ = ["convert"]

_NOTES = 12
"""Notes about one file before the rest is only counted."""


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt convert 2016.data 2016.h5", "rescue one file of any ANNarchy"),
        ("ann-ckpt convert trained.npz trained.h5 --dt 0.5", "with the dt that no such file records"),
        ("ann-ckpt convert stored.pkl run.ckpt", "every snapshot that Brian2 stored in one file"),
        ("ann-ckpt convert circuit/circuit_config.json net.h5 --dt 0.1", "a circuit of SONATA"),
        ("ann-ckpt convert old/ new/", "every old file below a folder, found by content"),
    ],
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.option("--dt", type=float, metavar="MS", help="Length of a step in ms; old files do not record it.")
@click.option("--encoding", metavar="NAME", help="Of names from Python 2, such as latin1.")
@click.option("--snapshot", metavar="NAME", help="Which one, of several that Brian2 stored in one file.")
@isolate_option
@json_option
def convert(
    source: str,
    target: str,
    *,
    dt: float | None,
    encoding: str | None,
    snapshot: str | None,
    isolate: bool,
    as_json: bool,
) -> int:
    """Turn files of ANNarchy, Brian2 and SONATA into checkpoints.

    Pickles, gzipped pickles, .npz and .mat files from ANNarchy 4.1 to 5.0, Python 2
    and 3, and what Network.store of Brian2 2.5 to 2.11 wrote, told by their content.
    Nothing in them is ever run. Of SONATA a circuit_config.json with all that it names, or
    one file of nodes or edges. What a file does not say is printed, and kept in the new
    file's metadata.

    OUT may replace a checkpoint, and no other file. With folders, every old file
    below IN becomes a checkpoint below OUT; the exit status is 0 if none was refused,
    else the highest one met.
    """
    batch = _Batch({"dt": dt, "encoding": encoding, "snapshot": snapshot, "isolate": isolate})
    if not is_folder(local_path(source)):
        _one(batch, Conversion(Path(source), Path(target)), as_json=as_json)
        return 0
    if is_file(target):
        raise OptionError("IN is a folder and OUT is a file", where=target)
    planned = list(plan_folder(source, target))
    if not planned:
        raise UnrecognisedFileError(
            "no file below the folder is one that can be converted",
            details={"expected": "files of ANNarchy, Brian2 or SONATA"},
            where=source,
        )
    for conversion in _watched(planned, as_json=as_json):
        batch.run(conversion)
    if as_json:
        print_json(batch.documents)
    else:
        batch.print()
    return batch.status


@dataclass
class _Batch:
    """Conversions of a folder, with their results."""

    options: dict[str, Any]
    reports: list[ConvertReport] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    foreign: int = 0
    status: int = 0

    def convert(self, conversion: Conversion, **progress: Any) -> ConvertReport:
        if conversion.problem is not None:
            raise conversion.problem
        check_checkpoint_target(str(conversion.target), source=str(conversion.source))
        return convert_file(conversion.source, conversion.target, **self.options, **progress)

    def run(self, conversion: Conversion) -> None:
        """Convert one file of many; an error is printed, and the next file follows."""
        try:
            report = self.convert(conversion)
        except UnrecognisedFileError:
            self.foreign += 1
        except CheckpointError as error:
            self.refused += 1
            self.status = max(self.status, report_error(error))
            document = {"source": str(conversion.source), "error": error.code, "text": error.fact}
            self.documents.append(document | {"where": error.where})
        else:
            self.reports.append(report)
            self.documents.append({"partial": report.partial, **report.to_dict()})

    def print(self) -> None:
        """Print what was lost, file by file, then what holds for several, then the counts."""
        for report in self.reports:
            if report.partial:
                emit(f"[yellow]partial[/]  {safe(report.path, 400)}", *_lines(report.lost))
        common = Counter(note.text for report in self.reports for note in set(report.notes) if not note.path)
        for text, count in common.most_common(_NOTES):
            emit(f"[dim]{count} file{'s' if count != 1 else ''}: {safe(text, 400)}[/]")
        partial = sum(report.partial for report in self.reports)
        whole = len(self.reports) - partial
        colour = "red" if self.refused else "yellow" if partial else "green"
        emit(f"[{colour}]converted {whole}, partial {partial}, refused {self.refused}[/]")
        if self.foreign:
            emit(f"[dim]{self.foreign} more are pickles, archives or MATLAB files of other programs[/]")


def _one(batch: _Batch, conversion: Conversion, *, as_json: bool) -> None:
    with progress_bar("writing") as progress:
        report = batch.convert(conversion, progress=progress)
    if as_json:
        print_json({"partial": report.partial, **report.to_dict()})
        return
    colour = "yellow" if report.partial else "green"
    emit(f"[{colour}]{safe(report.headline(), 1000)}[/]")
    for title, notes in (("lost", report.lost), ("notes", report.notes)):
        if notes:
            emit(f"  {title}:", *_lines(notes))


def _lines(notes: tuple[Note, ...]) -> list[str]:
    shown = [f"    {safe(note, 400)}" for note in notes[:_NOTES]]
    more = [f"    and {len(notes) - _NOTES:,} more; --json lists all"] if len(notes) > _NOTES else []
    return shown + more


def _watched(conversions: list[Conversion], *, as_json: bool) -> Iterable[Conversion]:
    """Move a bar along, on a terminal only."""
    err = Console(stderr=True)
    if as_json or not err.is_terminal:
        return conversions
    return track(conversions, "converting", console=err, transient=True)
