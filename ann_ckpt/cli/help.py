"""``ann-ckpt help``: pages of the documentation in a terminal."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import click
from rich.markdown import Markdown

from ann_ckpt.cli.command import Command
from ann_ckpt.cli.output import emit, table
from ann_ckpt.errors import ObjectNotFoundError

__all__ = ["TOPICS", "help_command", "text_of"]

# Topic -> page, what it is about, and the heading of its part of the page if it is not all of it.
TOPICS: dict[str, tuple[str, str, str]] = {
    "annarchy": ("from-annarchy", "each of ANNarchy's calls, and what to write instead", ""),
    "brian2": ("brian2", "networks and standalone programs of Brian2", ""),
    "nest": ("nest", "networks of NEST", ""),
    "pynn": ("pynn", "models of PyNN, on any of its simulators", ""),
    "legacy": ("legacy", "files that ANNarchy and Brian2 wrote themselves", ""),
    "live": ("live", "what saving and loading do to a network of ANNarchy", ""),
    "stores": ("store", "the checkpoints of a long run in one folder", ""),
    "jobs": (
        "store",
        "saving in time, signals and job scripts of batch systems",
        "Long runs and batch systems",
    ),
    "exact-resume": ("exact-resume", "resuming bit for bit", ""),
    "recordings": ("recordings", "what monitors recorded", ""),
    "addresses": ("remote", "s3://, gs://, az:// and https:// in the place of a path", ""),
    "scale": ("scale", "what long stores in buckets cost", ""),
    "parameters": ("parameters", "parameter files and their schemas", ""),
    "sweeps": ("sweeps", "hundreds of runs as one table", ""),
    "pictures": ("pictures", "plot, report, watch, notebooks", ""),
    "exchange": ("exchange", "SONATA, CSV, Parquet, GraphML", ""),
    "tools": ("tools", "what h5web, h5glance, xarray and VirtualiZarr show", ""),
    "arrays": ("arrays", "pandas, Arrow, xarray, dask, graphs", ""),
    "clusters": ("cluster", "statistics over several machines", ""),
    "format": ("format", "the file format, as a specification", ""),
    "safety": ("safety", "what files from strangers can and cannot do", ""),
    "simulators": ("simulators", "adding a simulator", ""),
    "glossary": ("glossary", "every term, defined once", ""),
}
_IMAGE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)\s]+\)")
_WIDTH = 100


def text_of(topic: str) -> str:
    """Return the text of a topic, with the words of links and without pictures.

    Raises
    ------
    ObjectNotFoundError
        If there is none of that name; the message offers the nearest one.
    """
    if topic not in TOPICS:
        raise ObjectNotFoundError.among("the help", "topic", topic, TOPICS, label="topics")
    page, _, heading = TOPICS[topic]
    packed = files("ann_ckpt") / "docs" / f"{page}.md"
    # An installation in place has no copy, but the pages themselves.
    found = packed if packed.is_file() else Path(__file__).parents[2] / "docs" / f"{page}.md"
    text = found.read_text(encoding="utf-8")
    if heading:
        inside = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        text = f"# {heading}\n{inside}\n"
    return _LINK.sub(r"\1", _IMAGE.sub("", text))


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    root = ctx.find_root().command
    commands = root.list_commands(ctx) if isinstance(root, click.Group) else []
    return [name for name in (*TOPICS, *commands) if name.startswith(incomplete)]


@click.command(
    "help",
    cls=Command,
    examples=[
        ("ann-ckpt help", "the topics"),
        ("ann-ckpt help exact-resume", "what it takes to go on bit for bit"),
        ("ann-ckpt help plot", "of a command, the same as ann-ckpt plot --help"),
    ],
)
@click.argument("topic", required=False, shell_complete=_complete)
@click.pass_context
def help_command(ctx: click.Context, topic: str | None) -> None:
    """Explain a topic, or a command.

    Topics are pages of the documentation. On a terminal, what is longer than it goes to $PAGER.
    """
    if topic is None:
        listing = table("topic", "what it is about")
        for name, (_, about, _) in TOPICS.items():
            listing.add_row(f"[bold]{name}[/]", about)
        emit(listing, "", "[dim]ann-ckpt --help lists the commands[/]")
        return
    root = ctx.find_root()
    named = root.command.get_command(root, topic) if isinstance(root.command, click.Group) else None
    if topic not in TOPICS and named is not None:
        click.echo(named.get_help(click.Context(named, info_name=topic, parent=root)))
    elif sys.stdout.isatty():
        width = min(_WIDTH, shutil.get_terminal_size().columns)
        emit(Markdown(text_of(topic), hyperlinks=False), paged=True, width=width)
    else:
        click.echo(text_of(topic), nl=False)
