"""Published models, saved and resumed in a process of their own: every value of every object is the same.

All of them run under ``make models``; two in every run of the tests.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt import Exactness

MODELS = Path(__file__).parents[2] / "examples" / "models" / "published.py"
NAMES = re.findall(r"^def ([a-z]\w*)\(seed", MODELS.read_text(), re.MULTILINE)
SAMPLE = ("gap_junctions", "hybrid")
TIMES = {"hodgkin_huxley": (4.0, 6.0)}
"""The others are saved at 22 ms and go on for 33: no multiples of what is scheduled."""


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


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in SAMPLE else pytest.mark.models) for n in NAMES]
)
@pytest.mark.annarchy
@pytest.mark.usefixtures("quick")
def test_a_published_model_resumes_exactly(name: str, tmp_path: Path) -> None:
    at, duration = TIMES.get(name, (22.0, 33.0))
    report = ann_ckpt.verify_resume(f"{MODELS}:{name}", at=at, duration=duration, directory=tmp_path)
    assert report.ok, report
    assert report.notes == ()
    saved, ended = (ann_ckpt.read(tmp_path / f"{which}.h5") for which in ("saved", "ended"))
    for owner in (saved, *saved.populations.values(), *saved.projections.values()):
        assert owner.resume is not None
        assert owner.resume.exactness is Exactness.EXACT, owner
    for population in saved.populations:
        moved = [
            path
            for path in ann_ckpt.differences(saved, ended)
            if path.startswith(f"populations/{population}/")
        ]
        assert moved, f"nothing happened in {population}, so that the run showed little"


def test_the_sample_is_among_the_models() -> None:
    assert set(SAMPLE) <= set(NAMES)
