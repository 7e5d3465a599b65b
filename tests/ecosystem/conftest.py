"""One network, in memory, in a file and in a store."""

from __future__ import annotations

import pytest

import ann_ckpt
from tests.ecosystem.networks import network


@pytest.fixture(scope="session")
def state():
    return network()


@pytest.fixture(scope="session", params=["net.h5", "run.ckpt"])
def path(request, state, tmp_path_factory):
    path = tmp_path_factory.mktemp("ecosystem") / request.param
    ann_ckpt.write(state, path)
    return path


@pytest.fixture
def checkpoint(path):
    with ann_ckpt.open(path) as opened:
        yield opened
