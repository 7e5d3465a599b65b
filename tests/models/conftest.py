"""Published models in real ANNarchy, whichever generation is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.live.conftest import installed

# Looking for doctests in it would import ANNarchy into the test process.
collect_ignore = ["together.py"]
# A module named after a generation is about what only that generation has.
collect_ignore_glob = ["test_annarchy48_*" if installed().startswith("5.") else "test_annarchy5_*"]


@pytest.fixture(scope="session")
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
