"""Paths that users name: URLs and the like are refused by name, wherever one cannot be taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, params
from ann_ckpt.convert import convert, plan_folder
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.diffing.report import StateDiff
from ann_ckpt.errors import OptionError
from ann_ckpt.paths import absolute, address_of, local_path, spoken
from ann_ckpt.report import VerifyReport

STATE = NetworkState(time_step=1)
CALLS = {
    "open": ann_ckpt.open,
    "read": ann_ckpt.read,
    "verify": ann_ckpt.verify,
    "load": lambda path: ann_ckpt.load(path, network=DemoNetwork(seed=1)),
    "save": lambda path: ann_ckpt.save(path, network=STATE),
    "write": lambda path: ann_ckpt.write(STATE, path),
    "diff": lambda path: ann_ckpt.diff(STATE, path),
    "convert from": lambda path: convert(path, "new.h5"),
    "convert to": lambda path: convert("missing.data", path),
    "convert folder": lambda path: list(plan_folder(path, "new")),
    "convert to folder": lambda path: list(plan_folder(".", path)),
    "store r": CheckpointStore,
    "store a": lambda path: CheckpointStore(path, "a"),
    "store w": lambda path: CheckpointStore(path, "w"),
    "store prune": lambda path: CheckpointStore(path, "prune"),
    "load_parameters": lambda path: ann_ckpt.load_parameters(path, network=STATE),
    "save_parameters": lambda path: ann_ckpt.save_parameters(path, network=STATE),
    "validate": params.validate,
}
SUFFIXES = (".h5", ".ckpt", ".ckpt@tag", ".mat", ".data", ".npz", ".json", "")


READING = {"open", "read", "verify", "load", "diff"}
"""What takes addresses; tests/remote has them."""
SAVING = {"save", "write"}
"""What takes addresses of stores, as stores themselves do, if they are in buckets."""
BUCKETS = ("s3", "gs", "az")


@pytest.mark.parametrize(
    ("scheme", "call"),
    [
        (scheme, call)
        for scheme in ("s3", "gs", "az", "http", "https")
        for call in CALLS
        if call not in READING
    ]
    + [(scheme, call) for scheme in ("file", "gcs", "hf", "S3", "simplecache::s3") for call in CALLS],
)
def test_a_scheme_is_refused_by_name_wherever_a_path_is_taken(tmp_path, monkeypatch, call, scheme):
    monkeypatch.chdir(tmp_path)
    for suffix in SUFFIXES:
        if scheme in BUCKETS and (call.startswith("store") or (call in SAVING and ".ckpt" in suffix)):
            continue
        for path in (f"{scheme}://bucket/run{suffix}", Path(f"{scheme}://bucket/run{suffix}")):
            with pytest.raises(OptionError, match=f"the scheme '{scheme}' is not supported"):
                CALLS[call](path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("diff", "validate")])
@pytest.mark.parametrize("path", [None, 5, b"net.h5", NetworkState()])
def test_what_is_no_path_is_refused_by_its_type(tmp_path, monkeypatch, call, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=f"a path is of type {type(path).__name__}"):
        CALLS[call](path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", ["", "net\0.h5", "net\0.ckpt", "net\ud800.h5"])
def test_what_can_be_no_path_is_refused(tmp_path, monkeypatch, call, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="path"):
        CALLS[call](path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["add", "export"])
def test_stores_refuse_schemes_for_other_files_too(tmp_path, method):
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(STATE)
        with pytest.raises(OptionError, match=r"the scheme '(hf|s3)' is not supported"):
            store.add("hf://b/net.h5") if method == "add" else store.export(-1, "s3://b/net.h5")


@pytest.mark.parametrize(
    "path", ["C:/net.h5", "C:\\net.h5", "run:1.h5", "me@host:net.h5", "./s3://net.h5", "a/s3://b"]
)
def test_colons_alone_are_no_scheme(path):
    assert local_path(path) == path


def test_a_folder_with_a_colon_is_reached_if_it_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "night:").mkdir()
    ann_ckpt.save("night:/net.h5", network=STATE)
    assert ann_ckpt.open("night:/net.h5").time_step == 1


def test_relative_paths_in_a_working_folder_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(OptionError, match="working directory"):
        absolute("net.h5")
    assert absolute(tmp_path / "net.h5") == tmp_path / "net.h5"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "path",
    [
        "https://user:SECRET@host/?sig=SECRET",
        "https://user:SECRET@host?sig=SECRET",
        "https://user:SECRET@/net.h5?sig=SECRET",
        "https://user:SECRET@host/net\0.h5?sig=SECRET",
        "https://user:SECRET@host/net\ud800.h5?sig=SECRET",
        "file://user:SECRET@host/net.h5?sig=SECRET",
        "hf:/user:SECRET@host/net.h5?sig=SECRET",
    ],
)
def test_no_message_has_the_secrets_of_an_address(call, path):
    with pytest.raises(OptionError) as caught:
        CALLS[call](path)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("call", [call for call in CALLS if call not in READING])
def test_nor_has_one_that_refuses_to_write_to_a_web_server(call):
    with pytest.raises(OptionError) as caught:
        CALLS[call]("https://user:SECRET@host/net.h5?sig=SECRET")
    assert "SECRET" not in str(caught.value)
    assert "https://host/net.h5" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://me:pw@host:80/a/b.h5?sig=SECRET", "http://host:80/a/b.h5?..."),
        ("https:/me:pw@host/b.h5", "https:/host/b.h5"),
        ("s3://me:pw@bucket/run.ckpt@tag", "s3://bucket/run.ckpt@tag"),
        ("runs/me@host?.h5", "runs/me@host?.h5"),
    ],
)
def test_what_may_be_secret_in_an_address_is_not_spoken(given, said):
    assert spoken(given) == said
    address = address_of(given)
    if address is not None:
        assert "pw" not in address.shown + str(VerifyReport(spoken(given), 0, (), 0, 0.0))
        for call in (local_path, lambda path: address_of(f"{path.partition('@')[0]}@host")):
            with pytest.raises(OptionError) as caught:
                call(given)
            assert not re.search("pw|SECRET", str(caught.value))


def test_reports_and_pages_leave_out_what_may_be_secret():
    diff = StateDiff("http://me:pw@host/a.h5?sig=SECRET", "b.h5", (), (), (), (), ())
    assert not re.search("pw|SECRET", str(diff) + repr(diff.to_dict()))
