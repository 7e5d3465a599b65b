"""Which network is meant where none, or a number, is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt.adapters.annarchy.adapt import _numbered
from ann_ckpt.errors import OptionError


@dataclass
class Network:
    compiled: bool


def test_the_only_one_that_is_compiled_is_meant_where_none_is_named() -> None:
    common, one, raw = Network(False), Network(True), Network(False)
    assert _numbered([common, one, raw, None], 0) is one
    assert _numbered([Network(True), one], 0).compiled
    assert _numbered([common, one], 1) is one
    assert _numbered([common, raw], 0) is common


def test_number_0_comes_first_where_it_is_compiled() -> None:
    common, one = Network(True), Network(True)
    assert _numbered([common, one], 0) is common


def test_two_have_to_be_told_apart() -> None:
    with pytest.raises(OptionError, match="pass network=net"):
        _numbered([Network(False), Network(True), Network(True)], 0)


@pytest.mark.parametrize("number", [2, -1, 1])
def test_a_number_that_no_network_has_is_refused(number: int) -> None:
    with pytest.raises(OptionError, match=f"net_id={number}"):
        _numbered([Network(True), None], number)


def test_a_network_in_the_place_of_another_argument_is_told_where_it_belongs(tmp_path: Path) -> None:
    calls = (
        lambda: ann_ckpt.save(tmp_path / "a.h5", Network(True)),  # type: ignore[arg-type]
        lambda: ann_ckpt.save(tmp_path / "a.h5", net_id=Network(True)),  # type: ignore[arg-type]
        lambda: ann_ckpt.save_parameters(tmp_path / "a.json", Network(True)),  # type: ignore[arg-type]
        lambda: ann_ckpt.load_parameters(tmp_path / "a.json", Network(True)),  # type: ignore[arg-type]
    )
    for call in calls:
        with pytest.raises(OptionError, match="pass network=net"):
            call()
