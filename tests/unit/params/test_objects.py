"""Objects in memory are checked like files that say the same."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from ruamel.yaml import YAML

from ann_ckpt.errors import OptionError
from ann_ckpt.params import apply, diff, parse, validate
from ann_ckpt.params.file import from_object
from tests.unit.params.networks import network

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tau", "nb", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(["populations", "projections", "network", "constants", "inp", "ff", "K", "tau", "x"])


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=3))
def test_a_dict_has_the_findings_of_its_file(data: Any) -> None:
    of_file = validate(parse(json.dumps(data)), network())
    assert [(f.rule, f.pointer, f.message) for f in validate(data, network())] == [
        (f.rule, f.pointer, f.message) for f in of_file
    ]


def test_findings_name_the_place_in_the_object() -> None:
    (finding,) = validate({"populations": {"inp": {"tau": True}}}, network())
    assert str(finding) == "<object>:/populations/inp/tau: error[P201] expected a number, found true"


def test_numpy_and_tuples_are_numbers_and_arrays() -> None:
    data = {
        "populations": {
            "inp": {"tau": np.float32(2.5), "nb": np.int64(4), "noise": np.zeros(4)},
            "grid": {"noise": ((1, 2, 3),) * 2},
        }
    }
    assert validate(data, network()) == []
    assert float(apply(data, network()).populations["inp"]["tau"][()]) == 2.5
    assert [str(d) for d in diff({"constants": {"K": 1}}, {"constants": {"K": 2}})] == [
        "~ constants/K: 1 -> 2"
    ]


@pytest.mark.parametrize("data", [{"network": {"a": object()}}, {("a",): 1}, {"a": {1, 2}}])
def test_what_no_file_could_hold_is_a_finding(data: Any) -> None:
    assert validate(data, network())


def test_an_object_that_holds_itself_is_a_finding() -> None:
    data: dict[str, Any] = {}
    data["network"] = data
    assert [f.rule for f in validate(data)] == ["P001"]


def test_omegaconf_is_resolved_and_checked() -> None:
    cfg = OmegaConf.create({"base": 5.0, "parameters": {"populations": {"inp": {"tau": "${base}"}}}})
    assert validate(cfg.parameters, network()) == []
    assert float(apply(cfg.parameters, network()).populations["inp"]["tau"][()]) == 5.0
    cfg.parameters.populations.inp.tau = "${nowhere}"
    (finding,) = validate(cfg.parameters, network())
    assert finding.rule == "P001"
    assert "nowhere" in finding.message
    cfg.parameters.populations.inp.tau = "???"
    assert [f.rule for f in validate(cfg.parameters, network())] == ["P201"]


def test_what_knows_its_lines_is_named_by_line() -> None:
    text = "populations:\n  inp:\n    tau: -1\n    tua: 2\n"
    data = YAML().load(io.StringIO(text))
    found = validate(from_object(data, path="conf/a.yaml"), network())
    assert [(f.rule, f.line, f.column) for f in found] == [("P204", 3, 10), ("P104", 4, 5)]
    assert str(found[0]).startswith("conf/a.yaml:3:10: error[P204]")


def test_a_part_of_a_composed_file_keeps_its_lines_and_pointers() -> None:
    text = "db: 1\nmodel:\n  parameters:\n    populations: {inp: {tua: 1}}\n"
    file = parse(text, path="job.yaml").at("model.parameters")
    (finding,) = validate(file, network())
    assert (finding.pointer, finding.line, finding.column) == ("/model/parameters/populations/inp/tua", 4, 25)
    for missing, there in (
        ("model.params", "'model.parameters'"),
        ("net", "'db', 'model'"),
        ("db.a", "'db', 'model'"),
    ):
        with pytest.raises(OptionError, match=f"no object '{missing}'") as caught:
            parse(text, path="job.yaml").at(missing)
        assert caught.value.details["there"] == there
