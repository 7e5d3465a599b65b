"""Spoils files and stores, lets calls loose on them in children, and says what became of each.

Run as ``python -m tests.malformed.probe FOLDER``; reads lines of JSON with a case and the
names of calls, and answers each with one line: for every call how it ended, its seconds on
the processor, and the most memory that the process has taken so far.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import scipy.io
import scipy.sparse  # noqa: F401  imported here, so that no child pays for it

from ann_ckpt.cli.main import COMMANDS
from ann_ckpt.errors import CheckpointError
from ann_ckpt.store import pruning
from tests.malformed.calls import CHANGING, FILE_CALLS, PATH_CALLS, STORE_CALLS
from tests.malformed.files import FILES
from tests.malformed.paths import PATHS
from tests.malformed.samples import SECRET, STORE, forget, good_file, good_store
from tests.malformed.stores import STORES

HANG_SECONDS = 30.0
"""A call that takes longer hangs."""
_DATA_BYTES = 2 << 30
"""What a child may allocate: a case that goes wild must not take the machine along."""
_PARAMETERS = '{"network": {"populations": {"layer": {"tau": 12.0}}}}'


def _victim(folder: Path) -> dict[str, Any]:
    """Everything beside the store that nobody may touch."""
    found = sorted((folder / "outside").rglob("*"))
    return {str(p): p.read_bytes() if p.is_file() else None for p in found}


def _fresh(folder: Path, kind: str, case: str) -> Path:
    """Make the spoiled file or store anew, with what calls need beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    good_file(folder / "good.h5")
    (folder / "params.json").write_text(_PARAMETERS)
    if kind == "file":
        good_store(folder / "good.ckpt")
        path = good_file(folder / "net.h5")
        FILES[case](path)
        return path
    good_store(folder / "good.ckpt")
    if kind == "path":
        return PATHS[case](folder)
    path = good_store(folder / STORE)
    STORES[case](path)
    return path


def _outcome(call: Any, path: Path) -> tuple[str, str]:
    try:
        said = str(call(path))
    except CheckpointError as error:
        return f"own {type(error).__name__}", str(error)
    except BaseException as error:  # noqa: BLE001 - which one is the question
        return f"FOREIGN {type(error).__name__}", traceback.format_exc()[-3000:]
    return "returned", said


def _say(pipe: int, **said: Any) -> None:
    data = (json.dumps(said) + "\n").encode()
    while data:
        data = data[os.write(pipe, data) :]


def _run(pipe: int, folder: Path, kind: str, case: str, names: list[str]) -> None:
    """Let each call loose on the case, freshly made; in a child."""
    resource.setrlimit(resource.RLIMIT_DATA, (_DATA_BYTES, _DATA_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pruning._PATIENCE = 0.2  # nobody else is there to be waited for
    calls = {"file": FILE_CALLS, "store": STORE_CALLS, "path": PATH_CALLS}[kind]
    with open(os.devnull, "r+") as nothing:  # noqa: PTH123
        for number in (0, 1, 2):
            os.dup2(nothing.fileno(), number)
    path: Path | None = None
    for name in names:
        path = path or _fresh(folder, kind, case)
        before = _victim(folder)
        _say(pipe, call=name)
        began = time.process_time()
        ended, text = _outcome(calls[name], path)
        took = time.process_time() - began
        if SECRET.decode() in text:
            ended = f"LEAKED ({ended})"
        if _victim(folder) != before:
            ended = f"TOUCHED ({ended})"
        _say(pipe, call=name, ended=ended, text=text[-3000:], seconds=took, mib=_peak_mib())
        if name in CHANGING:
            path = None


def _peak_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def in_a_child(folder: Path, kind: str, case: str, names: list[str]) -> list[dict[str, Any]]:
    """Run calls on a case; what the child did not live to say is said here."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:
            _run(writing, folder, kind, case, names)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the parent says so
            _say(
                writing,
                call="(making the case)",
                ended="BROKEN",
                text=traceback.format_exc(),
                seconds=0,
                mib=0,
            )
        os._exit(status)
    os.close(writing)
    answered = b""
    hangs = False
    while select.select([reading], [], [], HANG_SECONDS)[0]:
        got = os.read(reading, 1 << 16)
        if not got:
            break
        answered += got
    else:
        hangs = True
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    lines = [json.loads(line) for line in answered.split(b"\n") if line]
    ended = {line["call"]: line for line in lines}
    for line in ended.values():
        if "ended" not in line:
            why = "HANGS" if hangs else f"DIED of {os.waitstatus_to_exitcode(status)}"
            line |= {"ended": why, "text": "", "seconds": HANG_SECONDS * hangs, "mib": 0.0}
    return list(ended.values())


def main(folder: Path) -> None:
    for section in COMMANDS.values():
        for place, _ in section.values():
            importlib.import_module(place.partition(":")[0])
    good_file(folder / "warm.h5")
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        found = in_a_child(folder / "case", asked["kind"], asked["case"], asked["calls"])
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        forget()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
