"""``ann-ckpt watch``: a run as it goes on, in a terminal, in a pipe and once."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState
from ann_ckpt.cli.watch import _rate
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.store.names import Slot
from ann_ckpt.store.summary import CheckpointInfo, added_bytes
from tests.acceptance.conftest import Run

WATCH = [sys.executable, "-c", "from ann_ckpt.cli import main; main()", "watch", "--poll", "0.05"]
Start = Callable[..., "subprocess.Popen[str]"]


def files(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*")}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[subprocess.Popen[str]] = []

    def call(*words: object, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen([*WATCH, *map(str, words)], text=True, cwd=tmp_path, **pipes)
        begun.append(process)
        return process

    yield call
    for process in begun:
        process.kill()
        process.communicate()


def test_once_says_how_things_stand(run: Run, store_folder: Path) -> None:
    before = files(store_folder)
    answer = run("watch", store_folder, "--once")
    assert (answer.status, answer.err) == (0, "")
    for said in (
        "4 checkpoints",
        "000000000015  step 15",
        "the last save",
        " free ",
        "projections/forward/w",
    ):
        assert said in answer.out
    with ann_ckpt.open(store_folder) as checkpoint:
        values = np.asarray(checkpoint.projections["lateral"]["w"])
    assert f"{values.mean():.4g} ± {values.std():.3g}" in answer.out
    assert "forward/w" not in run("watch", store_folder, "--once", "populations/layer/r").out
    assert files(store_folder) == before


def test_a_terminal_without_utf_8_gets_its_columns_aligned(shell: Run, store_folder: Path) -> None:
    answer = shell(f"PYTHONIOENCODING=ascii ann-ckpt watch '{store_folder}' --once")
    assert answer.status == 0
    assert " +- " in answer.out.splitlines()[-1]
    assert "\\x" not in answer.out


def test_once_for_a_script(run: Run, store_folder: Path) -> None:
    answer = run("watch", store_folder, "populations/layer/r", "--once", "--json")
    assert answer.out.count("\n") == 1
    with CheckpointStore(store_folder) as store:
        newest, added = store.checkpoints[-1], added_bytes(store.checkpoints)
        values = np.asarray(store.latest.populations["layer"]["r"])
    assert answer.json | newest.to_dict() == answer.json
    assert (answer.json["bytes_added"], answer.json["bytes"]) == (added[-1], sum(added))
    found = answer.json["attributes"]["populations/layer/r"]
    assert found["mean"] == values.mean()
    assert found["std"] == values.std()
    assert (found["min"], found["max"]) == (values.min(), values.max())
    assert found["values"] == found["of"] == values.size


def test_bad_input(run: Run, store_folder: Path, demo_file: Path, tmp_path: Path) -> None:
    assert "did you mean 'w'" in run("watch", store_folder, "projections/forward/ww", "--once").err
    assert "is not a store" in run("watch", demo_file).err
    assert "one checkpoint" in run("watch", f"{store_folder}@0").err
    answer = run("watch", tmp_path / "absent.ckpt", "--once")
    assert (answer.status, answer.out) == (3, "")
    (tmp_path / "other.ckpt").mkdir()
    (tmp_path / "other.ckpt" / "store.json").write_text("{}")
    assert "does not belong to a store" in run("watch", tmp_path / "other.ckpt").err


def test_an_empty_store(run: Run, tmp_path: Path) -> None:
    CheckpointStore(tmp_path / "run.ckpt", "w").close()
    assert "0 checkpoints" in run("watch", tmp_path / "run.ckpt", "--once").out
    assert run("watch", tmp_path / "run.ckpt", "--once", "--json").out == ""


def test_a_damaged_checkpoint_is_said_to_be_one(run: Run, store_folder: Path) -> None:
    (store_folder / "checkpoints" / "000000000015.h5").write_bytes(b"nothing")
    answer = run("watch", store_folder, "--once")
    assert answer.status == 0
    assert "cannot be read" in answer.out


def test_a_line_for_each_checkpoint_in_a_pipe(start: Start, store_folder: Path) -> None:
    process = start(store_folder, "projections/lateral/w")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("000000000015  step 15")
    network = DemoNetwork(seed=1)
    with CheckpointStore(store_folder, "a") as store:  # which nothing locks
        for _ in range(2):
            network.simulate(20)
            store.save(network, tag="later")
            line = process.stdout.readline()
            assert f"step {int(network.time)}" in line
            assert "tag later" in line
            assert "projections/lateral/w 0." in line
        store.prune(keep_last=1)
        network.simulate(20)
        store.save(network)
        assert "step 60" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_store_that_comes_later_and_is_replaced(start: Start, store_folder: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.ckpt"
    process = start(later, "--json", "populations/layer/r")
    assert process.stdout is not None
    assert process.stderr is not None
    assert "waiting: the store does not exist" in process.stderr.readline()
    shutil.copytree(store_folder, tmp_path / "copy")
    (tmp_path / "copy").rename(later)
    assert json.loads(process.stdout.readline())["time_step"] == 15
    later.rename(tmp_path / "gone")
    assert "waiting" in process.stderr.readline()
    network = DemoNetwork(seed=2)
    with CheckpointStore(later, "a") as store:
        network.simulate(3)
        store.save(network)
    found = json.loads(process.stdout.readline())
    assert (found["time_step"], found["bytes"]) == (3, found["bytes_added"])
    values = np.asarray(network.read().state.populations["layer"]["r"])
    assert found["attributes"]["populations/layer/r"]["mean"] == values.mean()


def test_a_reader_that_goes_ends_it(shell: Run, store_folder: Path) -> None:
    network = DemoNetwork(seed=1)
    with CheckpointStore(store_folder, "a") as store:
        network.simulate(20)
        store.save(network)
    answer = shell("set +o pipefail; ann-ckpt watch run.ckpt | head -n 1")
    assert "step 20" in answer.out
    assert answer.err == ""


def test_a_terminal_is_drawn_anew_until_ctrl_c(start: Start, tmp_path: Path) -> None:
    def state(step: int) -> NetworkState:
        layer = PopulationState("\x1b[31m[red]", (50,), variables={"r": np.full(50, step / 7)})
        return NetworkState(populations={layer.name: layer}, time_step=step, dt=1.0)

    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(state(7))
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30", "PYTHONUTF8": "1"}
    process = start(
        "run.ckpt", stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    said = b""

    def until(what: bytes) -> None:
        nonlocal said
        end = time.monotonic() + 60
        while what not in said:
            assert time.monotonic() < end, said
            if select.select([ours], [], [], 1.0)[0]:
                said += os.read(ours, 65536)

    until(b"step 7")
    until(b" ago")
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(state(70))
    until(b"step 70")
    until("▁█".encode())
    assert b"\x1b[31m" not in said
    assert b"%1B[31m[red]" in said
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    while select.select([ours], [], [], 0.2)[0]:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the other end has gone
            break
    os.close(ours)
    assert b"Traceback" not in said
    assert said.rfind(b"\x1b[?25h") > said.rfind(b"\x1b[?25l")  # the cursor is there


def test_of_large_arrays_a_part_is_read(run: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=1 << 20)
    layer = PopulationState("layer", values.shape, variables={"r": values})
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(NetworkState(populations={"layer": layer}))
    found = run("watch", tmp_path / "run.ckpt", "--once", "--json").json["attributes"]["populations/layer/r"]
    assert found["of"] == values.size
    assert 8 * found["values"] <= 256 << 10
    assert abs(found["mean"]) < 0.1
    assert "a sample: " in run("watch", tmp_path / "run.ckpt", "--once").out


def info(step: int, second: int, again: int = 0) -> CheckpointInfo:
    slot = Slot(again, step)
    created = f"2026-01-01T00:00:{second:02}+00:00"
    return CheckpointInfo(slot.name, slot, "", step, float(step), None, created, 1024, {})


def test_the_rate_is_that_of_the_last_saves() -> None:
    infos = [info(1000 * n, 2 * n) for n in range(5)]
    said = "a checkpoint every 2.0 s, 500 ms simulated in a second, 1.8 MiB in an hour"
    assert _rate(infos, [1024] * 5) == said
    # A run that began anew has another rate from there on, and none from its first checkpoint.
    assert _rate([*infos, info(0, 10, 1)], [1024] * 6) == "not known from one checkpoint"
    assert "every 10.0 s, 10 ms simulated" in _rate([*infos, info(0, 20, 1), info(100, 30, 1)], [1024] * 7)
