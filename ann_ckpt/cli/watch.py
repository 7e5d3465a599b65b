"""``ann-ckpt watch``: what a run saves, while it does."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click
import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live

from ann_ckpt.cli.command import Command
from ann_ckpt.cli.output import emit, number, print_json, safe, table
from ann_ckpt.cli.views import complete_paths
from ann_ckpt.errors import CheckpointError, FileMissingError, NotFoundError, OptionError, printable
from ann_ckpt.looking.choice import changing, shown
from ann_ckpt.looking.sampling import Sample, sample
from ann_ckpt.looking.text import spark
from ann_ckpt.paths import address_of
from ann_ckpt.report import count, human_bytes
from ann_ckpt.store.opening import split_store_path
from ann_ckpt.store.store import CheckpointStore
from ann_ckpt.store.summary import CheckpointInfo, added_bytes, open_inside

__all__ = ["watch"]

_EACH = 128 << 10
"""Bytes of one attribute that are read of one checkpoint, about."""
_BACK = 30
"""Checkpoints that a spark line shows."""
_PACE = 10
"""Checkpoints from which the rate is reckoned."""
_CHOSEN = 4
"""Attributes that are watched unless some are named."""

_Key = tuple[str, str, int]


@dataclass
class _Run:
    """A store that is looked at again and again; nothing of it is locked or kept open."""

    path: str
    chosen: tuple[str, ...]
    """Paths of attributes; empty for what changes in the newest checkpoint."""
    infos: list[CheckpointInfo] = field(default_factory=list)
    problem: str = ""
    """Why there is nothing to see."""
    _store: CheckpointStore | None = None
    _measured: dict[int, dict[str, Sample | str]] = field(default_factory=dict)
    """By the identity of the info, which is another one where another file stands under the name."""

    def look(self, *, waiting: bool) -> None:
        """Look at the store; where there is none yet, or none any more, say so.

        Raises
        ------
        CheckpointError
            If it cannot be read, unless `waiting` for it to come.
        """
        try:
            if self._store is None:
                self._store = CheckpointStore(self.path)
            self.infos = self._store.checkpoints
            self.problem = ""
        except FileMissingError as error:
            if not waiting:
                raise
            self._store, self.infos, self.problem = None, [], f"waiting: {error.fact}"
        except CheckpointError as error:
            if not waiting or not self._measured:
                raise
            self._store, self.infos, self.problem = None, [], error.fact
        alive = {id(info) for info in self.infos}
        self._measured = {key: found for key, found in self._measured.items() if key in alive}

    def measured(self, info: CheckpointInfo) -> dict[str, Sample | str]:
        """Return a sample of each attribute of a checkpoint, or why there is none.

        Raises
        ------
        NotFoundError, OptionError
            If the first one that is looked at has no such attribute.
        """
        if id(info) in self._measured:
            return self._measured[id(info)]
        found: dict[str, Sample | str] = {}
        try:
            with open_inside(info.path) as checkpoint:
                if not self.chosen:
                    self.chosen = tuple(changing(checkpoint, _CHOSEN))
                for path in self.chosen:
                    try:
                        found[path] = sample(shown(checkpoint, path).values, _EACH)
                    except (NotFoundError, OptionError) as error:
                        if not self._measured:
                            raise
                        found[path] = error.fact
                    except CheckpointError as error:
                        found[path] = error.fact
        except FileMissingError:
            return {}  # removed since the folder was listed
        except (NotFoundError, OptionError):
            raise
        except CheckpointError as error:
            found = dict.fromkeys(self.chosen, error.fact)
        self._measured[id(info)] = found
        return found


def _key(info: CheckpointInfo) -> _Key:
    return info.name, info.created, info.file_bytes


@click.command(
    cls=Command,
    examples=[
        (
            "ann-ckpt watch run.ckpt --once",
            "how far it is, how fast, where its weights are; without --once, go on",
        ),
        (
            "ann-ckpt watch run.ckpt projections/forward/w --once",
            "one attribute: mean, spread and a spark line",
        ),
        ("ann-ckpt watch run.ckpt --once --json", "the newest checkpoint, for a script"),
    ],
)
@click.argument("file", metavar="STORE")
@click.argument("paths", nargs=-1, metavar="[PATH]...", shell_complete=complete_paths)
@click.option("--once", is_flag=True, help="Say how things stand, and end.")
@click.option(
    "--poll",
    type=click.FloatRange(min=0.01),
    default=2.0,
    metavar="SECONDS",
    help="How often to look for a new checkpoint.  [default: 2]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document in a line for each checkpoint.")
def watch(file: str, paths: tuple[str, ...], *, once: bool, poll: float, as_json: bool) -> None:
    """Watch a run: its last save, how fast it is, its disk, and some attributes.

    PATH is an attribute, as for `ann-ckpt show`; by default, some variables that have many values.
    Of each, a sample is read. In a terminal the picture is drawn anew until Ctrl-C; in a pipe there
    is a line for each checkpoint, from the newest one on. A store that is not there yet is waited for.
    """
    if address_of(file) is None and os.path.lexists(file) and not os.path.isdir(file):  # noqa: PTH112
        raise OptionError(f"{printable(file)!r} is not a store", details={"found": "a file"})
    found = None if address_of(file) is not None else split_store_path(file)
    if found is not None and found[1] is not None:
        raise OptionError(
            f"{printable(file)!r} is one checkpoint of a store",
            details={"hint": "leave out what follows the @"},
        )
    run = _Run(file, paths)
    if once:
        run.look(waiting=False)
        if as_json:
            if run.infos:
                _document(run, run.infos[-1])
        else:
            emit(_picture(run))
        return
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        if sys.stdout.isatty() and not as_json:
            _redraw(run, poll)
        else:
            _follow(run, poll, as_json=as_json)


def _redraw(run: _Run, poll: float) -> None:
    console = Console(highlight=False)
    run.look(waiting=True)
    with Live(
        _picture(run), console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    ) as live:
        console.show_cursor(True)  # so that a signal that ends this leaves it visible
        while True:
            live.update(_picture(run), refresh=True)
            _pause(poll)
            run.look(waiting=True)


def _follow(run: _Run, poll: float, *, as_json: bool) -> None:
    """Print a line for the newest checkpoint and for each that comes after it."""
    printed: set[_Key] | None = None
    said = ""
    while True:
        run.look(waiting=True)
        if run.problem != said:
            said = run.problem
            if said:
                click.echo(f"{printable(run.path, 400)}: {said}", err=True)
        keys = [_key(info) for info in run.infos]
        for info in run.infos[-1:] if printed is None else run.infos:
            if printed is None or _key(info) not in printed:
                _document(run, info) if as_json else emit(_line(run, info))
                sys.stdout.flush()
        if run.infos or printed is not None:
            printed = set(keys)
        _pause(poll)


def _pause(seconds: float) -> None:
    """Wait, but not for a reader that has gone.

    Raises
    ------
    BrokenPipeError
        If nobody reads any more.
    """
    watched = select.poll()
    try:
        watched.register(sys.stdout.fileno(), 0)  # errors are told unasked
    except OSError:  # a stream without a descriptor, or a closed one
        time.sleep(seconds)
        return
    if any(events & (select.POLLERR | select.POLLHUP) for _, events in watched.poll(1000 * seconds)):
        raise BrokenPipeError


# --- What is said ----------------------------------------------------------------------


def _document(run: _Run, info: CheckpointInfo) -> None:
    added = added_bytes(run.infos)
    attributes = {
        path: {"problem": found} if isinstance(found, str) else _numbers(found)
        for path, found in run.measured(info).items()
    }
    place = run.infos.index(info)
    print_json(
        info.to_dict()
        | {"path": info.path, "bytes_added": added[place], "bytes": sum(added), "attributes": attributes},
        one_line=True,
    )


def _numbers(found: Sample) -> dict[str, Any]:
    known = found.values if found.values.size else np.array([np.nan])
    return {
        "mean": float(known.mean()),
        "std": float(known.std()),
        "min": float(known.min()),
        "max": float(known.max()),
        "values": found.looked_at,
        "of": found.of,
        "not_finite": found.strange,
    }


def _line(run: _Run, info: CheckpointInfo) -> str:
    added = added_bytes(run.infos)[run.infos.index(info)]
    means = [f"{safe(path)} {_mean(found)}" for path, found in run.measured(info).items()]
    return "  ".join([_moment(info), f"+{human_bytes(added)}", *means])


def _moment(info: CheckpointInfo) -> str:
    if info.problem is not None:
        return f"{safe(info.name)}  cannot be read: {safe(info.problem, 200)}"
    parts = [info.name]
    parts += [] if info.time_step is None else [f"step {info.time_step:,}"]
    parts += [] if info.time_ms is None else [f"{info.time_ms:,.10g} ms"]
    parts += [] if info.tag is None else [f"tag {safe(info.tag)}"]
    return "  ".join(parts)


def _mean(found: Sample | str) -> str:
    if isinstance(found, str):
        return safe(found, 200)
    if not found.values.size:
        return "no number" if found.of else "empty"
    with np.errstate(over="ignore", invalid="ignore"):
        return f"{found.values.mean():.4g} {'+-' if _plain() else '±'} {found.values.std():.3g}"


def _plain() -> bool:
    """Whether the terminal may not know more than ASCII."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")


def _picture(run: _Run) -> RenderableType:
    lines = table("", "")
    lines.show_header = False
    added = added_bytes(run.infos)
    lines.add_row("[bold]store[/]", f"{safe(run.path, 400)}  {count(len(run.infos), 'checkpoint')}")
    if run.problem:
        lines.add_row("", f"[yellow]{safe(run.problem, 400)}[/]")
    if not run.infos:
        return lines
    newest = run.infos[-1]
    lines.add_row("[bold]last save[/]", f"{_moment(newest)}  [dim]{_ago(newest)}[/]")
    lines.add_row("[bold]rate[/]", _rate(run.infos, added))
    lines.add_row(
        "[bold]disk[/]", f"{human_bytes(sum(added))}, the last save {human_bytes(added[-1])}{_free(run.path)}"
    )
    back = run.infos[-_BACK:]
    history = [run.measured(info) for info in reversed(back)][::-1]
    values = table(
        "attribute", "mean and spread", f"mean of the last {count(len(back), 'checkpoint')}", "", right=()
    )
    for path in run.chosen:
        now = history[-1].get(path, "not known")
        samples = [past.get(path) for past in history]
        means = np.array(
            [s.values.mean() if isinstance(s, Sample) and s.values.size else np.nan for s in samples]
        )
        notes = now.note() if isinstance(now, Sample) else ""
        values.add_row(safe(path), _mean(now), spark(means, plain=_plain()), f"[dim]{notes}[/]")
    return Group(lines, "", values) if run.chosen else lines


def _ago(info: CheckpointInfo) -> str:
    saved = _time(info)
    if saved is None:
        return ""
    return f"{_duration(max(0.0, (datetime.now(UTC) - saved).total_seconds()))} ago"


def _time(info: CheckpointInfo) -> datetime | None:
    try:
        found = datetime.fromisoformat(info.created)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _duration(seconds: float) -> str:
    """Return a duration in its largest unit.

    Examples
    --------
    >>> _duration(3.21), _duration(125), _duration(7200), _duration(400_000)
    ('3.2 s', '2.1 min', '2.0 h', '4.6 days')
    """
    for length, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _rate(infos: Sequence[CheckpointInfo], added: Sequence[int]) -> str:
    """Say how often checkpoints came lately, and how fast the run went between them."""
    newest = infos[-1]
    # A run that began anew, or went back, has another rate from there on.
    recent = [i for i in infos[-_PACE:] if i.slot.round == newest.slot.round and _time(i) is not None]
    times = [t for i in recent if (t := _time(i)) is not None]
    seconds = (times[-1] - times[0]).total_seconds() if len(times) > 1 else 0.0
    if seconds <= 0:
        several = len(times) > 1
        return "not known from checkpoints of one second" if several else "not known from one checkpoint"
    parts = [f"a checkpoint every {_duration(seconds / (len(times) - 1))}"]
    first, last = recent[0].time_ms, recent[-1].time_ms
    if first is not None and last is not None:
        parts.append(f"{number((last - first) / seconds, 3)} ms simulated in a second")
    parts.append(f"{human_bytes(int(sum(added[-len(times) + 1 :]) * 3600 / seconds))} in an hour")
    return ", ".join(parts)


def _free(path: str) -> str:
    try:
        return f", free {human_bytes(shutil.disk_usage(path).free)}"
    except OSError:  # an address, or a store that is gone
        return ""
