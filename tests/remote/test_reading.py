"""What is read over a network is what is read from the disk, in few requests."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import paths, remote_bytes
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import (
    ClosedCheckpointError,
    FileMissingError,
    MissingExtraError,
    NotReadableError,
    OptionError,
)
from ann_ckpt.page.report import report_page
from tests.remote.conftest import SIDE, SYNAPSES, network

MIB = 1 << 20
WEIGHTS = "projections/ff/variables/w"


def contents(checkpoint):
    """Everything that a checkpoint holds, in a form that compares exactly."""
    arrays = {
        path: (array.dtype.str, array.shape, array.digest, np.asarray(array).tobytes())
        for path, array in checkpoint.arrays.items()
    }
    rest = (
        checkpoint.time_step,
        checkpoint.dt,
        checkpoint.seed,
        checkpoint.tag,
        checkpoint.created,
        checkpoint.metadata,
        checkpoint.provenance,
        {name: value.tolist() for name, value in checkpoint.constants.items()},
        {
            p.name: (p.geometry, sorted(p.parameters), sorted(p.variables))
            for p in checkpoint.populations.values()
        },
        {p.name: (p.pre, p.post, p.target, p.delays) for p in checkpoint.projections.values()},
    )
    return arrays, rest


def test_a_file_behind_a_web_server_is_the_file(server, folder):
    with ann_ckpt.open(folder / "net.h5") as here, ann_ckpt.open(f"{server.url}/net.h5") as there:
        assert contents(there) == contents(here)
        assert there.file_bytes == here.file_bytes


def test_a_long_range_is_fetched_in_parts_at_once(server):
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        server.most_at_once = 0
        server.trouble = lambda *_: time.sleep(0.1)  # a server that takes its time
        checkpoint.projections["ff"]["w"][:]
    assert server.most_at_once > 1


def test_a_file_in_a_bucket_is_the_file(bucket, folder):
    with ann_ckpt.open(folder / "net.h5") as here, ann_ckpt.open(f"{bucket}/net.h5") as there:
        assert contents(there) == contents(here)


def test_no_more_requests_and_bytes_than_needed(server):
    """Upper bounds in requests and MiB: opening, listing, ten dendrites, 8 MB of weights."""
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        opening = server.spent()
        assert [*checkpoint.populations, *checkpoint.projections] == ["in", "out", "ff"]
        listing = server.spent()
        projection = checkpoint.projections["ff"]
        rows = [projection.dendrite(rank) for rank in range(500, 510)]
        ten = server.spent()
        whole = np.asarray(projection.variables["w"].values)
        array = server.spent()
        again = np.asarray(projection.variables["w"].values)
        assert server.spent() == (0, 0)  # kept
    assert opening[0] <= 1
    assert opening[1] <= 0.05 * MIB
    assert listing[0] <= 1
    assert listing[1] <= 0.07 * MIB
    assert ten[0] <= 4
    assert ten[1] <= 0.5 * MIB
    assert array[0] <= 10
    assert array[1] <= 8.5 * MIB
    assert len(rows) == 10
    assert whole.tobytes() == again.tobytes() == network().projections["ff"].variables["w"].values.tobytes()


def test_verifying_and_reading_whole_take_about_the_bytes_of_the_file(server, folder):
    size = (folder / "net.h5").stat().st_size
    assert ann_ckpt.verify(f"{server.url}/net.h5").ok
    requests, count = server.spent()
    assert requests <= 20
    assert count <= size + MIB
    ann_ckpt.read(f"{server.url}/net.h5")
    requests, count = server.spent()
    assert requests <= 20
    assert count <= size + MIB


@settings(max_examples=30, deadline=None)
@given(
    start=st.integers(0, SIDE * SYNAPSES),
    count=st.integers(0, 40_000),
    step=st.sampled_from([1, 1, 7, -3]),
)
def test_any_part_is_that_of_the_array(big, start, count, step):
    key = slice(start, start + count, step) if step > 0 else slice(start + count, start, step)
    there, here = big
    assert there[key].tobytes() == here[key].tobytes()


@pytest.fixture(scope="module")
def big(served):
    with ann_ckpt.open(f"{served.url}/net.h5") as checkpoint:
        yield (
            checkpoint.arrays[WEIGHTS],
            network().projections["ff"].variables["w"].values,
        )


def test_scattered_entries_come_in_few_requests(server):
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        array = checkpoint.arrays[WEIGHTS]
        server.spent()
        rows = np.arange(0, SIDE * SYNAPSES, 60_000)
        assert np.array_equal(array[rows], network().projections["ff"].variables["w"].values[rows])
        requests, _ = server.spent()
        assert requests <= rows.size + 2


def test_what_is_there_is_not_fetched_with_what_is_missing(server):
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        file = checkpoint._reader._file.file
        middle = file.size // 2
        file.read(middle, 1)
        server.spent()
        file.read(middle - 10_000, 1)
        (asked,) = server.asked
        assert asked.start + asked.count == middle // remote_bytes._PAGE * remote_bytes._PAGE
        assert asked.count == remote_bytes._LEAST


def test_threads_read_at_the_same_time_and_fetch_nothing_twice(server, folder):
    size = (folder / "net.h5").stat().st_size
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        array = checkpoint.arrays[WEIGHTS]
        with ThreadPoolExecutor(8) as pool:
            found = {np.asarray(a).tobytes() for a in pool.map(np.asarray, [array] * 8)}
    assert found == {network().projections["ff"].variables["w"].values.tobytes()}
    assert server.spent()[1] <= size + MIB


def test_what_is_kept_is_bounded_and_read_again(server, monkeypatch):
    monkeypatch.setattr(remote_bytes, "_KEPT", 1 << 20)
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        array = checkpoint.arrays[WEIGHTS]
        assert np.asarray(array).tobytes() == network().projections["ff"].variables["w"].values.tobytes()
        assert remote_bytes._PAGES._bytes <= 1 << 20
    assert remote_bytes._PAGES._bytes == sum(map(len, remote_bytes._PAGES._pages.values()))


def test_what_is_closed_is_closed_and_forgotten(server):
    checkpoint = ann_ckpt.open(f"{server.url}/net.h5")
    array = checkpoint.arrays[WEIGHTS]
    before = remote_bytes._PAGES._bytes
    checkpoint.close()
    assert remote_bytes._PAGES._bytes < before
    with pytest.raises(ClosedCheckpointError):
        array[:10]


def test_every_call_that_reads_takes_addresses(server, folder):
    there, here = f"{server.url}/net.h5", folder / "net.h5"
    assert ann_ckpt.diff(here, there).same
    assert ann_ckpt.verify(there).ok
    assert ann_ckpt.read(there).projections["ff"].delays == 2
    net = DemoNetwork(seed=1)
    ann_ckpt.save(folder / "demo.h5", network=net)
    net.simulate(50)
    ann_ckpt.load(f"{server.url}/demo.h5", network=net)
    assert ann_ckpt.diff(net, folder / "demo.h5").same


def test_commands_take_addresses(server, run):
    there = f"{server.url}/net.h5"
    assert json.loads(run("info", there, "--json").out)["time_step"] == 1000
    assert run("verify", there).status == 0
    assert run("diff", there, there).status == 0
    assert json.loads(run("show", there, "populations/in/v", "--rows", "0:2", "--json").out)
    assert run("ls", there).status == 0


def test_checkpoints_and_arrays_arrive_in_other_processes(server, monkeypatch):
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        array = checkpoint.arrays["populations/in/variables/v"]
        pickled = pickle.dumps((checkpoint, array))
        arrived, again = pickle.loads(pickled)
        with arrived:
            assert arrived.time_step == 1000
            assert np.array_equal(again, array)
        code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read())[1][3])"
        found = subprocess.run([sys.executable, "-c", code], input=pickled, capture_output=True, check=True)
        assert float(found.stdout) == array[3]


def test_a_forked_process_is_told(server):
    with ann_ckpt.open(f"{server.url}/net.h5"):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                ann_ckpt.open(f"{server.url}/net.h5")
            except NotReadableError as error:
                os.write(writing, repr(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert b"forked" in os.read(reading, 1000)


def test_names_are_those_of_the_address(server, folder):
    (folder / "a b%2.h5").write_bytes((folder / "net.h5").read_bytes())
    with ann_ckpt.open(f"{server.url}/a%20b%252.h5?token=secret") as checkpoint:
        assert checkpoint.time_step == 1000
        assert "secret" not in str(server.asked[0].start)
    assert server.asked[0].path == "/a%20b%252.h5?token=secret"
    with pytest.raises(FileMissingError) as caught:
        ann_ckpt.open(f"{server.url}/missing.h5?token=secret")
    assert "secret" not in str(caught.value)


def test_without_obstore_the_extra_is_named(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    for address in ("s3://bucket/net.h5", "gs://b/n.h5", "az://b/n.h5", "https://host/net.h5"):
        with pytest.raises(MissingExtraError, match=r"ann_ckpt\[remote\]"):
            ann_ckpt.open(address)


@pytest.mark.parametrize("address", ["s3://bucket", "s3://", "https://host/", "gs://bucket/"])
def test_an_address_of_no_object_is_refused(address):
    with pytest.raises(OptionError, match="does not name an object"):
        ann_ckpt.open(address)


@given(st.text(st.sampled_from("ab/.:@?#%s3"), max_size=12))
def test_what_is_an_address_is_written_as_it_was_given(text):
    try:
        found = paths.address_of(f"s3://bucket/{text}")
    except OptionError:
        assert not text.strip("/")
        return
    assert str(found) == f"s3://bucket/{text}".rstrip("/")
    assert paths.address_of(text) is None


def test_no_secret_of_an_address_gets_into_what_is_made(server, run, tmp_path):
    source = f"{server.url}/net.h5?token=S1GN"
    with ann_ckpt.open(source) as checkpoint:
        assert "S1GN" not in checkpoint.path + repr(checkpoint) + checkpoint._repr_html_()
        assert pickle.loads(pickle.dumps(checkpoint)).time_step == 1000
    picture, page = tmp_path / "a.svg", tmp_path / "a.html"
    assert run("plot", source, "populations/in/v", "-o", picture).status == 0
    page.write_text(report_page(source, compare=source))
    said = [run(command, source).out for command in ("info", "tree", "ls", "verify")]
    said.append(run("diff", source, source).out)
    assert not [text for text in (picture.read_text(), page.read_text(), *said) if "S1GN" in text]


def test_the_history_of_a_store_behind_an_address_is_drawn(bucket, run):
    answer = run("plot", f"{bucket}/run.ckpt", "projections/ff/w")
    assert answer.status == 0
    assert "simulated time [ms]" in answer.out
