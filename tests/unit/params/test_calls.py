"""``load_parameters`` and ``save_parameters``: ANNarchy's calls without their traps."""

from __future__ import annotations

import inspect
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, differences
from ann_ckpt.adapters.protocol import Reading, Simulator
from ann_ckpt.errors import (
    CheckpointError,
    MissingExtraError,
    NotReadableError,
    NotWritableError,
    ObjectNotFoundError,
    OptionError,
    ParameterFileError,
    SchemaUnusableError,
    SimulatorError,
)
from ann_ckpt.params import (
    IgnoredValueWarning,
    NotWrittenWarning,
    UnknownNameWarning,
    apply,
    load,
    load_parameters,
    parse,
    save_parameters,
    schema_for,
    validate,
)
from ann_ckpt.params.calls import text_for
from ann_ckpt.params.description import describe
from ann_ckpt.params.plan import changed_state, plan_changes
from ann_ckpt.selection import EVERYTHING, Selection
from tests.unit.params.networks import network


class Live:
    """A network that changes in place, and may refuse a value."""

    label = "Live 1"

    def __init__(self, refuses: tuple[str, str] | None = None) -> None:
        self.state = network()
        self.refuses = refuses
        self.log: list[tuple[str, str]] = []

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        return Reading(self.state)

    def _set(self, section: str, owner: str, name: str, values: Any) -> None:
        if (owner, name) == self.refuses:
            raise RuntimeError("refused")
        self.log.append((owner, name))
        data = {"constants": {name: 0}} if section == "constants" else {section: {owner: {name: 0}}}
        (change,) = plan_changes(data, describe(self.state))
        object.__setattr__(change, "values", np.asarray(values))
        self.state = changed_state(self.state, [change])

    def set_constant(self, name: str, value: Any) -> None:
        self._set("constants", "", name, value)

    def set_population_attribute(self, population: str, attribute: str, values: Any) -> None:
        self._set("populations", population, attribute, values)

    def set_projection_attribute(self, projection: str, attribute: str, values: Any) -> None:
        self._set("projections", projection, attribute, values)

    def refusal(self, projection: Any) -> str | None:
        return None

    def set_time_step(self, time_step: int) -> None:
        raise AssertionError("not asked for")

    set_delays = connect = set_time_step


@pytest.fixture
def params(tmp_path: Path) -> Any:
    """Write a parameter file; text is written as it is."""

    def write(content: Any) -> Path:
        path = tmp_path / "params.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def tau(live: Live, population: str) -> float:
    return float(np.asarray(live.state.populations[population]["tau"]))


# --- what ANNarchy's own loader does with a wrong file, and what happens here ---


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("names", [("inp", "uot"), ("uot", "inp")])
def test_a_misspelt_population_reaches_no_other(params: Any, names: tuple[str, str], strict: bool) -> None:
    live = Live()
    path = params({"populations": {name: {"tau": 99 if name == "uot" else 1} for name in names}})
    place = parse(path.read_text(), path=path).place("populations", "uot", key=True)
    if strict:
        with pytest.raises(ParameterFileError, match="did you mean 'out'") as caught:
            load_parameters(path, network=live, strict=True)
        (finding,) = caught.value.findings
        assert (finding.rule, finding.line, finding.column) == ("P102", place.line, place.column)
        assert live.log == []
    else:
        with pytest.warns(UnknownNameWarning, match=f":{place.line}:{place.column}: .*'uot'"):
            load_parameters(path, network=live)
        assert live.log == [("inp", "tau")]
        assert tau(live, "inp") == 1
    assert tau(live, "out") == 20


@pytest.mark.parametrize("value", ["1e3", [1, 2, 3], float("nan")])
@pytest.mark.parametrize("strict", [True, False])
def test_a_value_of_another_type_is_refused(params: Any, value: Any, strict: bool) -> None:
    live = Live()
    path = params({"populations": {"out": {"tau": 1}, "inp": {"tau": value}}})
    with pytest.raises(ParameterFileError) as caught:
        load_parameters(path, network=live, strict=strict)
    (finding,) = caught.value.findings
    assert finding.rule == ("P008" if isinstance(value, float) else "P201")
    assert finding.pointer == "/populations/inp/tau"
    assert live.log == []


def test_one_bad_value_under_network_is_refused(params: Any) -> None:
    live = Live()
    path = params({"network": {"a": 1, "b": [1]}, "populations": {"inp": {"tau": 1}}})
    with pytest.raises(ParameterFileError) as caught:
        load_parameters(path, network=live)
    assert [(f.rule, f.pointer) for f in caught.value.findings] == [("P201", "/network/b")]
    assert live.log == []


def test_a_misspelt_section_is_refused(params: Any) -> None:
    path = params({"population": {"inp": {"tau": 1}}, "constants": {"K": 1}})
    with pytest.raises(ParameterFileError, match="did you mean 'populations'"):
        load_parameters(path, network=Live(), strict=True)
    live = Live()
    with pytest.warns(UnknownNameWarning, match=r"(?s): 1 place of the file.*unknown section 'population'"):
        load_parameters(path, network=live)
    assert live.log == [("", "K")]


def test_saving_after_a_change_writes_the_current_values(tmp_path: Path, params: Any) -> None:
    live = Live()
    load_parameters(params({"populations": {"inp": {"tau": 7.5}}}), network=live)
    save_parameters(tmp_path / "saved.json", network=live)
    assert json.loads((tmp_path / "saved.json").read_text()) == {
        "populations": {
            "inp": {"tau": 7.5, "nb": 3, "on": True},
            "out": {"tau": 20.0, "nb": 3, "on": True},
            "grid": {},
        },
        "projections": {"ff": {"eta": 0.1, "cnt": 4}},
        "network": {},
        "constants": {"K": 0.25},
    }


# --- the calls ---


def test_only_annarchy_keeps_initial_values(tmp_path: Path) -> None:
    for thing in (Live(), network()):
        with pytest.raises(OptionError, match="initial=True needs an ANNarchy network"):
            save_parameters(tmp_path / "p.json", network=thing, initial=True)
    assert not (tmp_path / "p.json").exists()


def test_the_signatures_begin_as_annarchys_do() -> None:
    assert list(inspect.signature(save_parameters).parameters) == ["filename", "net_id", "network", "initial"]
    load = inspect.signature(load_parameters).parameters
    assert list(load)[:4] == ["filename", "global_only", "verbose", "net_id"]
    assert [p.default for p in list(load.values())[1:4]] == [True, False, 0]
    assert load["network"].kind is inspect.Parameter.KEYWORD_ONLY


def test_one_warning_lists_all_unknown_names(params: Any) -> None:
    path = params({"populations": {"a": {}, "b": {}, "inp": {"c": 1}}, "d": {}, "constants": {"e": 1}})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_parameters(path, network=Live())
    (warning,) = caught
    assert warning.category is UnknownNameWarning
    assert all(f"'{name}'" in str(warning.message) for name in "abcde")
    assert warning.filename == __file__


def test_other_errors_are_errors_beside_unknown_names(params: Any) -> None:
    live = Live()
    with pytest.raises(ParameterFileError) as caught:
        load_parameters(params({"x": {}, "populations": {"inp": {"tau": "1"}}}), network=live)
    assert [f.rule for f in caught.value.findings] == ["P101", "P201"]
    assert live.log == []


def test_arrays_need_global_only_to_be_false(params: Any) -> None:
    live = Live()
    values = {"inp": {"tau": 2.5, "noise": 0.5}, "grid": {"noise": [[1, 2, 3], [4, 5, 6]]}}
    path = params({"populations": values})
    with pytest.warns(IgnoredValueWarning) as caught:
        load_parameters(path, network=live)
    (warning,) = caught
    assert str(warning.message).endswith(": populations/inp/noise, populations/grid/noise")
    assert warning.filename == __file__
    assert np.asarray(live.state.populations["inp"]["tau"]).item() == 2.5
    assert not np.asarray(live.state.populations["inp"]["noise"]).any()
    assert not np.asarray(live.state.populations["grid"]["noise"]).any()
    load_parameters(path, False, network=live)
    assert np.asarray(live.state.populations["inp"]["noise"]).tolist() == [0.5] * 4
    assert np.asarray(live.state.populations["grid"]["noise"]).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("noise", ["much", [1, 2], [["a"]], {}, None])
def test_what_is_passed_over_need_not_fit(noise: Any, params: Any) -> None:
    live = Live()
    path = params({"populations": {"inp": {"tau": 2.5, "noise": noise}}})
    with pytest.warns(IgnoredValueWarning, match="populations/inp/noise"):
        load_parameters(path, network=live)
    assert [entry for entry in live.log if "noise" in entry] == []
    assert np.asarray(live.state.populations["inp"]["tau"]).item() == 2.5
    with pytest.raises(ParameterFileError):
        load_parameters(path, False, network=live)


def test_what_is_passed_over_hides_no_error(params: Any) -> None:
    live = Live()
    path = params({"populations": {"inp": {"noise": 0.5, "tau": "1"}}, "projections": {"ff": {"eta": []}}})
    with pytest.raises(ParameterFileError) as caught:
        load_parameters(path, network=live)
    assert [f.pointer for f in caught.value.findings] == ["/populations/inp/tau", "/projections/ff/eta"]
    assert live.log == []


def test_types_are_kept(params: Any) -> None:
    live = Live()
    data = {"populations": {"inp": {"nb": 5.0, "on": False}}, "projections": {"ff": {"eta": 1}}}
    load_parameters(params(data), network=live)
    inp, ff = live.state.populations["inp"], live.state.projections["ff"]
    assert [np.asarray(inp[n]).dtype for n in ("nb", "on")] == [np.int32, np.bool_]
    assert [np.asarray(inp[n]).item() for n in ("nb", "on")] == [5, False]
    assert np.asarray(ff["eta"]).dtype == np.float32


def test_the_network_section_comes_back_unchanged(params: Any) -> None:
    free = {"seed": 3, "name": "a", "on": True, "none": None, "x": 1.0}
    assert repr(load_parameters(params({"network": free}), network=Live())) == repr(free)


def test_verbose_prints_old_and_new_values(params: Any, capsys: pytest.CaptureFixture[str]) -> None:
    data = {"populations": {"inp": {"tau": 1.5, "noise": [1, 0, 0, 1]}}, "constants": {"K": 2}}
    load_parameters(params(data), False, True, network=Live())
    printed = capsys.readouterr().out
    assert "Population inp\n   tau : 10.0 -> 1.5\n" in printed
    assert "noise : 4 values from 0.0 to 0.0 -> 4 values from 0.0 to 1.0" in printed
    assert "K : 0.25 -> 2.0" in printed


def test_nothing_is_printed_otherwise(params: Any, capsys: pytest.CaptureFixture[str]) -> None:
    load_parameters(params({"constants": {"K": 2}}), network=Live())
    assert capsys.readouterr().out == ""


def test_a_further_schema_can_be_asked_for(params: Any, tmp_path: Path) -> None:
    path = params({"constants": {"K": 2}})
    narrow = {"properties": {"constants": {"properties": {"K": {"maximum": 1}}}}}
    for schema in (narrow, tmp_path / "narrow.json"):
        (tmp_path / "narrow.json").write_text(json.dumps(narrow))
        live = Live()
        with pytest.raises(ParameterFileError) as caught:
            load_parameters(path, network=live, schema=schema)
        assert [f.rule for f in caught.value.findings] == ["P204"]
        assert live.log == []
    with pytest.raises(SchemaUnusableError):
        load_parameters(path, network=Live(), schema={"$ref": "https://example.org"})


@pytest.mark.parametrize("refused", [("inp", "tau"), ("out", "tau"), ("ff", "eta"), ("", "K")])
def test_what_the_simulator_refuses_half_way_is_put_back(params: Any, refused: tuple[str, str]) -> None:
    live = Live(refused)
    data = {
        "populations": {"inp": {"tau": 1}, "out": {"tau": 2}},
        "projections": {"ff": {"eta": 3}},
        "constants": {"K": 4},
    }
    with pytest.raises(SimulatorError, match="refused a value") as caught:
        load_parameters(params(data), network=live)
    assert "RuntimeError: refused" in str(caught.value)
    assert list(differences(network(), live.state)) == []


def test_a_state_and_a_checkpoint_are_checked_and_stay(params: Any, tmp_path: Path) -> None:
    good, bad = {"network": {"a": 1}, "constants": {"K": 2}}, {"constants": {"k": 2}}
    state = network()
    ann_ckpt.write(state, tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        for target in (state, checkpoint):
            assert load_parameters(params(good), network=target) == {"a": 1}
            with pytest.raises(ParameterFileError):
                load_parameters(params(bad), network=target, strict=True)
        save_parameters(tmp_path / "a.json", network=state)
        save_parameters(tmp_path / "b.json", network=checkpoint)
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()
    assert list(differences(network(), state)) == []


def test_without_a_network_the_simulators_own_is_asked_for(params: Any) -> None:
    with pytest.raises(SimulatorError):
        load_parameters(params({}), network=object())


def test_what_is_not_finite_is_left_out_with_a_warning(tmp_path: Path) -> None:
    state = NetworkState(populations=[PopulationState("p", (2,), parameters={"a": np.nan, "b": 1.0})])
    with pytest.warns(NotWrittenWarning, match="populations/p/a"):
        save_parameters(tmp_path / "p.json", network=state)
    assert json.loads((tmp_path / "p.json").read_text())["populations"] == {"p": {"b": 1.0}}


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritableError):
        save_parameters(tmp_path / "file" / "p.json", network=network())


@pytest.mark.parametrize("name", [".", "missing.json"])
def test_files_that_cannot_be_read_are_errors_of_ours(tmp_path: Path, name: str) -> None:
    for call in (
        lambda: load_parameters(tmp_path / name, network=network()),
        lambda: validate({}, tmp_path / name),
    ):
        with pytest.raises(OSError, match=r"no such file|not a regular file") as caught:
            call()
        assert isinstance(caught.value, CheckpointError)
        assert str(tmp_path) in str(caught.value.where)


@pytest.mark.parametrize("name", ["net.h5", "net.json", "net"])
def test_no_checkpoint_is_replaced(tmp_path: Path, name: str) -> None:
    ann_ckpt.write(network(), tmp_path / "net.h5")
    before = (tmp_path / "net.h5").read_bytes()
    (tmp_path / "net.h5").rename(tmp_path / name)
    with pytest.raises(NotWritableError, match="HDF5 file"):
        save_parameters(tmp_path / name, network=network())
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("p.txt", "<svg></svg>", "1:1: the root element svg"),
        ("p.toml", "[project]\nname = 'precious'\n", "1:2: 'project' is not a value"),
        ("p.txt", "precious", "1:1: 'precious' is not a value"),
        ("p.json", "{broken", "1:2: expected a name"),
        ("p.json", '{"network": {"seed": 1,}}', "1:24: a comma before '}'"),
        ("p.json", '<<<<<<< HEAD\n{"network": {"seed": 1}}\n=======\n', "1:1: a merge conflict"),
        ("p.json", '{"network": {\n<<<<<<< HEAD\n"seed": 1\n}}', "2:1: a merge conflict"),
        ("p.yaml", "network:\n<<<<<<< HEAD\n  seed: 1\n=======\n", "3:7: "),
        ("p.yaml", "- a", "1:1: expected an object with sections at the top"),
        ("p.json", "3", "1:1: expected an object with sections at the top"),
        ("p.json", "\ufeff[]".encode("utf-16"), "1:1: the bytes are UTF-16"),
        ("p.json", '{"network": {"a": NaN}}', "1:19: NaN is not a JSON number"),
        ("p.json", '{"network": {"a": 1, "a": 2}}', "1:22: 'a' stands twice"),
        ("p.yaml", "network: {}\nnetwork: {a: 1}\n", "2:1: 'network' stands twice"),
        ("p.yaml", "network: {}\n---\nnetwork: {a: 1}\n", "a second document"),
        ("p.json", '{"network": [1]}', "the section network is not an object"),
        ("package.json", '{"dependencies": {}}', "there is no section 'dependencies'"),
        ("p.schema.json", json.dumps(schema_for(network())), "it is a JSON Schema"),
    ],
)
def test_what_would_be_lost_is_not_replaced(
    tmp_path: Path, name: str, text: str | bytes, reason: str
) -> None:
    path = tmp_path / name
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(content)
    with pytest.raises(NotWritableError, match="cannot be read as a parameter file") as caught:
        save_parameters(path, network=network())
    assert reason in caught.value.details["reason"]
    assert caught.value.where == str(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("fault", ["rights", "extra"])
def test_a_file_whose_content_nobody_can_tell_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def unreadable(*_: Any) -> Any:
        raise MissingExtraError("no YAML") if fault == "extra" else NotReadableError("not for you")

    path = tmp_path / "p.yaml"
    path.write_text("network: {seed: 1}\n")
    monkeypatch.setattr("ann_ckpt.params.calls.load", unreadable)
    with pytest.raises(NotWritableError, match="no YAML" if fault == "extra" else "not for you"):
        save_parameters(path, network=network())
    assert path.read_text() == "network: {seed: 1}\n"


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("p.txt", "", {}),
        ("p.json", " \n", {}),
        ("p.txt", "{}", {}),
        ("p.txt", "<database><parameter><name>n</name><value>3</value></parameter></database>", {"n": 3}),
        ("p.json", "\ufeff" + '{"network": {"a": 1}}', {"a": 1}),
        ("p.json", '{"network": {"a": 1}, "populations": {"inp": {"tau": NaN, "tau": [1]}}}', {"a": 1}),
    ],
)
def test_what_loses_nothing_is_replaced(tmp_path: Path, name: str, text: str, kept: dict[str, Any]) -> None:
    """Values of parameters are what is to be replaced, whatever they are."""
    path = tmp_path / name
    path.write_text(text)
    save_parameters(path, network=network())
    assert load(path).section("constants")
    assert load(path).section("network") == kept


def test_free_values_that_are_not_finite_are_left_out_with_a_warning(tmp_path: Path) -> None:
    state = replace(network(), metadata={"network": {"a": float("nan"), "b": 1.5}})
    with pytest.warns(NotWrittenWarning, match="network/a"):
        save_parameters(tmp_path / "p.json", network=state)
    assert load(tmp_path / "p.json").section("network") == {"b": 1.5}


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_any_text_is_read_again_from_either_notation(free: dict[str, str]) -> None:
    for name in ("x.json", "x.yaml"):
        file = parse(text_for(name, {"network": free}), path=name)
        assert (file.findings, dict(file.section("network"))) == ((), free)


def test_a_schema_whose_name_has_a_blank_is_found_from_yaml() -> None:
    text = text_for("x.yaml", {"network": {}}, schema="./my net.schema.json")
    assert parse(text, path="x.yaml").schema == "./my%20net.schema.json"


def test_no_file_is_written_that_is_too_large_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ann_ckpt.params.calls.LARGEST", 100)
    assert len(text_for(None, {"network": {"a": "x" * 50}})) <= 100
    with pytest.raises(OptionError, match="larger than"):
        text_for(None, {"network": {"a": "x" * 100}})


@pytest.mark.parametrize("limit", [0, -1, "x", 1.5])
def test_a_limit_is_a_whole_number_from_1(limit: Any) -> None:
    with pytest.raises(OptionError, match="limit is"):
        validate({}, network(), limit=limit)


@pytest.mark.parametrize("schema", [{"properties": {"a": {1, 2}}}, {"default": object()}])
def test_a_schema_in_memory_that_is_not_plain_is_refused_in_words(schema: Any) -> None:
    with pytest.raises(SchemaUnusableError, match="not plain"):
        validate({}, schema)


def test_the_fake_network_is_a_simulator() -> None:
    assert isinstance(Live(), Simulator)


def test_applying_to_a_live_network_changes_it_and_returns_its_state() -> None:
    live = Live()
    new = apply(parse('{"constants": {"K": 3}}'), live)
    assert float(np.asarray(new.constants["K"])) == 3
    assert live.log == [("", "K")]


def test_applying_to_a_state_gives_another() -> None:
    state = network()
    new = apply(parse('{"populations": {"inp": {"tau": 3}}}'), state)
    assert list(differences(state, new)) == ["populations/inp/parameters/tau"]
    assert list(differences(state, network())) == []
    assert new.populations["out"] is state.populations["out"]


@pytest.mark.parametrize("path", ["net.h5", "run.ckpt", "run.ckpt@here", "net.schema.json"])
def test_a_path_says_what_a_file_has_to_fit(tmp_path, path):
    """A checkpoint's, a store's or a schema's."""
    state = replace(network(), time_step=1)
    ann_ckpt.write(state, tmp_path / "net.h5")
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(state, tag="here")
    (tmp_path / "net.schema.json").write_text(json.dumps(schema_for(state)))
    name = next(iter(state.populations))
    wrong = {"populations": {name: {"no such": 1.0}}}
    assert validate(wrong, tmp_path / path) == validate(wrong, state) != []


def test_a_path_that_holds_nothing_is_said_to(tmp_path):
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(replace(network(), time_step=1))
    with pytest.raises(ObjectNotFoundError, match="has no checkpoint 'gone'"):
        validate({}, tmp_path / "run.ckpt@gone")
    with pytest.raises(FileNotFoundError):
        validate({}, tmp_path / "gone.h5")
