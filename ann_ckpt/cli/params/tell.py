"""``ann-ckpt params diff``, ``explain`` and ``table``: commands that tell something and change nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import print_json
from ann_ckpt.cli.params.common import (
    FINDINGS,
    check_output,
    coloured,
    is_checkpoint,
    load_any,
    open_checkpoint,
    output_option,
    write_text,
)
from ann_ckpt.errors import printable
from ann_ckpt.model.units import scaled
from ann_ckpt.params.api import plan_for
from ann_ckpt.params.description import NetworkDescription, ParameterDescription, describe
from ann_ckpt.params.diff import diff as differences
from ann_ckpt.params.plan import Change
from ann_ckpt.params.rules import RULES, Rule

__all__ = ["diff", "explain", "table"]

_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}


@click.command(
    cls=Command,
    examples=[
        (
            "ann-ckpt params extract demo.h5 -o old.json && ann-ckpt params diff old.json demo.h5",
            "what has changed in a network since a file was written",
        ),
        (
            "ann-ckpt params diff demo.h5 demo.h5 --exit-code --json",
            "compare two checkpoints, for a script",
        ),
    ],
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--overlay", is_flag=True, help="B is an overlay over A: what it omits is no difference.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there is a difference.")
@json_option
def diff(first: str, second: str, *, overlay: bool, exit_code: bool, as_json: bool) -> int:
    """Say which parameters differ between A and B, parameter files or checkpoints.

    A checkpoint counts with its global parameters and constants, and with those
    parameters per neuron, dendrite or synapse that the other side has too.
    """
    with ExitStack() as stack:

        def side(path: str) -> Any:
            return stack.enter_context(open_checkpoint(path)) if is_checkpoint(path) else load_any(path)

        found = differences(side(first), side(second), overlay=overlay)
    if as_json:
        print_json([difference.to_dict() for difference in found])
    else:
        for difference in found:
            click.echo(click.style(str(difference), fg=_COLOURS[difference.kind]), color=coloured())
    return FINDINGS if exit_code and found else 0


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt params explain P301", "what a rule means, why it is there, and what to do"),
        ("ann-ckpt params explain", "list all rules"),
    ],
)
@click.argument("rules", metavar="[RULE...]", nargs=-1)
@json_option
def explain(rules: tuple[str, ...], *, as_json: bool) -> int:
    """Say what a rule means: what is wrong, why it matters, an example, what to do.

    RULE is an id such as P301 or a name such as locality; without one, all are listed.
    """
    asked = [_rule(name) for name in rules]
    if as_json:
        print_json([_plain(rule) for rule in asked or RULES.values()])
    elif not asked:
        for rule in RULES.values():
            click.echo(f"{rule.id}  {rule.name:<22} {rule.severity:<8} {rule.title}")
    for rule in () if as_json else asked:
        click.echo(f"{rule.id} {rule.name} ({rule.severity})")
        click.echo(f"  what:    {rule.title}\n  why:     {rule.why}")
        click.echo(f"  example: {rule.wrong}\n  mend:    {rule.mend}")
    return 0


def _rule(given: str) -> Rule:
    for rule in RULES.values():
        if given.casefold() in {rule.id.casefold(), rule.name}:
            return rule
    raise click.UsageError(f"there is no rule {printable(given, 40)}; without an argument, all are listed")


def _plain(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "name": rule.name,
        "severity": str(rule.severity),
        "exit_status": rule.status,
        "what": rule.title,
        "why": rule.why,
        "example": rule.wrong,
        "mend": rule.mend,
    }


_Row = tuple[str, str, str, str, str]
"""Owner, parameter, value, unit and description."""

_HEAD: _Row = ("Object", "Parameter", "Value", "Unit", "Description")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
}  # fmt: skip


def _rows_of(network: NetworkDescription, changes: Sequence[Change] = ()) -> list[_Row]:
    """Return a row for every parameter and constant, in the order of the network.

    Parameters
    ----------
    network : NetworkDescription
        Where names, units and descriptions come from, and the values that nobody changes.
    changes : sequence of Change
        Values of a parameter file, which go before those of the network.
    """
    changed = {change.path: change.values for change in changes}
    return [
        (
            printable(owner, 200),
            printable(parameter.name, 200),
            *_value(parameter, np.asarray(changed.get(path, parameter.values))),
            printable(parameter.info.description, 500),
        )
        for owner, path, parameter in _parameters(network)
    ]


def _parameters(network: NetworkDescription) -> Iterator[tuple[str, tuple[str, ...], ParameterDescription]]:
    for owner in network.objects():
        for parameter in owner.parameters.values():
            yield owner.name, (owner.section, owner.name, parameter.name), parameter
    for constant in network.constants.values():
        yield "constants", ("constants", constant.name), constant


def _value(parameter: ParameterDescription, values: NDArray[Any]) -> tuple[str, str]:
    """Return one value as its digits, many by their range, and the unit that shows them best."""
    own = parameter.info.unit
    if not values.size:
        return "none", printable(own, 60)
    ends = [values.reshape(-1)[0]]
    if not parameter.is_global and values.min() != values.max():
        ends = [values.min(), values.max()]
    shown, unit = scaled(ends, own)
    if unit and unit != own:
        return " to ".join(f"{value:.15g}" for value in shown), printable(unit, 60)
    return " to ".join(_digits(parameter, value) for value in ends), printable(unit, 60)


def _digits(parameter: ParameterDescription, value: Any) -> str:
    plain = parameter.ctype.from_numpy(np.asarray(value))
    return str(value if plain is None else plain)


def _markdown(rows: Sequence[_Row]) -> str:
    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row) + " |\n"

    return line(_HEAD) + "|" + " --- |" * len(_HEAD) + "\n" + "".join(map(line, rows))


def _latex(rows: Sequence[_Row]) -> str:
    def line(row: Sequence[str]) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\" + "\n"

    body = "".join(map(line, rows))
    return (
        "\\begin{tabular}{lllll}\n\\hline\n" + line(_HEAD) + "\\hline\n" + body + "\\hline\n\\end{tabular}\n"
    )


def _csv(rows: Sequence[_Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    # A spreadsheet takes a cell that begins so for a formula.
    writer.writerows([f"'{cell}" if cell[:1] in {"=", "@"} else cell for cell in row] for row in rows)
    return text.getvalue()


_TABLES: Mapping[str, Callable[[Sequence[_Row]], str]] = MappingProxyType(
    {"markdown": _markdown, "latex": _latex, "csv": _csv}
)
"""The text of a table in each form."""


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt params table demo.h5", "the parameters of a network, for a document in Markdown"),
        ("ann-ckpt params table demo.h5 --format latex -o table.tex", "the same for a paper"),
    ],
)
@click.argument("checkpoint", metavar="C")
@click.option("--params", "file", metavar="FILE", help="Show the values that this parameter file gives.")
@click.option(
    "--format", "style", type=click.Choice(list(_TABLES)), default="markdown", help="Form of the table."
)
@output_option("Write the table to this file instead of standard output.")
def table(checkpoint: str, *, file: str | None, style: str, output: str | None) -> int:
    """Write the parameters and constants of a checkpoint as a table, with units and descriptions.

    Many values are shown by their range. A parameter file is checked first; if anything
    is wrong with it, nothing is written.
    """
    check_output(output)
    with open_checkpoint(checkpoint) as opened:
        state = opened.state(lazy=True)
        changes = () if file is None else plan_for(load_any(file), state, global_only=False, strict=True)
        write_text(_TABLES[style](_rows_of(describe(state), changes)), output)
    return 0
