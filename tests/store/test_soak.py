"""One saves, one prunes, and four read, two of them on several threads: for as long as it is asked for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore, differences
from tests.store.runs import state
from tests.store.saver import SCALE
from tests.store.zygote import Zygote

ROLES = ("background", "prune", "read", "hold", "threads", "threads")


@pytest.mark.torture
def test_no_read_is_wrong_however_long_it_goes_on(
    path: Path,
    tmp_path: Path,
    zygote: Zygote,
    pytestconfig: pytest.Config,
    record_property: Callable[..., None],
) -> None:
    logs = [tmp_path / f"{number}-{role}" for number, role in enumerate(ROLES)]
    done: Counter[str] = Counter()
    places = dict.fromkeys(logs, 0)
    CheckpointStore(path, "a").close()
    for role, log in zip(ROLES, logs, strict=True):
        zygote.start(path, log, role)
        if role == "background":
            _wait_for(log, 3)
    deadline = time.monotonic() + pytestconfig.getoption("--soak")
    while time.monotonic() < deadline or len(done) < len(set(ROLES)):
        time.sleep(0.5)
        for log in logs:
            if log.exists():
                with log.open("rb") as said:
                    said.seek(places[log])
                    new = said.read()
                assert b"FAILED" not in new, new.decode()
                places[log] += len(new)
                done[log.name.partition("-")[2]] += new.count(b"\n")
    zygote.close()
    record_property("done", dict(done))
    with CheckpointStore(path, "a") as store:
        newest = store.latest.time_step
        assert newest is not None
        assert not list(differences(store.latest.state(), state(newest, scale=SCALE)))
        assert store.verify().ok
        store.save(state(newest + 1, scale=SCALE))
        assert store.gc(dry_run=True).objects == 0


def _wait_for(log: Path, lines: int) -> None:
    deadline = time.monotonic() + 120
    while not log.exists() or log.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < deadline, log
        time.sleep(0.01)
