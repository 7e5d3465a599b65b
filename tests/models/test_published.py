"""Published models, saved and resumed in a process of their own, into other random draws.

All of them run under ``make models``, those of one time step in one network; two in every run of the tests.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from ann_ckpt import Exactness, NetworkState
from ann_ckpt.resume.verify import verify_resume

MODELS = Path(__file__).parents[2] / "examples" / "models" / "published.py"
TOGETHER = Path(__file__).with_name("together.py")
FOUND = re.findall(r"^@_model\(dt=([\d.]+)\).*\ndef (\w+)\(", MODELS.read_text(), re.MULTILINE)
NAMES = [name for _, name in FOUND]
STEPS = sorted({float(dt) for dt, _ in FOUND})
SAMPLE = ("gap_junctions", "hybrid")
TIMES = {0.02: (4.0, 6.0)}
"""Those of other steps are saved at 22 ms and go on for 33: no multiples of what is scheduled."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile without optimizing, which is most of the time of these tests."""
    launcher = tmp_path_factory.mktemp("launcher") / "without-optimization"
    launcher.write_text(f'#!/bin/sh\nexec {"ccache" if shutil.which("ccache") else "env"} "$@" -O0\n')
    launcher.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMAKE_CXX_COMPILER_LAUNCHER", os.fspath(launcher))
        patch.setenv("CCACHE_DIR", os.fspath(tmp_path_factory.mktemp("ccache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.annarchy
@pytest.mark.usefixtures("quick")
def test_a_published_model_resumes_exactly(name: str, tmp_path: Path) -> None:
    report = verify_resume(f"{MODELS}:{name}", at=22.0, duration=33.0, other={"seed": 2}, directory=tmp_path)
    assert report.ok, report
    assert report.notes == ()
    saved, ended = (ann_ckpt.read(tmp_path / f"{which}.h5") for which in ("saved", "ended"))
    assert doubtful(saved) == {}
    check_that_all_moved(saved, ended)


@pytest.mark.parametrize("dt", STEPS)
@pytest.mark.annarchy
@pytest.mark.models
@pytest.mark.usefixtures("quick")
def test_all_models_of_a_step_resume_exactly(dt: float, tmp_path: Path) -> None:
    at, duration = TIMES.get(dt, (22.0, 33.0))
    names = [name for step, name in FOUND if float(step) == dt]
    report = verify_resume(
        f"{TOGETHER}:build",
        at=at,
        duration=duration,
        arguments={"dt": dt, "names": names},
        other={"seed": 2},
        directory=tmp_path,
    )
    assert report.ok, report
    assert report.notes == ()
    saved, ended = (ann_ckpt.read(tmp_path / f"{which}.h5") for which in ("saved", "ended"))
    assert doubtful(saved) == {}
    check_that_all_moved(saved, ended)


def doubtful(state: NetworkState) -> dict[str, str]:
    """Return what is not exact, and why."""
    owners: dict[str, Any] = {"": state, **state.populations, **state.projections}
    return {n: str(o.resume) for n, o in owners.items() if o.resume.exactness is not Exactness.EXACT}


def check_that_all_moved(saved: NetworkState, ended: NetworkState) -> None:
    """Otherwise a comparison would show less than it says."""
    moved = {
        path.split("/")[1] for path in ann_ckpt.differences(saved, ended) if path.startswith("populations/")
    }
    assert set(saved.populations) <= moved


def test_the_sample_is_among_the_models() -> None:
    assert set(SAMPLE) <= set(NAMES)
    assert len(NAMES) >= 15
