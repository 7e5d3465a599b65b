"""The command list, the standard streams and the top-level error handler.

A command lives in a module of its own and is imported when it is called, so that
``ann-ckpt --help`` answers at once. To add one, write the module and a line in
``COMMANDS``.

A terminal may not know UTF-8, a pipe may lose its reader, a disk behind ``>`` may be
full, and ``>&-`` closes a stream altogether, so that the next file opened gets its
number. None of these may end in a traceback, in a damaged file or, since 1 means that
something differs, in the exit status 1.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import io
import os
import select
import sys
import traceback
from typing import Any

import click
from click.shell_completion import get_completion_class

from ann_ckpt import errors
from ann_ckpt._version import __version__
from ann_ckpt.cli.command import Command, report_error
from ann_ckpt.errors import CheckpointError, NotWritableError

__all__ = [
    "COMMANDS",
    "Output",
    "cli",
    "completion",
    "main",
    "standard_output",
]


class Output(io.RawIOBase):
    """A standard stream that keeps its first error and goes on; nothing is lost but the text.

    Parameters
    ----------
    descriptor : int or None
        None for a stream that was closed when the program started.
    """

    def __init__(self, descriptor: int | None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.error: OSError | None = None

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """Descriptor of the stream."""
        if self._descriptor is None:
            raise io.UnsupportedOperation("the stream was closed")
        return self._descriptor

    def isatty(self) -> bool:
        """Whether this is a terminal."""
        return self._descriptor is not None and os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        """Write everything, unless the stream had an error before."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        if self._descriptor is None:
            self.error = OSError(errno.EBADF, "it was closed")
            return size
        while rest and self.error is None:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # the terminal was made non-blocking by another program
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.error = error
                if isinstance(error, BrokenPipeError):
                    raise  # nobody reads any more, so nothing more needs to be done
        return size


def standard_output() -> Output | None:
    """Install streams that cannot fail; return that of stdout, None if it was replaced by the caller."""
    _occupy()
    _stream("stderr", 2)
    return _stream("stdout", 1)


def _occupy() -> None:
    """Open /dev/null for the descriptors 0 to 2 that are closed, before a file gets their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _stream(name: str, descriptor: int) -> Output | None:
    present: Any = getattr(sys, name)
    if present is not getattr(sys, f"__{name}__"):
        return None  # a program that calls `main` has put its own there
    raw = Output(None if present is None else descriptor)
    if present is not None:
        present.flush()
    made = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(present, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=getattr(present, "line_buffering", False),
    )
    setattr(sys, name, made)
    return raw


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

    Commands, options, file names and the paths inside a checkpoint are completed, and
    behind the `@` of a store its tags and steps.
    """
    root = ctx.find_root()
    program = root.info_name or "ann-ckpt"
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101  the choice above holds exactly the shells that click knows
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    source = script(root.command, {}, program, variable).source()
    click.echo(_rejoining(source) if shell == "bash" else source)


_REJOIN = r"""
    # bash takes an @ for the beginning of a host's name, and replaces the line from there on.
    local words=() n=-1 i begun=
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if [[ $i -gt 0 && (${COMP_WORDS[i]} == @ || ${COMP_WORDS[i - 1]} == @) ]]; then
            words[n]+=${COMP_WORDS[i]}
            begun=${words[n]%"@${words[n]##*@}"}
        else
            n=$((n + 1)); words[n]=${COMP_WORDS[i]}; begun=
        fi
    done
"""


def _rejoining(source: str) -> str:
    """Return click's script for bash, made to complete behind an ``@``."""
    for old, new in (
        ("    local response\n", f"    local response{_REJOIN}"),
        ("${COMP_WORDS[*]}", "${words[*]}"),
        ("COMP_CWORD=$COMP_CWORD", "COMP_CWORD=$n"),
        ("COMPREPLY+=($value)", 'COMPREPLY+=("${value#"$begun"}")'),
    ):
        before, found, after = source.partition(old)
        if not found:
            return source  # another version of click: completion works, only not behind an @
        source = before + new + after
    return source


PROGRAM = "ann-ckpt"
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""
BROKEN_PIPE = 141
"""Exit status when the reader of a pipe has gone: 128 + SIGPIPE."""
INTERNAL = 70
"""Exit status after an unexpected exception: EX_SOFTWARE of sysexits.h."""

# Section -> command -> (module and attribute, what it does in one line).
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "demo": ("ann_ckpt.cli.demo:demo", "Save, read and continue a small network; needs no simulator."),
    },
    "Look inside": {
        "info": ("ann_ckpt.cli.info:info", "Say what is inside a checkpoint or an old file, at a glance."),
        "ls": ("ann_ckpt.cli.contents:ls", "List every array with its type, shape and size."),
        "tree": ("ann_ckpt.cli.contents:tree", "Show what ls lists as a tree, single values included."),
        "show": ("ann_ckpt.cli.views:show", "Print values of one array, or the dendrites of a projection."),
        "plot": (
            "ann_ckpt.cli.plot:plot",
            "Draw what is at a path: a population, a projection or an attribute.",
        ),
        "report": (
            "ann_ckpt.cli.report:report",
            "Write a page about a network or a run: one HTML file that needs nothing else.",
        ),
        "verify": ("ann_ckpt.cli.verify:verify", "Read everything and check it against its digests."),
    },
    "Compare": {
        "diff": ("ann_ckpt.cli.diff:diff", "Say how the network in B differs from the one in A."),
    },
    "Stores": {
        "runs": ("ann_ckpt.cli.runs:runs", "List every store and checkpoint file below a folder."),
        "log": ("ann_ckpt.cli.store:log", "List the checkpoints of a store, oldest first."),
        "watch": (
            "ann_ckpt.cli.watch:watch",
            "Watch a run: its last save, how fast it is, its disk, and some attributes.",
        ),
        "add": ("ann_ckpt.cli.store:add", "Add checkpoint files to a store."),
        "prune": ("ann_ckpt.cli.store:prune", "Remove checkpoints from a store."),
        "gc": ("ann_ckpt.cli.store:gc", "Remove from a store what no checkpoint needs."),
        "push": ("ann_ckpt.cli.mirror:push", "Send what is missing of a store to a bucket."),
        "pull": ("ann_ckpt.cli.mirror:pull", "Fetch what is missing of a store from a bucket."),
        "unlock": ("ann_ckpt.cli.store:unlock", "Say who holds the locks of a store, and remove them."),
    },
    "Batch systems": {
        "batch-script": (
            "ann_ckpt.cli.batch_script:batch_script",
            "Print the script of a job that saves in time and goes on by itself.",
        ),
    },
    "Files of other programs": {
        "convert": (
            "ann_ckpt.cli.convert:convert",
            "Turn files of ANNarchy, Brian2 and SONATA into checkpoints.",
        ),
        "export": ("ann_ckpt.cli.export:export", "Write a checkpoint as one file, or for other programs."),
    },
    "Models": {
        "verify-resume": ("ann_ckpt.cli.verify:verify_resume_command", "Check that a model resumes exactly."),
    },
    "Parameter files": {
        "params": ("ann_ckpt.cli.params.group:params", "Check, compare and apply parameter files."),
    },
    "Shell": {
        "help": ("ann_ckpt.cli.help:help_command", "Explain a topic, or a command."),
        "completion": ("ann_ckpt.cli.main:completion", "Print the script that completes commands."),
    },
}


class _Commands(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in COMMANDS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                command: click.Command = getattr(importlib.import_module(module), attribute)
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in section.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit status, and the errors that have it"):
            formatter.write_dl(_statuses())


def _statuses() -> list[tuple[str, str]]:
    """Return each exit status with its meaning: the codes of errors, from their classes."""
    meanings = {0: ["all went well"], 1: ["something differs or does not fit"]}
    for name in errors.__all__:
        cls = getattr(errors, name)
        if isinstance(cls, type) and issubclass(cls, CheckpointError) and cls is not CheckpointError:
            meanings.setdefault(cls.exit_status, []).append(cls.code)
    meanings[2].insert(0, "wrong usage")
    meanings[INTERNAL] = ["a fault in ann-ckpt itself"]
    meanings[INTERRUPTED] = ["interrupted"]
    meanings[BROKEN_PIPE] = ["the output was closed by its reader"]
    return [(str(status), ", ".join(meanings[status])) for status in sorted(meanings)]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Checkpoints of neural network simulations: look inside, check, convert.

    `ann-ckpt COMMAND --help` explains a command and shows examples.
    """


def main(args: list[str] | None = None) -> None:
    """Run ``ann-ckpt`` and leave the process with its exit status."""
    output = standard_output()
    status = _run(args)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.exit(status if output is None or output.error is None else _unsaid(output.error, status))


def _run(args: list[str] | None) -> int:
    try:
        status: Any = cli.main(args, prog_name=PROGRAM, standalone_mode=False)
    except CheckpointError as error:
        return report_error(error)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except (SystemExit, BrokenPipeError) as left:  # click's own way to end, and what it makes of a pipe
        status = getattr(left, "code", BROKEN_PIPE)
    except Exception:  # noqa: BLE001 - a fault of this program must not look like a difference
        click.echo(f"{traceback.format_exc()}error[internal]: this is a fault in {PROGRAM}", err=True)
        return INTERNAL
    return status if isinstance(status, int) else 0


def _unsaid(error: OSError, status: int) -> int:
    """Return the exit status of a command whose output could not be written completely."""
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    unsaid = NotWritableError(f"cannot write to standard output: {error.strerror}")
    # That something differs, or that all is well, does not count where nobody can read it.
    return report_error(unsaid) if status in (0, 1) else status
