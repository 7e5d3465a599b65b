"""Real ANNarchy, whichever generation is installed, compiled once per session."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).parents[2]
MINUTES = 60
"""After which a job hangs: much more than the slowest needs on a busy machine."""

Run = Callable[..., Any]
T = TypeVar("T")


def installed() -> str:
    """Version of ANNarchy, or nothing."""
    try:
        return importlib.metadata.version("ANNarchy")
    except importlib.metadata.PackageNotFoundError:
        return ""


# Looking for doctests in these would import ANNarchy into the test process.
collect_ignore = [
    "calls_jobs.py",
    "calls_networks.py",
    "certificate_jobs.py",
    "exact_jobs.py",
    "exact_networks.py",
    "jobs.py",
    "lab.py",
    "left_out_jobs.py",
    "legacy_jobs.py",
    "networks.py",
    "params_jobs.py",
    "recording_jobs.py",
    "several_jobs.py",
    "store_jobs.py",
    "worker.py",
]
# Modules named after a generation are about what only that generation has.
collect_ignore_glob = ["test_annarchy48_*" if installed().startswith("5.") else "test_annarchy5_*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.annarchy)


def once(make: Callable[[str], T]) -> Callable[[str], T]:
    """Return ``make`` so that each argument is tried once, be it in vain."""
    made: dict[str, T | BaseException] = {}

    def of(what: str) -> T:
        if what not in made:
            try:
                made[what] = make(what)
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  kept, to be raised each time
                made[what] = error
        found = made[what]
        if isinstance(found, BaseException):
            raise found
        return found

    return of


@pytest.fixture(scope="session")
def generation() -> int:
    """Return the first part of ANNarchy's version."""
    return int(installed().split(".")[0])


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a job of :mod:`tests.live.jobs` in a process of its own and return its answer."""
    if not installed():
        pytest.fail("ANNarchy is not installed: see CONTRIBUTING, or deselect with -m 'not annarchy'")
    compiled = tmp_path_factory.mktemp("compiled")
    launcher = tmp_path_factory.mktemp("launcher") / "without-optimization"
    # Each network brings the same sources of nanobind along, a third of what is compiled. The
    # bindings are compiled with -O3 whatever ANNarchy is asked for: most of the time of these tests.
    launcher.write_text(f'#!/bin/sh\nexec {"ccache" if shutil.which("ccache") else "env"} "$@" -O0\n')
    launcher.chmod(0o755)
    build = {
        "CMAKE_CXX_COMPILER_LAUNCHER": os.fspath(launcher),
        "CCACHE_DIR": os.fspath(tmp_path_factory.mktemp("ccache")),
    }

    def call(job: str, **arguments: Any) -> Any:
        result = tmp_path_factory.mktemp(job) / "result.json"
        with subprocess.Popen(
            [sys.executable, "-m", "tests.live.worker", job, json.dumps(arguments), os.fspath(result)],
            cwd=ROOT,
            env=os.environ
            | {
                # ANNarchy calls the tools of its own environment by name.
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": os.fspath(ROOT),
                "OMP_NUM_THREADS": "1",
                "LIVE_COMPILED": os.fspath(compiled),
            }
            | build,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as worker:
            try:
                said, complained = worker.communicate(timeout=60 * MINUTES)
            except BaseException:
                # A compiler that it started would go on without it.
                os.killpg(worker.pid, signal.SIGKILL)
                raise
        assert worker.returncode == 0, f"{job} ended with {worker.returncode}\n{said}\n{complained}"
        return json.loads(result.read_text())

    return call
