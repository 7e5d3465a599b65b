"""The lease of the one process that saves to a store in a bucket.

Whoever saves puts ``writers/00000007``, with the number after the last one, if there is none of that name,
and puts it again while it lives. It is over when ``00000007.closed`` is there, or when the time of its last
put, by the server's clock, is long ago; then the next one takes the next number.

A process may be stopped for any time, between any two requests, so no check that it makes can promise that
it still is the last one. So each checkpoint is announced before it is put, as ``00000007.NAME``. Only then
the process looks whether there is a higher number, and only then it puts the checkpoint, if there is none of
its name. Whoever takes the next number looks after that what the ones before have announced, and puts an
empty object in the place of each such checkpoint, if there is none. So if the process before was overtaken
between its look and its put, either its checkpoint is there before the next one begins, or its put fails.

Processes that save together have one lease, :mod:`ann_ckpt.store.buckets.bucket_ranks`; each claims its rank
in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ann_ckpt.durable import process_alive
from ann_ckpt.errors import CheckpointError, FileMissingError, LockedError, NotWritableError, printable
from ann_ckpt.paths import Address
from ann_ckpt.store.owners.job import Job
from ann_ckpt.uploads import ServerClock, Stored, check_server, fetch, put, put_new, remove, stored_below

__all__ = ["CLAIMS", "Lease", "Survey", "claimed", "myself", "open_claims", "said"]

_LASTS = timedelta(seconds=120)
"""How long after it was put last; four times as long as until it is put again."""
_POLL = 1.0
"""Seconds between two attempts."""
_NAME = re.compile(r"(\d{8})(?:\.(closed|\d[\d-]*))?", re.ASCII)
_LOG = logging.getLogger("ann_ckpt")

CLAIMS = "shards/ranks"
"""Folder with what each of several processes claims: ``00000007/3/0001`` is rank 3 in the lease 7."""


class Survey(NamedTuple):
    """What is in the folder of leases."""

    numbers: dict[int, datetime]
    """When each lease was put last."""
    closed: set[int]
    announced: dict[int, list[str]]
    """Checkpoints by lease."""
    keys: dict[int, list[str]]
    """Every object of each lease."""

    @property
    def last(self) -> int:
        """The highest number; 0 if there is none."""
        return max(self.numbers, default=0)


class Lease:
    """The right to save to one store in a bucket, as a file lock is that to one in a folder.

    Parameters
    ----------
    store : Address
        Of the store.
    """

    def __init__(self, store: Address) -> None:
        self._store = store
        self._folder = store.at(f"{store.key}/writers")
        self._number = 0
        self.process = os.getpid()
        self._stop = threading.Event()
        self._unsettled: set[str] = set()
        self.clock: ServerClock | None = None
        """The server's; known as soon as the server has been checked."""

    @property
    def intact(self) -> bool:
        """Whether this process has the lease, as far as it knows."""
        return self._number > 0 and self.process == os.getpid()

    # --- Taking and leaving -------------------------------------------------------

    def acquire(self, *, wait: float = 0.0, durable: bool = False) -> bool:
        """Take the lease.

        Parameters
        ----------
        wait : float
            Seconds to wait for another holder.
        durable : bool
            Every lease is.

        Returns
        -------
        bool
            False: nothing has to be done first, whatever became of the holder before.

        Raises
        ------
        LockedError
            If somebody else has it.
        NotWritableError, NotReadableError
            If the server does not do what it has to.
        """
        deadline = time.monotonic() + wait
        while True:
            try:
                if self._attempt():
                    return False
            except LockedError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(min(_POLL, max(0.0, deadline - time.monotonic())))

    def _attempt(self) -> bool:
        """Try to take the lease; False if another process was faster. Raises if somebody has it."""
        survey = self._survey()
        last = survey.last
        if not self._is_free(survey):
            raise self._refusal(self._holder(last))
        text = json.dumps(myself()).encode()
        if not self._take(last + 1, text):
            return False
        self._hold(last + 1, {self._at(last + 1): text})
        return True

    def _take(self, number: int, text: bytes) -> bool:
        """Try to be the holder of that number; then nobody before commits any more."""
        return claimed(self._at(number), text) and self._fence(number)

    def _fence(self, number: int) -> bool:
        """See to it that nobody before a lease commits any more; False if that is not the last one."""
        survey = self._survey()
        if survey.last != number or number in survey.closed:
            return False
        for names in (names for holder, names in survey.announced.items() if holder < number):
            for name in names:
                put_new(self._checkpoint(name), b"")
        old = [key for holder, keys in survey.keys.items() if holder < number for key in keys]
        remove([self._folder.at(f"{self._folder.key}/{key}") for key in old])
        return True

    def _hold(self, number: int, renewed: dict[Address, bytes]) -> None:
        """Have a lease that was taken; put some objects again and again while it is held."""
        self._number, self._stop, self._unsettled = number, threading.Event(), set()
        threading.Thread(
            target=self._renew, args=(self._stop, renewed), name="ann_ckpt-lease", daemon=True
        ).start()

    def release(self) -> None:
        """Leave it to the next one; without effect if this process does not have it."""
        if not self.intact:
            self.forget()
            return
        number = self._number
        self.forget()
        try:
            self._close(number)
        except CheckpointError as error:
            _LOG.warning("the lease of %s ends by itself only: %s", self._store.shown, error.fact)

    def _close(self, number: int) -> None:
        put(self._at(number, "closed"), b"")

    def forget(self) -> None:
        """Have it no longer: it was taken over, or this is a forked child."""
        self._stop.set()
        self._number = 0

    @staticmethod
    def _renew(stop: threading.Event, renewed: dict[Address, bytes]) -> None:
        """Put the lease again and again; it always says the same, so no put of it can come too late."""
        while not stop.wait(_LASTS.total_seconds() / 4):
            for own, text in renewed.items():
                try:
                    put(own, text)
                except CheckpointError as error:
                    _LOG.info("the lease %s was not renewed: %s", own.shown, error.fact)

    def _survey(self) -> Survey:
        found = Survey({}, set(), {}, {})
        for one in stored_below(self._folder):
            if (named := _NAME.fullmatch(one.key)) is None:
                continue
            number, what = int(named[1]), named[2]
            found.keys.setdefault(number, []).append(one.key)
            if what is None:
                found.numbers[number] = one.modified
            elif what == "closed":
                found.closed.add(number)
            else:
                found.announced.setdefault(number, []).append(what)
        return found

    def _is_free(self, survey: Survey) -> bool:
        """Whether the next one may be taken."""
        last = survey.last
        return last == 0 or last in survey.closed or self._is_over(last, survey.numbers[last])

    def _is_over(self, number: int, put_at: datetime) -> bool:
        """Whether a lease that was not closed has run out, or its processes are known to be gone."""
        holder, job = self._holder(number), Job.current()
        if job is not None and job.replaces(Job.from_dict(holder.get("job"))):
            return True
        if not self._is_gone(holder, put_at):
            return False
        claims = open_claims(stored_below(self._claims(number))) if "ranks" in holder else {}
        return all(
            self._is_gone(said(self._claims(number, one.key)), one.modified) for one in claims.values()
        )

    def _is_gone(self, holder: dict[str, Any], put_at: datetime) -> bool:
        """Whether a process has not said for long that it lives, or is known to live no more."""
        if self.clock is None:
            self.clock = check_server(self._store)
        if self.clock.now - put_at > _LASTS:
            return True
        pid, machine = holder.get("pid"), _machine()
        return (
            machine is not None
            and holder.get("machine") == machine
            and type(pid) is int
            and not process_alive(pid)
        )

    def _holder(self, number: int) -> dict[str, Any]:
        return said(self._at(number))

    def _refusal(self, holder: dict[str, Any]) -> LockedError:
        pid, host, since = (printable(holder.get(key, "unknown"), 80) for key in ("pid", "host", "since"))
        job = Job.from_dict(holder.get("job"))
        name = f"process {pid} on host {host}, since {since}{'' if job is None else f', {job.name}'}"
        what = "another process saves to the store:"
        if "ranks" in holder:
            ranks, rank = (printable(holder.get(key), 20) for key in ("ranks", "rank"))
            what = f"{ranks} processes save to the store together; rank {rank} is"
        seconds = int(_LASTS.total_seconds())
        return LockedError(
            f"{what} {name}",
            details={"hint": f"wait=SECONDS waits for it; if it is gone, its lease ends within {seconds} s"},
            where=self._store.shown,
        )

    @property
    def present(self) -> int:
        """The number of the last lease, as it is in the bucket; 0 if that was closed."""
        survey = self._survey()
        return 0 if survey.last in survey.closed else survey.last

    # --- Committing ---------------------------------------------------------------

    def commit(self, name: str, path: Path) -> None:
        """Put a checkpoint, all objects of which are there.

        Parameters
        ----------
        name : str
            Of the checkpoint; no other process has announced it.
        path : Path
            Its file.

        Raises
        ------
        LockedError
            If another process has taken the lease. There is no such checkpoint, and never will be.
        NotWritableError
            If the server does not take it, or has another one of that name. If it did not answer, the
            next save finds out whether the checkpoint is there.
        """
        if not self.intact:
            raise self._lost()
        announced = self._at(self._number, name)
        put(announced, b"")
        try:
            self.check()
        except CheckpointError:
            _retract(announced)
            raise
        self._unsettled.add(name)
        taken = None if put_new(self._checkpoint(name), path) else fetch(self._checkpoint(name))
        self._unsettled.discard(name)
        _retract(announced)
        if taken == b"":
            raise self._lost()
        # What is there is this one if the transport has put it again, because it had no answer.
        if taken is not None and taken != path.read_bytes():
            raise NotWritableError(
                f"another process has put a checkpoint {name} into the store", where=self._store.shown
            )

    def check(self) -> None:
        """Raise if another process has taken the lease.

        Raises
        ------
        LockedError
            If so.
        NotReadableError
            If the server does not say.
        """
        if not self.intact or self._survey().last != self._number:
            raise self._lost()

    def settle(self) -> None:
        """See to it that what was announced and not answered for is there or never will be.

        Raises
        ------
        NotWritableError, NotReadableError
            If the server still does not answer.
        """
        for name in sorted(self._unsettled):
            put_new(self._checkpoint(name), b"")
            self._unsettled.discard(name)
            _retract(self._at(self._number, name))

    def _lost(self) -> LockedError:
        self.forget()
        return LockedError(
            "the lease of this store has run out, and another process has taken it",
            details={"kept": "the checkpoints from before", "hint": "open the store again"},
            where=self._store.shown,
        )

    def _at(self, number: int, what: str = "") -> Address:
        return self._folder.at(f"{self._folder.key}/{number:08d}{'.' * bool(what)}{what}")

    def _claims(self, number: int, key: str = "") -> Address:
        return self._store.at(f"{self._store.key}/{CLAIMS}/{number:08d}{'/' * bool(key)}{key}")

    def _checkpoint(self, name: str) -> Address:
        return self._store.at(f"{self._store.key}/checkpoints/{name}.h5")


def _retract(announced: Address) -> None:
    """Remove an announcement, if the server lets us; else whoever takes the lease next does."""
    with contextlib.suppress(CheckpointError):
        remove([announced])


def open_claims(listed: Iterable[Stored]) -> dict[str, Stored]:
    """Return the claims that were not closed, by rank; what is listed comes in the order of its names."""
    found: dict[str, Stored] = {}
    for one in listed:
        rank, _, claim = one.key.partition("/")
        if claim.endswith(".closed"):
            found.pop(rank, None)
        else:
            found[rank] = one
    return found


def claimed(address: Address, text: bytes) -> bool:
    """Put what no two processes say, if there is none of its name; return whether it is there."""
    return put_new(address, text) or said(address) == json.loads(text)


def said(address: Address) -> dict[str, Any]:
    """Return a small JSON object; empty where there is none."""
    try:
        found = json.loads(fetch(address))
    except (FileMissingError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def myself() -> dict[str, Any]:
    """Who has the lease, as JSON; no two are alike."""
    job = Job.current()
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "job": None if job is None else job.to_dict(),
        "machine": _machine(),
        "token": secrets.token_hex(8),
    }


def _machine() -> str | None:
    """Identify the system whose process numbers are meant, a container's too; None where nothing does."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None
