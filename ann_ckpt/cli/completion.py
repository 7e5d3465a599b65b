"""``ann-ckpt completion``: prints a shell completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ann_ckpt.cli.command import Command

__all__ = ["completion"]


@click.command(
    cls=Command,
    examples=[
        ('eval "$(ann-ckpt completion bash)"', "in ~/.bashrc (zsh: the same in ~/.zshrc)"),
        ("ann-ckpt completion fish > ~/.config/fish/completions/ann-ckpt.fish", "for fish"),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands.

    Commands, options, file names and the paths inside a checkpoint are completed.
    """
    root = ctx.find_root()
    program = root.info_name or "ann-ckpt"
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101  the choice above holds exactly the shells that click knows
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    click.echo(script(root.command, {}, program, variable).source())
