"""``ann-ckpt unlock``: shows who holds a store's locks and removes stale ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import emit, print_json, safe
from ann_ckpt.errors import LockedError
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.lock import Holder, break_lock, holder_of

__all__ = ["unlock"]

_ALIVE = {
    True: "that process lives",
    False: "that process does not live any more",
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
    one that was left on another host is not, because nobody here can know whether its
    process is gone. Look there first. A process that lives and has lost its lock to
    this command refuses to save from then on.

    Exit status 10 says that a lock stays.
    """
    folder = StoreFolder(Path(store))
    folder.settings()
    holders = [h for path in (folder.writer_lock, folder.change_lock) if (h := holder_of(path)) is not None]
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
    return f"{holder.path.name}: {safe(holder.name, 400)} ({safe(what)}); {_ALIVE[holder.alive]}"


def _agreed(willing: Sequence[Holder], *, as_json: bool) -> bool:
    """Ask on a terminal; elsewhere nobody has agreed to anything."""
    if as_json or not willing or not sys.stdin.isatty():
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
        where=safe(store, 400),
    )
