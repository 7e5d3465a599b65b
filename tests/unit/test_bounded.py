"""Memory and bytes touched do not grow with the projection. Counted, never timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PRELUDE = """
import json, sys
import numpy as np
import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, ProjectionState

ROWS, SIZE = 10_000, 10_000

class Generated:
    '''An array of one value per synapse that exists only as the function that makes it.'''
    shape = (ROWS * SIZE,)
    def __init__(self, dtype, make):
        self.dtype, self.make = np.dtype(dtype), make
    def __getitem__(self, key):
        return self.make(np.arange(*key.indices(self.shape[0]))).astype(self.dtype)
    def __array__(self, dtype=None, *, copy=None):
        raise AssertionError("the whole array was asked for")

def scrambled(i):
    '''A different value without a pattern for every synapse (the finaliser of splitmix64).'''
    z = i.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return (z >> np.uint64(11)) / 2.0**53

def _resize():
    Generated.shape = (ROWS * SIZE,)

weights = Generated(np.float64, scrambled)
ranks = Generated(np.int32, lambda i: i % SIZE)

def peak():
    # Not ru_maxrss: Linux carries it over from the process that started this one.
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024

def touched():
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])
"""

WRITE = """
before = peak()
rows = Connectivity(np.arange(ROWS), np.arange(ROWS + 1) * SIZE, ranks)
ff = ProjectionState("ff", "in", "out", "exc", rows, variables={"w": weights}, pre_size=SIZE, post_size=ROWS)
ann_ckpt.write(NetworkState(projections=[ff]), sys.argv[1])
print(json.dumps({"grown": peak() - before, "peak": peak()}))
"""

READ_TEN_ROWS = """
before = touched()
with ann_ckpt.open(sys.argv[1]) as ckpt:
    ff = ckpt.projections["ff"]
    for rank in range(5000, 5010):
        dendrite = ff.dendrite(rank)
        assert np.array_equal(dendrite["w"], weights[rank * SIZE : (rank + 1) * SIZE])
        assert np.array_equal(dendrite.pre_ranks, np.arange(SIZE))
print(json.dumps({"touched": touched() - before, "file": ckpt.file_bytes}))
"""

VERIFY = """
before = peak()
report = ann_ckpt.verify(sys.argv[1])
assert report.ok, report
print(json.dumps({"grown": peak() - before}))
"""

COPY = """
before = peak()
with ann_ckpt.open(sys.argv[1]) as ckpt:
    ann_ckpt.save(sys.argv[1] + ".copy.h5", network=ckpt)
print(json.dumps({"grown": peak() - before}))
"""


def run(code: str, path: Path) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    """100 million synapses: 800 MB of weights, 400 MB of ranks."""
    path = tmp_path_factory.mktemp("huge") / "net.h5"
    measured = run(WRITE, path)
    yield path, measured
    path.unlink()


def test_writing_in_blocks_takes_less_than_64_mib(huge):
    _, measured = huge
    assert measured["grown"] < 64 << 20
    assert measured["peak"] < 200 << 20


def test_ten_rows_touch_less_than_4_mb_of_the_file(huge):
    path, _ = huge
    measured = run(READ_TEN_ROWS, path)
    assert measured["file"] > 500e6
    assert measured["touched"] < 4e6


def test_verifying_and_copying_take_less_than_64_mib(huge):
    path, _ = huge
    assert run(VERIFY, path)["grown"] < 64 << 20
    assert run(COPY, path)["grown"] < 64 << 20
    Path(f"{path}.copy.h5").unlink()


EXPORT = """
state = NetworkState(projections=[
    ProjectionState("p", "in", "out", "exc", Connectivity(np.arange(ROWS), np.arange(ROWS + 1) * SIZE, ranks),
                    variables={"w": weights})
])
before = peak()
ann_ckpt.export(state, sys.argv[1], format=sys.argv[1].rpartition(".")[2])
print(json.dumps({"grown": peak() - before}))
"""


@pytest.mark.parametrize("format_", ["sonata", "csv"])
def test_exporting_takes_some_blocks_of_memory(tmp_path, format_):
    rows = "6_000" if format_ == "sonata" else "500"  # 6 million synapses as a text would take 10 s
    measured = run(f"ROWS, SIZE = {rows}, 1_000\n_resize()\n{EXPORT}", tmp_path / f"p.{format_}")
    assert measured["grown"] < 80 << 20


@pytest.mark.parametrize(("format_", "rows"), [("parquet", 2_500), ("graphml", 300)])
def test_twice_the_synapses_are_exported_in_the_same_memory(tmp_path, format_, rows):
    """The file, or the arrays, of so many more would be 24 MB at least."""
    grown = [
        run(f"ROWS, SIZE = {n}, 1_000\n_resize()\n{EXPORT}", tmp_path / f"{n}.{format_}")["grown"]
        for n in (rows, 2 * rows)
    ]
    assert grown[1] - grown[0] < 12 << 20
