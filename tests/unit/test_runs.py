"""Listing runs: what the rows say is what opening each run says, remembered or not."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState
from ann_ckpt.cli.runs import runs as runs_command
from ann_ckpt.errors import FileMissingError, MissingExtraError, NotReadableError, OptionError
from ann_ckpt.reports import Runs

COLUMNS = ["constants/g", "metadata/loss", "populations/E/tau", "populations/E/r", "metadata/nested/0"]


def state(number: int, step: int = 0) -> NetworkState:
    return NetworkState(
        populations=[
            PopulationState(
                "E", (4,), parameters={"tau": np.full(4, number / 2)}, variables={"r": np.arange(4.0)}
            )
        ],
        constants={"g": number},
        time_step=step,
        dt=0.5,
        seed=number,
        metadata={"loss": 1 / (1 + number), "nested": [number]},
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    (folder / "deep").mkdir(parents=True)
    ann_ckpt.write(state(1, 7), folder / "deep" / "one.h5")
    for number in (2, 3):
        with ann_ckpt.CheckpointStore(folder / f"run-{number}.ckpt", "a") as store:
            store.save(state(number, 10), tag="early")
            store.save(state(number, 20))
    (folder / "notes.txt").write_text("no run")
    (folder / "table.h5").write_text("no HDF5")
    settle(folder)
    return folder


def settle(folder: Path) -> None:
    """Let everything look older than what is never remembered."""
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**10))


def test_a_row_says_what_opening_the_run_says(sweep: Path) -> None:
    found = ann_ckpt.runs(sweep, columns=COLUMNS)
    assert [run.name for run in found] == ["deep/one.h5", "run-2.ckpt", "run-3.ckpt"]
    for run in found:
        with ann_ckpt.open(run.path) as checkpoint:
            assert (run.time_step, run.time_ms, run.seed) == (
                checkpoint.time_step,
                checkpoint.time_ms,
                checkpoint.seed,
            )
            assert (run.created, run.metadata, run.provenance) == (
                checkpoint.created,
                checkpoint.metadata,
                checkpoint.provenance,
            )
            number = checkpoint.seed
        assert list(run.columns.values()) == [number, 1 / (1 + number), number / 2, None, number]
    one, two, _ = found
    assert (one.kind, one.checkpoints, one.tags, one.nbytes) == (
        "file",
        1,
        (),
        (sweep / "deep" / "one.h5").stat().st_size,
    )
    assert (two.kind, two.checkpoints, two.tags) == ("store", 2, ("early",))
    assert two.nbytes == sum(
        path.stat().st_size for path in (sweep / "run-2.ckpt").rglob("*.h5") if path.is_file()
    )
    said = [str(note) for note in found.notes]
    assert said == [
        "1 file with a checkpoint's extension, not HDF5",
        "populations/E/r: no single value in 3 runs, such as deep/one.h5",
    ]


def test_a_tag_that_several_checkpoints_have_is_named_once(sweep: Path) -> None:
    with ann_ckpt.CheckpointStore(sweep / "run-2.ckpt", "a") as store:
        for tag in ("late", "early", "late"):
            store.save(state(2, 30), tag=tag)
    assert ann_ckpt.runs(sweep)[1].tags == ("early", "late")


def test_a_run_that_cannot_be_read_says_why_whatever_kind_of_error_it_is(sweep: Path) -> None:
    (sweep / "run-2.ckpt" / "checkpoints" / "000000000099.h5").mkdir()
    found = {run.name: run.problem for run in ann_ckpt.runs(sweep)}
    assert found["run-2.ckpt"] == "not a regular file"
    assert found["run-3.ckpt"] is None


def test_a_store_whose_settings_are_damaged_says_so_remembered_or_not(sweep: Path) -> None:
    assert ann_ckpt.runs(sweep)[1].problem is None
    (sweep / "run-2.ckpt" / "store.json").write_text("{")
    assert [run.problem for run in ann_ckpt.runs(sweep)] == [None, "store.json is not JSON", None]


def test_what_is_remembered_is_what_would_be_read(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def same() -> Runs:
        remembered = ann_ckpt.runs(sweep, columns=COLUMNS)
        assert remembered == ann_ckpt.runs(sweep, columns=COLUMNS, cache=False)
        return remembered

    first = same()
    assert ann_ckpt.runs(sweep)[0].columns == {}
    with ann_ckpt.CheckpointStore(sweep / "run-2.ckpt", "a") as store:
        store.save(state(2, 30), tag="late")
    ann_ckpt.write(state(9, 9), sweep / "deep" / "one.h5")
    changed = same()
    assert changed[1].tags == ("early", "late")
    assert changed[0].seed == 9
    with ann_ckpt.CheckpointStore(sweep / "run-2.ckpt", "prune") as store:
        store.prune(keep_last=1, keep_tags=False)
    assert same()[1].checkpoints == 1
    shutil.rmtree(sweep / "run-3.ckpt")
    assert len(same()) == 2
    assert first[2].name == "run-3.ckpt"


def test_what_did_not_change_is_not_opened_again(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ann_ckpt.runs(sweep, columns=COLUMNS)
    opened: list[object] = []
    real = ann_ckpt.Checkpoint.__init__

    def counting(self: ann_ckpt.Checkpoint, path: object, *rest: object) -> None:
        opened.append(path)
        real(self, path, *rest)

    monkeypatch.setattr(ann_ckpt.Checkpoint, "__init__", counting)
    assert ann_ckpt.runs(sweep, columns=COLUMNS) == first
    assert opened == []
    ann_ckpt.runs(sweep, columns=["seed-like/x".replace("seed-like", "metadata")])
    assert len(opened) > 0, "a column that was never read has to be"


def test_what_changed_just_now_is_not_remembered(sweep: Path, cache: Path) -> None:
    ann_ckpt.write(state(5), sweep / "deep" / "one.h5")
    ann_ckpt.runs(sweep)
    [kept] = cache.rglob("*.json")
    assert set(json.loads(kept.read_text())["rows"]) == {"run-2.ckpt", "run-3.ckpt"}


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": 0}', '{"version": [1, "0.1.0"], "rows": {"run-2.ckpt": 3}}']
)
def test_a_damaged_cache_is_written_anew(sweep: Path, cache: Path, content: str) -> None:
    first = ann_ckpt.runs(sweep)
    [kept] = cache.rglob("*.json")
    good = kept.read_text()
    kept.write_text(content)
    assert ann_ckpt.runs(sweep) == first
    assert kept.read_text() == good


def test_no_cache_can_be_written(sweep: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(ann_ckpt.runs(sweep)) == 3


def test_who_has_no_home_has_no_cache(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    assert len(ann_ckpt.runs(sweep)) == 3


def test_a_run_that_cannot_be_read_is_a_row_that_says_so(sweep: Path) -> None:
    path = sweep / "deep" / "one.h5"
    path.write_bytes(path.read_bytes()[:100])
    newest = max((sweep / "run-2.ckpt" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:100])
    settle(sweep)
    one, two, three = ann_ckpt.runs(sweep, columns=COLUMNS)
    assert one.problem
    assert two.problem
    assert three.problem is None
    assert one.columns == dict.fromkeys(COLUMNS)


def test_an_empty_store_has_no_checkpoints(tmp_path: Path) -> None:
    ann_ckpt.CheckpointStore(tmp_path / "runs" / "new.ckpt", "a").close()
    [run] = ann_ckpt.runs(tmp_path / "runs", columns=["constants/g"])
    assert (run.checkpoints, run.time_step, run.nbytes, run.columns) == (0, None, 0, {"constants/g": None})


@pytest.mark.parametrize("column", ["g", "constants", "populations/E", "constants/a/b", "elsewhere/a", ""])
def test_a_column_that_is_none_is_refused_before_anything_is_read(tmp_path: Path, column: str) -> None:
    with pytest.raises(OptionError, match="is not a column"):
        ann_ckpt.runs(tmp_path / "missing", columns=[column])


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="cannot list the folder"):
        ann_ckpt.runs(tmp_path / "missing")


def test_a_folder_that_cannot_be_listed_is_noted_and_the_others_are(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == sweep / "deep":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = ann_ckpt.runs(sweep)
    assert [run.name for run in found] == ["run-2.ckpt", "run-3.ckpt"]
    assert "deep: cannot list the folder: Permission denied" in map(str, found.notes)
    with pytest.raises(NotReadableError, match="cannot list the folder"):
        ann_ckpt.runs(sweep / "deep")


def test_frame_and_parquet_hold_the_rows(sweep: Path, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    found = ann_ckpt.runs(sweep, columns=COLUMNS)
    frame = found.to_frame()
    assert list(frame.index) == [run.name for run in found]
    assert frame["time_step"].tolist() == [run.time_step for run in found]
    assert frame["constants/g"].tolist() == [run.columns["constants/g"] for run in found]
    assert json.loads(frame.loc["run-2.ckpt", "metadata"]) == found[1].metadata
    assert frame["tags"].tolist() == ["", "early", "early"]
    assert (frame["created"].dt.tz is not None) or frame["created"].dt.year.min() > 2000
    found.to_parquet(tmp_path / "sweep.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "sweep.parquet"), frame)
    assert len(Runs("nowhere", (), ()).to_frame()) == 0


def test_large_seeds_stay_as_they_are_beside_a_run_without(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    seeds = (None, 2**53 + 1, 2**63 - 1)
    for number, seed in enumerate(seeds):
        ann_ckpt.write(NetworkState(seed=seed), tmp_path / "runs" / f"{number}.h5")
    found = ann_ckpt.runs(tmp_path / "runs")
    found.to_parquet(tmp_path / "runs.parquet")
    for frame in (found.to_frame(), pd.read_parquet(tmp_path / "runs.parquet")):
        assert [None if pd.isna(seed) else int(seed) for seed in frame["seed"]] == list(seeds)


def test_a_listing_without_runs_has_the_columns_of_one(sweep: Path) -> None:
    pytest.importorskip("pandas")
    assert list(Runs("nowhere", (), ()).to_frame()) == list(ann_ckpt.runs(sweep).to_frame())


@pytest.mark.parametrize(
    ("values", "one"),
    [(np.nan, np.nan), ([np.nan] * 4, np.nan), ([np.nan, 1.0], None), ([1.0, np.nan], None)],
)
def test_what_is_no_number_is_a_value(tmp_path: Path, values: object, one: float | None) -> None:
    ann_ckpt.write(NetworkState(constants={"g": values}), tmp_path / "runs" / "net.h5")
    [run] = ann_ckpt.runs(tmp_path / "runs", columns=["constants/g"])
    assert repr(run.columns["constants/g"]) == repr(one)


def test_the_crate_of_one_store_is_the_store(sweep: Path) -> None:
    model = pytest.importorskip("rocrate.rocrate")
    folder = sweep / "run-2.ckpt"
    assert (
        CliRunner().invoke(runs_command, [str(folder), "--ro-crate"], catch_exceptions=False).exit_code == 0
    )
    crate = model.ROCrate(folder)
    (action,) = (entity for entity in crate.contextual_entities if entity.type == "CreateAction")
    assert action["result"].id == crate.root_dataset.id == "./"


def test_the_crate_names_every_run_and_the_software_that_made_it(sweep: Path) -> None:
    model = pytest.importorskip("rocrate.rocrate")
    result = CliRunner().invoke(runs_command, [str(sweep), "--ro-crate"], catch_exceptions=False)
    assert result.exit_code == 0
    crate = model.ROCrate(sweep)
    parts = {part.id: part for part in crate.root_dataset["hasPart"]}
    assert set(parts) == {"deep/one.h5", "run-2.ckpt/", "run-3.ckpt/"}
    actions = [entity for entity in crate.contextual_entities if entity.type == "CreateAction"]
    assert {action["result"].id for action in actions} == set(parts)
    for action in actions:
        assert action["instrument"]["softwareVersion"] == ann_ckpt.__version__
        origin = json.loads(action["description"])
        with ann_ckpt.open(sweep / action["result"].id.rstrip("/")) as checkpoint:
            assert origin == checkpoint.provenance


def test_the_command_prints_what_the_call_returns(sweep: Path) -> None:
    arguments = [str(sweep), "--columns", "constants/g, metadata/loss"]
    found = ann_ckpt.runs(sweep, columns=["constants/g", "metadata/loss"])
    printed = CliRunner().invoke(runs_command, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(printed.stdout) == json.loads(json.dumps(found.to_dict()))
    text = CliRunner().invoke(runs_command, arguments, catch_exceptions=False).stdout
    assert text.splitlines()[0].split() == [
        "run", "step", "ms", "checkpoints", "size", "written", "constants/g", "metadata/loss", "tags",
    ]  # fmt: skip
    assert "run-3.ckpt" in text
    assert "3 runs" in text


def test_the_lines_of_the_documentation_run(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    monkeypatch.chdir(sweep.parent)
    names: dict[str, object] = {"ann_ckpt": ann_ckpt}
    for block in blocks:
        exec(block, names)
    assert names["best"].seed == 3  # type: ignore[attr-defined]


def test_a_package_that_cannot_be_imported_says_why(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "pyarrow.py").write_text("raise ImportError('needs something newer')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        MissingExtraError, match=r"(?s)needs the package pyarrow.*needs something newer.*frames"
    ):
        ann_ckpt.runs(sweep).to_parquet(tmp_path / "x.parquet")


def test_values_of_several_types_are_texts_in_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, loss in (("a", 1.5), ("b", "diverged"), ("c", None)):
        metadata = {} if loss is None else {"loss": loss}
        ann_ckpt.write(NetworkState(metadata=metadata), tmp_path / f"{name}.h5")
    ann_ckpt.runs(tmp_path, columns=["metadata/loss"]).to_parquet(tmp_path / "runs.parquet")
    column = parquet.read_table(tmp_path / "runs.parquet").column("metadata/loss")
    assert column.to_pylist() == ["1.5", '"diverged"', None]
