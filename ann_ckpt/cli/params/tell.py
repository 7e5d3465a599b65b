"""``ann-ckpt params explain`` and ``table``: what rules mean, and what a network is made of."""

from __future__ import annotations

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import print_json
from ann_ckpt.cli.params.common import load_any, open_checkpoint, output_option, write_text
from ann_ckpt.errors import printable
from ann_ckpt.params.api import plan_for
from ann_ckpt.params.description import describe
from ann_ckpt.params.rules import RULES, Rule
from ann_ckpt.params.tables import TABLES, rows_of

__all__ = ["explain", "table"]


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
    "--format", "style", type=click.Choice(list(TABLES)), default="markdown", help="Form of the table."
)
@output_option("Write the table to this file instead of standard output.")
def table(checkpoint: str, *, file: str | None, style: str, output: str | None) -> int:
    """Write the parameters and constants of a checkpoint as a table, with units and descriptions.

    Many values are shown by their range. A parameter file is checked first; if anything
    is wrong with it, nothing is written.
    """
    with open_checkpoint(checkpoint) as opened:
        state = opened.state(lazy=True)
        changes = () if file is None else plan_for(load_any(file), state, global_only=False, strict=True)
        write_text(TABLES[style](rows_of(describe(state), changes)), output)
    return 0
