"""Every flag of every public call takes True and False; a text, which would count as True, is refused."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.arguments import check_flags
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import OptionError
from docs.api import MODULES, public_names

FLAGS = ("bool", "bool | None")
OBJECTS = "ann_ckpt.errors", "ann_ckpt.reports", "ann_ckpt.testing", "ann_ckpt.simulators"
"""Modules without calls of ours that take a flag."""


def calls() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Public functions and methods, with each of their flags."""
    for module in (importlib.import_module(name) for name in MODULES if name not in OBJECTS):
        for public in public_names(module):
            thing = getattr(module, public)
            own = [thing] if inspect.isfunction(thing) else []
            if inspect.isclass(thing):
                methods = inspect.getmembers(thing, inspect.isfunction)
                own = [m for n, m in methods if not n.startswith("_") and m.__module__.startswith("ann_ckpt")]
            for call in own:
                for parameter in inspect.signature(call).parameters.values():
                    if parameter.annotation in FLAGS:
                        yield f"{module.__name__}.{call.__qualname__} {parameter.name}", call, parameter.name


CALLS = {name: (call, flag) for name, call, flag in calls()}


@pytest.mark.parametrize("name", CALLS)
def test_a_flag_is_true_or_false(name: str, tmp_path: Any) -> None:
    """Before anything else is looked at: what else the call needs is nothing that it could work with."""
    call, flag = CALLS[name]
    needed: dict[str, Any] = {
        p.name: None
        for p in inspect.signature(call).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    if "CheckpointStore" in name:
        needed["self"] = ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a")
    for wrong in ("no", 2, [True], 0.5):
        with pytest.raises(OptionError, match=f"{flag}= takes True or False, not"):
            call(**{**needed, flag: wrong})


def test_the_flags_that_people_use_are_among_them() -> None:
    for name in ("load strict", "save barrier", "save monitors", "CheckpointStore.save monitors"):
        assert f"ann_ckpt.{name}" in CALLS
    assert "ann_ckpt.nest.build replay" in CALLS


def test_a_store_takes_flags_when_it_is_opened(tmp_path: Any) -> None:
    with pytest.raises(OptionError, match="monitors= takes True or False, not a str"):
        ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a", monitors="no")  # type: ignore[arg-type]
    assert not (tmp_path / "run.ckpt").exists()


@pytest.mark.parametrize("value", [True, False, 1, 0, np.True_, np.False_, np.int64(1)])
def test_what_numpy_calls_true_is_taken(value: Any) -> None:
    check_flags(flag=value)


def test_bools_of_numpy_do_what_pythons_do(tmp_path: Any) -> None:
    network = DemoNetwork(seed=1, side=3)
    ann_ckpt.save(tmp_path / "net.h5", network=network, barrier=np.False_, monitors=np.False_)  # type: ignore[arg-type]
    ann_ckpt.load(tmp_path / "net.h5", network=network, strict=np.True_)  # type: ignore[arg-type]
    assert simulator_for(network).read().state.seed == 1
