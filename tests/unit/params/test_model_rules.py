"""Rules between values: what they can say, what they find, and what they can never do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.errors import OptionError
from ann_ckpt.params import Finding, Schema, parse, schema_for
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.checking.checker import Checker
from ann_ckpt.params.checking.model_rules import ModelRule
from tests.unit.params.networks import network


def check(rule: Any, data: Any, target: Any = None) -> tuple[Finding, ...]:
    checker = Checker(schema_of(network() if target is None else target), rules=[ModelRule.of(rule)])
    return checker.check(parse(json.dumps(data, indent=1), path="p.json")).findings


def inp(**values: Any) -> dict[str, Any]:
    return {"populations": {"inp": values}}


@pytest.mark.parametrize(
    ("rule", "data", "holds"),
    [
        ("tau > nb", inp(tau=3.5), True),
        ("tau > nb", inp(tau=3), False),
        ("tau > 2 * nb", inp(tau=7), True),
        ("1 < tau <= 10", inp(tau=10), True),
        ("1 < tau <= 10", inp(tau=11), False),
        ("len(noise) == populations.inp.size", inp(noise=[0, 0, 0, 0]), True),
        ("noise <= tau / 100", inp(noise=[0, 0, 0, 0.2]), False),
        ("max(noise) <= 0.5 and min(noise) >= 0", inp(noise=[0, 0, 0, 0.5]), True),
        ("abs(sum(noise)) < 1 or tau == 10", inp(noise=[1, 0, 0, 0]), True),
        ("not tau > 5", inp(tau=6), False),
        ("tau % 2 == 0 and tau ** 2 >= 4 and tau // 2 == 2 and -tau < +tau", inp(tau=4), True),
        ("sqrt(tau) == 2 and exp(log(tau)) > 3.99", inp(tau=4), True),
        ("populations.inp.tau < populations.out.tau", inp(tau=21), False),
        ('populations["inp"].tau < 5', inp(tau=6), False),
        ("projections.ff.eta < constants.K", {"constants": {"K": 0.05}}, False),
        ("K < tau", {"constants": {"K": 15.0}}, False),
        ('network.condition in ("a", "b")', {"network": {"condition": "c"}}, False),
        ("tau / nb > 1", inp(nb=0), False),
        ("noise < theta", {"projections": {"ff": {"theta": [1, 2]}}}, None),
        ({"check": "tau > 5", "for": "populations.o*"}, inp(tau=1), True),
        ({"check": "tau > 5", "for": "populations.i*"}, inp(tau=1), False),
    ],
)
def test_a_rule_holds_or_does_not(rule: Any, data: Any, holds: bool | None) -> None:
    found = [f.rule for f in check(rule, data)]
    assert found == {True: [], False: ["P208"], None: ["P503"]}[holds]


def test_a_finding_names_both_places() -> None:
    (finding,) = check({"check": "tau > nb", "message": "too fast"}, inp(nb=9, tau=4))
    assert finding.message == "too fast: nb is 9.0, tau is 4.0 (line 5)"
    assert (finding.pointer, finding.line) == ("/populations/inp/nb", 4)
    (other,) = finding.related
    assert (other.pointer, other.line, other.column) == ("/populations/inp/tau", 5, 11)
    (finding,) = check("tau > nb", inp(tau=1))
    assert finding.message == "tau > nb does not hold: nb is 3.0 (the network's), tau is 1.0"


def test_a_rule_is_checked_only_where_the_file_says_something() -> None:
    assert check("tau > 100", {"populations": {"inp": {"nb": 1}}}) == ()


def test_a_rule_that_fits_nothing_is_no_check() -> None:
    (finding,) = check("taau > dt", inp(tau=1))
    assert (finding.rule, finding.exit_status) == ("P503", 4)
    assert finding.message == "the rule taau > dt fits nothing in the network: there is no dt, taau"
    (finding,) = check("tau > eta", inp(tau=1))
    assert finding.message.endswith("fits nothing in the network: nothing has eta, tau")
    assert check("taau > 1", inp(tau=1), {"type": "object"}) == ()  # a schema that knows no names


def test_the_step_and_sizes_are_the_networks() -> None:
    from dataclasses import replace

    state = replace(network(), dt=0.5)
    assert [f.rule for f in check("tau > dt", inp(tau=0.4), state)] == ["P208"]
    assert check("tau > dt", inp(tau=0.6), state) == ()
    assert check("populations.grid.size == 6 and K > 0", {"constants": {"K": 1}}) == ()


def test_rules_stand_in_schemas_too() -> None:
    schema = {**schema_for(network()), "x-ann": {"rules": ["tau > nb"]}}
    file = parse(json.dumps(inp(tau=1)))
    assert [f.rule for f in Checker(Schema.of(schema)).check(file).findings] == ["P208"]
    for broken in (["tau >"], "tau > 1", [7], [{"check": 1}], [{"check": "1 < 2", "other": 1}]):
        schema["x-ann"] = {"rules": broken}
        assert [f.rule for f in Checker(Schema.of(schema)).check(file).findings] == ["P503"]


@pytest.mark.parametrize(
    "text",
    [
        "", "tau >", "a = 1", "lambda: 1", "__import__('os')", "open('x')", "tau.__class__", "().__class__",
        "populations.a.b.c", "network.a.b", "[x for x in tau]", "tau if 1 else 2", "f'{tau}'", "b'x'", "1j",
        "len(tau, key=1)", "len(*tau)", "(x := 1)", "tau[0]", "tau is 1", "...", "None", "await x", "~1",
        "1 << 9", "a @ b", "(" * 900 + ")" * 100, "1" + "+1" * 300, "x" * 2000, "{1: 2}", "{1}", "\0",
    ],
)  # fmt: skip
def test_what_a_rule_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        ModelRule(text)


@pytest.mark.parametrize("text", ["9 ** 9 ** 9 ** 9 > tau", "'a' * 9999999999 == tau", "exp(9999) > tau"])
def test_no_rule_takes_for_ever(text: str) -> None:
    assert [f.rule for f in check(text, inp(tau=1))] == ["P208"]


@given(st.text(st.sampled_from("tauK.nb()[]<>=!+-*/% 0123456789andornotlen,'\""), max_size=40))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = ModelRule(text)
    except OptionError:
        return
    Checker(schema_of(network()), rules=[rule]).check(parse(json.dumps(inp(tau=1.0))))
