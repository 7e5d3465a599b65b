"""``ann-ckpt log``, ``add``, ``prune``, ``gc`` and ``unlock``: commands on stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import emit, number, print_json, progress_bar, safe, somebody_answers, table
from ann_ckpt.errors import CheckpointError, LockedError, OptionError
from ann_ckpt.paths import absolute
from ann_ckpt.report import count, human_bytes
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.opening import open_checkpoint
from ann_ckpt.store.owners.lock import Holder, break_lock, holder_of
from ann_ckpt.store.owners.ranks import rank_locks
from ann_ckpt.store.reports import PruneReport
from ann_ckpt.store.store import CheckpointStore
from ann_ckpt.store.summary import added_bytes, open_inside

__all__ = [
    "add",
    "gc",
    "log",
    "prune",
    "unlock",
]

_ALIVE = {
    True: "that process lives",
    False: "that process is no longer running",
    None: "whether that process lives cannot be known from here",
}


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt unlock run.ckpt --yes", "remove what a job left that was killed"),
        ("ann-ckpt unlock run.ckpt --json", "who holds it, for a script"),
    ],
)
@click.argument("store", metavar="STORE")
@click.option("--yes", is_flag=True, help="Do not ask. A lock whose holder lives stays.")
@click.option("--force", is_flag=True, help="Do not ask, and remove the lock of a living process, too.")
@json_option
def unlock(store: str, *, yes: bool, force: bool, as_json: bool) -> None:
    """Say who holds the locks of a store, and remove them.

    A lock of a process that died on this host is taken over by the next one that saves;
    one that was left on another host is not, unless by an earlier start of the same
    batch job, because nobody here can know whether its
    process is gone. Look there first. A process that lives and has lost its lock to
    this command refuses to save from then on.

    Exit status 10 says that a lock stays.
    """
    folder = StoreFolder(absolute(store))
    folder.settings()
    holders = [h for path in (folder.writer_lock, folder.change_lock) if (h := holder_of(path)) is not None]
    holders += [h for path in rank_locks(folder) if (h := holder_of(path)) is not None]
    if not as_json:
        emit(*(_line(holder) for holder in holders) if holders else ["the store is not locked"])
    willing = holders if force else [holder for holder in holders if not holder.alive]
    removed = willing if yes or force or _agreed(willing, as_json=as_json) else []
    for holder in removed:
        break_lock(holder)
    if as_json:
        print_json(
            {
                "path": store,
                "locks": [holder.to_dict() for holder in holders],
                "removed": [holder.path.name for holder in removed],
            }
        )
    elif removed:
        emit(*(f"[green]removed {holder.path.name}[/]" for holder in removed))
        emit(f"[dim]`ann-ckpt gc {safe(store, 400)}` removes what an interrupted save may have left[/]")
    if staying := [holder for holder in holders if holder not in removed]:
        raise _refusal(staying, store)


def _line(holder: Holder) -> str:
    what = holder.purpose or "unknown purpose"
    ask = f"; `{holder.job.lookup}` shows its job" if holder.job is not None and holder.alive is None else ""
    return f"{holder.path.name}: {safe(holder.name, 400)} ({safe(what)}); {_ALIVE[holder.alive]}{ask}"


def _agreed(willing: Sequence[Holder], *, as_json: bool) -> bool:
    """Ask for confirmation on a terminal; False elsewhere."""
    if as_json or not willing or not somebody_answers():
        return False
    return click.confirm(f"Remove {' and '.join(holder.path.name for holder in willing)}?", err=True)


def _refusal(staying: Sequence[Holder], store: str) -> LockedError:
    living = any(holder.alive for holder in staying)
    names = " and ".join(holder.path.name for holder in staying)
    return LockedError(
        f"{names} {'stays' if len(staying) == 1 else 'stay'}",
        details={
            "hint": "end the process that lives first, or --force if it cannot come to the store any more"
            if living
            else "--yes removes it without asking, once its process is known to be gone"
        },
        where=store,
    )


_store_argument = click.argument("store", metavar="STORE")
_dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt log run.ckpt", "every checkpoint: step, time, tag, bytes it added"),
        ("ann-ckpt log run.ckpt --last 2 --json", "the last two, for a script"),
    ],
)
@_store_argument
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the N newest.")
@json_option
def log(store: str, *, last: int | None, as_json: bool) -> None:
    """List the checkpoints of a store, oldest first.

    What a checkpoint added is its own file and those objects that none before it
    needs. The last line counts everything that is there. Where a save was made by
    `every` or for a signal, the list says why.
    """
    opened = CheckpointStore(store)
    infos = opened.checkpoints
    rows = [
        info.to_dict() | {"path": info.path, "bytes_added": added}
        for info, added in zip(infos, added_bytes(infos), strict=True)
    ]
    shown = rows if last is None else rows[-last:]
    for row in shown:
        row["saved"] = _why(row)
    if as_json:
        print_json(shown)
        return
    why = ["saved"] if any(row["saved"] for row in shown) else []
    listing = table(
        "checkpoint", "step", "ms", "written", "added", *why, "tag", right=("step", "ms", "added")
    )
    for row in shown:
        cells = _cells(row)
        listing.add_row(*cells[:-1], *(safe(row["saved"] or "") for _ in why), cells[-1])
    total = human_bytes(sum(row["bytes_added"] for row in rows))
    emit(listing, f"[dim]{count(len(rows), 'checkpoint')}, {total}[/]")


def _why(row: dict[str, Any]) -> str | None:
    """Return why a checkpoint was saved; None if nobody recorded it, or it is gone or damaged by now."""
    try:
        with open_inside(row["path"]) as checkpoint:
            why = checkpoint.provenance.get("saved")
    except CheckpointError:
        return None
    return why if isinstance(why, str) else None


def _cells(row: dict[str, Any]) -> list[str]:
    last = f"[bold red]{safe(row['problem'], 200)}[/]" if row["problem"] else safe(row["tag"] or "")
    return [
        row["name"],
        "" if row["time_step"] is None else f"{row['time_step']:,}",
        "" if row["time_ms"] is None else number(row["time_ms"], 10),
        safe(row["created"][:19].replace("T", " ")),
        human_bytes(row["bytes_added"]),
        last,
    ]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt add run.ckpt demo.h5", "with the file's own date, origin and tag"),
        ("ann-ckpt add new.ckpt demo.h5 --tag start", "into a store that is made for it"),
    ],
)
@_store_argument
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--tag", help="What the checkpoint is called; for one file only.")
@json_option
def add(store: str, files: tuple[str, ...], *, tag: str | None, as_json: bool) -> None:
    """Add checkpoint files to a store.

    Only what is new there is written. A store that is not there is made.
    """
    if tag is not None and len(files) > 1:
        raise OptionError("--tag names one checkpoint", details={"given": count(len(files), "file")})
    for file in files:
        open_checkpoint(file).close()  # before a store is made for what is missing or damaged
    reports = []
    try:
        with CheckpointStore(store, "a") as opened:
            for file in files:
                with progress_bar("adding") as progress:
                    reports.append(opened.add(file, tag=tag, progress=progress))
                if not as_json:
                    emit(f"[green]{safe(reports[-1].headline(), 1000)}[/]", *_notes(reports[-1].notes))
    finally:
        if as_json and reports:
            print_json([report.to_dict() for report in reports])


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt prune run.ckpt --keep-last 3 --dry-run", "what would go"),
        ("ann-ckpt prune run.ckpt --keep-last 2 --keep-every 10 --json", "remove it, for a script"),
    ],
)
@_store_argument
@click.option("--keep-last", type=click.IntRange(min=1), metavar="N", help="The N newest stay.")
@click.option(
    "--keep-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="The first of every so many steps stays.",
)
@click.option("--keep-tags/--no-keep-tags", default=True, help="Those with a tag stay.  [default: keep-tags]")
@_dry_run_option
@json_option
def prune(
    store: str,
    *,
    keep_last: int | None,
    keep_every: int | None,
    keep_tags: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove checkpoints from a store.

    With them goes whatever no other one needs. What any rule wants to keep stays,
    and so does the newest. Another process may save or read meanwhile.
    """
    with CheckpointStore(store, "r" if dry_run else "prune") as opened:
        report = opened.prune(
            keep_last=keep_last, keep_every=keep_every, keep_tags=keep_tags, dry_run=dry_run
        )
    _say(report, as_json=as_json)


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt gc run.ckpt --dry-run", "whether an interrupted save left anything"),
        ("ann-ckpt gc run.ckpt --json", "remove it, for a script"),
    ],
)
@_store_argument
@_dry_run_option
@json_option
def gc(store: str, *, dry_run: bool, as_json: bool) -> None:
    """Remove from a store what no checkpoint needs.

    Interrupted saves leave such things; saving does the same by itself after a kill.
    """
    with CheckpointStore(store, "r" if dry_run else "prune") as opened:
        report = opened.gc(dry_run=dry_run)
    _say(report, as_json=as_json)


def _say(report: PruneReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
    else:
        emit(safe(report.headline(), 1000), *(f"  {name}" for name in report.removed))


def _notes(notes: tuple[object, ...]) -> list[str]:
    return [f"  {safe(note, 400)}" for note in notes]
