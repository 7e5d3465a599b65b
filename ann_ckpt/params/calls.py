"""``save_parameters`` and ``load_parameters``, with ANNarchy's signatures.

The same names and the same files, without the traps: nothing is applied before the
whole file has been checked, no value reaches another object than the one named, and
what is saved is what the network has now.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ann_ckpt.durable import atomic_write, check_target
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.params.api import plan_for, schema_of
from ann_ckpt.params.apply import change_live
from ann_ckpt.params.description import describe
from ann_ckpt.params.extract import extract, text_for
from ann_ckpt.params.file import load
from ann_ckpt.params.network import live_of, state_of
from ann_ckpt.params.plan import Change, shown

__all__ = ["NotWrittenWarning", "load_parameters", "save_parameters"]

Path_ = str | os.PathLike[str]

_TITLES = {"populations": "Population", "projections": "Projection", "constants": "Constants"}


class NotWrittenWarning(UserWarning):
    """A parameter is NaN or infinite, which a JSON file cannot say."""


def save_parameters(filename: Path_, net_id: int = 0, *, network: Any = None) -> None:
    """Write the current values of all global parameters and constants to a file.

    JSON, or YAML if the name ends so. A parameter file that stands there keeps the
    schema that it names, its version and its ``network`` section.

    Parameters
    ----------
    filename : path-like
        Appears whole or not at all; until then an older file stands.
    net_id : int
        Number of the network, for simulators that keep them globally.
    network : optional
        A live network, a :class:`~ann_ckpt.NetworkState` or an open checkpoint;
        default is the simulator's global network.

    Warns
    -----
    NotWrittenWarning
        If a parameter is NaN or infinite; it is left out of the file.

    Raises
    ------
    NotWritableError
        If the file cannot be written.
    """
    check_target(filename)
    extracted = extract(describe(state_of(network, net_id)))
    text = text_for(filename, extracted.data)
    with atomic_write(filename) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if extracted.left_out:
        names = ", ".join(printable(n, 80) for n in extracted.left_out)
        warnings.warn(f"not finite, so not written: {names}", NotWrittenWarning, stacklevel=2)


def load_parameters(
    filename: Path_,
    global_only: bool = True,
    verbose: bool = False,
    net_id: int = 0,
    *,
    network: Any = None,
    strict: bool = False,
    schema: Path_ | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Set the parameters and constants of a network from a file: all of them or none.

    Parameters
    ----------
    filename : path-like
        JSON as :func:`save_parameters` and ANNarchy write it, YAML, or ANNarchy's old XML.
    global_only : bool
        True: a parameter with one value per neuron, dendrite or synapse is an error.
        False: one number is given to all, an array must fit.
    verbose : bool
        Print old and new values.
    net_id : int
        Number of the network, for simulators that keep them globally.
    network : optional
        A live network; default is the simulator's global one. A
        :class:`~ann_ckpt.NetworkState` or an open checkpoint never changes: the file
        is checked against it, and :func:`ann_ckpt.params.apply` gives the changed state.
    strict : bool
        False: names that the network lacks raise one
        :class:`~ann_ckpt.params.UnknownNameWarning` that lists them all. True: they
        are errors like everything else.
    schema : path-like or mapping, optional
        A JSON Schema that the file has to fit besides.

    Returns
    -------
    dict
        The ``network`` section, as it stands in the file.

    Raises
    ------
    ParameterFileError
        If anything is wrong; ``findings`` says what and where, nothing is changed.
    OptionError
        If ``global_only`` is no truth value.
    """
    if not isinstance(global_only, bool | int):
        raise OptionError(
            f"global_only= takes True or False, not a {type(global_only).__name__}",
            details={"hint": "pass network=net"},
        )
    live = live_of(network, net_id)
    state = state_of(network, net_id) if live is None else live.read().state
    file = load(filename)
    changes = plan_for(
        file,
        state,
        global_only=global_only,
        strict=strict,
        schema=None if schema is None else schema_of(schema),
    )
    if verbose:
        _print_changes(os.fspath(filename), changes)
    if live is not None:
        change_live(live, changes)
    return dict(file.section("network"))


def _print_changes(filename: str, changes: Sequence[Change]) -> None:
    print("Loading parameters from file", printable(filename, 400))  # noqa: T201 - verbose means print
    owner = None
    for change in changes:
        if (change.section, change.owner) != owner:
            owner = (change.section, change.owner)
            print(_TITLES[change.section], printable(change.owner))  # noqa: T201 - as above
        old, new = shown(change.parameter.values), shown(change.values)
        print(f"   {printable(change.name)} : {old} -> {new}")  # noqa: T201 - as above
