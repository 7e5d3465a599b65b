"""A reader of another program's files is one row: every call that opens files takes them then."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ann_ckpt
from ann_ckpt.adapters import formats
from ann_ckpt.adapters.formats import ForeignFormat
from ann_ckpt.adapters.protocol import ForeignFile, Reading
from ann_ckpt.cli.main import cli
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import CheckpointError, NotWritableError, UnknownFormatError, UnrecognisedFileError
from ann_ckpt.report import Loss, Note

MARK = b"RING"


def detect(path):
    return "ring" if Path(path).read_bytes().startswith(MARK) else None


def examine(path, *, dt=None, encoding=None):
    values = np.array(json.loads(Path(path).read_bytes().removeprefix(MARK)))
    population = ann_ckpt.PopulationState(
        "layer", (4, 4), variables={"r": ann_ckpt.Attribute(values, ann_ckpt.Locality.LOCAL)}
    )
    state = ann_ckpt.NetworkState(populations={"layer": population}, time_step=7, dt=dt)
    notes = (Note("", "no projections"), Loss("populations/layer", "no mask"))
    return ForeignFile(str(path), "json", "population", 20, "Ring", "0.1", "", Reading(state, notes))


@pytest.fixture
def old(tmp_path, monkeypatch):
    path = tmp_path / "old.ring"
    path.write_bytes(MARK + json.dumps(np.arange(16.0).reshape(4, 4).tolist()).encode())
    row = ForeignFormat("Ring", detect, examine, examine)
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, row))
    return path


def test_it_is_read_with_what_it_does_not_say(old):
    state = ann_ckpt.read(old, dt=0.5)
    assert state.populations["layer"]["r"][3, 3] == 15.0
    assert state.dt == 0.5
    origin = state.metadata["converted_from"]
    assert origin["ring"] == "0.1"
    assert ["populations/layer", "no mask"] in origin["notes"]


def test_open_names_the_program(old):
    with pytest.raises(UnknownFormatError, match="a file of Ring's own"):
        ann_ckpt.open(old)


def test_it_is_loaded_with_the_step_of_the_network(old):
    network = DemoNetwork(side=4)
    report = ann_ckpt.load(old, network=network, strict=False)
    assert "populations/layer" in "".join(map(str, report.loaded))
    assert np.array_equal(network.read().state.populations["layer"]["r"], np.arange(16.0).reshape(4, 4))


@pytest.mark.parametrize("isolate", [True, False])
def test_it_is_converted_alone_and_in_a_folder(old, isolate):
    report = ann_ckpt.convert(old, old.with_suffix(".h5"), isolate=isolate)
    assert (report.program, report.versions, report.partial) == ("Ring", "0.1", True)
    assert report.headline().startswith("converted in part")
    assert "(json of Ring 0.1)" in str(report)
    done = CliRunner().invoke(cli, ["convert", str(old.parent), str(old.parent / "new"), "--json"])
    assert done.exit_code == 0
    assert (old.parent / "new" / "old.h5").exists()


def test_info_describes_it(old):
    found = CliRunner().invoke(cli, ["info", str(old), "--json"])
    document = json.loads(found.stdout)
    assert (document["program"], document["time_step"], document["kind"]) == ("Ring", 7, "population")
    assert document["populations"][0]["neurons"] == 16
    page = CliRunner().invoke(cli, ["info", str(old)]).stdout
    assert "Ring 0.1" in page
    assert "no mask" in page


def test_a_process_of_its_own_reads_where_it_is_asked_for(old, monkeypatch):
    asked = []

    def alone(path, **options):
        asked.append(path)
        return examine(path, **options)

    monkeypatch.setattr(formats, "FORMATS", (ForeignFormat("Ring", detect, examine, alone),))
    formats.examine(old)
    assert asked == []
    formats.examine(old, isolate=True)
    assert asked == [old]


def test_a_checkpoint_of_a_store_is_never_theirs(old, tmp_path):
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", mode="a") as store:
        report = store.save(DemoNetwork(side=4))
    Path(report.path).write_bytes(old.read_bytes())
    with pytest.raises(CheckpointError) as failure:
        ann_ckpt.read(f"{tmp_path / 'run.ckpt'}@0")
    assert "Ring" not in str(failure.value)


def test_nothing_is_pickled_over_their_files(old):
    before = old.read_bytes()
    with pytest.raises(NotWritableError, match="not one that ANNarchy wrote"):
        ann_ckpt.save(old, network=DemoNetwork(side=4))
    assert old.read_bytes() == before


def test_what_no_row_knows_is_refused(old, tmp_path):
    other = tmp_path / "text.txt"
    other.write_text("hello")
    assert formats.format_of(other) is None
    with pytest.raises(UnrecognisedFileError, match="not a pickle"):
        ann_ckpt.load(other, network=DemoNetwork(side=4))


@pytest.mark.parametrize("signature", [b"HEAP", b"SNOD", b"TREE"])
def test_what_hdf5_finds_wrong_in_a_file_is_said_in_our_words(tmp_path, signature):
    """Also where it is looked at only to tell whose file it is."""
    path = tmp_path / "net.h5"
    ann_ckpt.save(path, network=DemoNetwork(side=4))
    whole = path.read_bytes()
    at = whole.index(signature)
    for damaged in range(at, at + 24, 4):
        path.write_bytes(whole[:damaged] + b"\xff" * 4 + whole[damaged + 4 :])
        for look in (formats.format_of, ann_ckpt.read, ann_ckpt.open):
            with contextlib.suppress(CheckpointError):
                look(path)
