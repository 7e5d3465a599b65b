"""``ann-ckpt batch-script``: prints a job script that saves, requeues and goes on by itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import click

from ann_ckpt.cli.command import Command
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.store.owners.job import END, LEAD, duration

__all__ = ["batch_script"]

_TASK = "{task}"
_EARLY = 60
"""Seconds by which Slurm may send its signal too early."""
_STORE, _BUILD = "ANN_CKPT_STORE", "ANN_CKPT_BUILD"
_UNTRIED = "# Written after the manual of {system}; not tried on a real one. Try it with a short run first."

_HEADERS = {
    "slurm": """\
#SBATCH --job-name={name}
#SBATCH --time={days}
#SBATCH --signal=B:USR1@{lead}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={name}-{log}.out
""",
    "pbs": """\
#PBS -N {name}
#PBS -l walltime={hours}
#PBS -j oe
#PBS -r y
""",
    "sge": """\
#$ -N {name}
#$ -S /bin/bash
#$ -cwd
#$ -j y
#$ -r y
#$ -l h_rt={hours}
#$ -l s_rt={soft}
""",
    "lsf": """\
#BSUB -J {label}
#BSUB -W {minutes}
#BSUB -wa USR1 -wt {lead_minutes}
#BSUB -r
#BSUB -Q "75"
#BSUB -o {name}-{log}.out
""",
}
_ARRAYS = {
    "slurm": "#SBATCH --array={array}\n",
    "pbs": "#PBS -J {array}\n",
    "sge": "#$ -t {array}\n",
    "lsf": "",
}
_PREFIX = {"slurm": "#SBATCH", "pbs": "#PBS", "sge": "#$", "lsf": "#BSUB"}
_TASKS = {
    "slurm": "${SLURM_ARRAY_TASK_ID:-0}",
    "pbs": "${ANN_CKPT_TASK:-${PBS_ARRAY_INDEX:-0}}",
    "sge": "${SGE_TASK_ID:-0}",
    "lsf": "${LSB_JOBINDEX:-0}",
}
_LOGS = {"slurm": ("%j", "%A_%a"), "lsf": ("%J", "%J_%I"), "pbs": ("", ""), "sge": ("", "")}

_BODY = """\
{begin}task="{task}"
export {STORE}={store}
export {BUILD}={build}
export {LEAD}={lead}
export {END}=$(($(date +%s) + {seconds}))

asked= run=
trap 'asked=1 again=1; [ -z "$run" ] || kill -USR1 "$run"' USR1
trap 'asked= again=1; [ -z "$run" ] || kill -TERM "$run"' TERM
{setup}status=75
if [ -z "$asked" ]; then
    {command} & run=$!
    [ -z "$asked" ] || kill -USR1 "$run"
{timer}    while again=; wait "$run"; status=$?; [ -n "$again" ]; do :; done
    [ "$status" -ge 0 ] || status=75
{after}fi
{preempted}if [[ -n "$asked" && "$status" =~ ^(75|138|143)$ ]]; then
    {requeue}
fi
exit "$status"
"""
_JOB = 'job="${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"\n'
# Slurm does not requeue a job that ends before its time of grace does.
_PREEMPTED = 'scontrol show job "$job" | grep -q "PreemptTime=[0-9]" && asked=1\n'
_REQUEUE = {
    "slurm": 'scontrol requeue "$job"',
    # The task alone is submitted again, not the array.
    "pbs": "sed '/^#PBS -J/d' {script} | "
    'qsub -N {name} -W depend=afterany:"$PBS_JOBID" -v ANN_CKPT_TASK="$task"',
    "sge": "status=99",
    "lsf": "status=75",
}


def _one_line(_: click.Context, param: click.Parameter, value: object) -> object:
    """Refuse what would end a line of the script."""
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not text.isprintable():
            raise OptionError(f"{param.opts[0]} takes one line of text", details={"found": printable(text)})
    return value


def _text(*names: str, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(*names, callback=_one_line, **options)


@click.command(
    name="batch-script",
    cls=Command,
    examples=[
        ("ann-ckpt batch-script slurm --time 24:00:00 -- python run.py > run.sh", "one job"),
        (
            "ann-ckpt batch-script slurm --time 8h --array 1-100 -- python run.py --seed {task} > run.sh",
            "a hundred, each with a store and a build directory of its own",
        ),
    ],
)
@click.argument("system", type=click.Choice(sorted(_HEADERS)))
@click.argument("command", nargs=-1, required=True, callback=_one_line)
@_text(
    "--time",
    "limit",
    required=True,
    metavar="TIME",
    help="Limit of one job: 24:00:00, 1-12:00:00, 90min, 8h.",
)
@_text(
    "--lead",
    default="5min",
    metavar="TIME",
    show_default=True,
    help="From the signal to the limit, at least.",
)
@_text("--name", default="run", show_default=True, help="Of the job; its output is called so, too.")
@_text(
    "--store", metavar="PATH", help="Of the checkpoints.  [default: NAME.ckpt, NAME-{task}.ckpt in an array]"
)
@_text("--build", metavar="DIR", help="Where the network is compiled.  [default: annarchy, annarchy-{task}]")
@_text("--array", metavar="RANGE", help="Tasks, such as 1-100.")
@_text("--module", "modules", multiple=True, help="An environment module to load; may be repeated.")
@_text("--setup", multiple=True, metavar="LINE", help="A line of shell to run before; may be repeated.")
@_text(
    "--option", "options", multiple=True, help="A directive of the system, such as --mem=4G; may be repeated."
)
@_text("--script", default="run.sh", show_default=True, help="Where you keep it: PBS has to submit it again.")
@click.option(
    "--srun/--no-srun", default=True, show_default=True, help="Start the command with srun (Slurm)."
)
def batch_script(
    system: str,
    command: tuple[str, ...],
    *,
    limit: str,
    lead: str,
    name: str,
    store: str | None,
    build: str | None,
    array: str | None,
    modules: tuple[str, ...],
    setup: tuple[str, ...],
    options: tuple[str, ...],
    script: str,
    srun: bool,
) -> None:
    """Print the script of a job that saves in time and goes on by itself.

    COMMAND follows after `--`. In it, in --store and in --build, {task} stands for the index
    within an array, and in COMMAND {store} and {build} for these two. The command finds
    them in its environment as ANN_CKPT_STORE and ANN_CKPT_BUILD as well.
    docs/store.md explains each line of the script.
    """
    seconds, early = _times(system, limit, lead)
    if not re.fullmatch(r"[\w.+-]+", name):
        raise OptionError("--name takes letters, digits and ._+-", details={"found": printable(name)})
    if array is not None and not re.fullmatch(r"[\d,:%-]+", array):
        raise OptionError("--array takes a range such as 1-100", details={"found": printable(array)})
    store = store if store is not None else f"{name}-{_TASK}.ckpt" if array else f"{name}.ckpt"
    build = build if build is not None else f"annarchy-{_TASK}" if array else "annarchy"
    for option, path in (("--store", store), ("--build", build)):
        if array and _TASK not in path:
            raise OptionError(
                f"all tasks would have the same {option}",
                details={"found": printable(path, 400), "expected": f"{_TASK} in it"},
            )
    header = _HEADERS[system].format(
        name=name,
        label=f'"{name}[{array}]"' if array else name,
        log=_LOGS[system][array is not None],
        days=_clock(seconds, days=True),
        hours=_clock(seconds),
        soft=_clock(seconds - early),
        minutes=-(-seconds // 60),
        lead=early,
        lead_minutes=-(-early // 60),
    )
    if array:
        header += _ARRAYS[system].format(array=array)
    header += "".join(f"{_PREFIX[system]} {option}\n" for option in options)
    if system != "slurm":
        header += _UNTRIED.format(system=system.upper()) + "\n"
    words = [_word(word, store=f"${{{_STORE}}}", build=f"${{{_BUILD}}}") for word in command]
    lines = [*(f"module load {shlex.quote(module)}" for module in modules), *setup]
    body = _BODY.format(
        STORE=_STORE,
        BUILD=_BUILD,
        LEAD=LEAD,
        END=END,
        begin={"slurm": _JOB, "pbs": 'cd "$PBS_O_WORKDIR" || exit\n'}.get(system, ""),
        preempted=_PREEMPTED if system == "slurm" else "",
        task=_TASKS[system],
        store=_word(store),
        build=_word(build),
        lead=early,
        seconds=seconds,
        setup="".join(f"{line}\n" for line in lines),
        command=" ".join((["srun"] if system == "slurm" and srun else []) + words),
        timer=f'    (sleep {seconds - early}; kill -USR1 "$$") & timer=$!\n' if system == "pbs" else "",
        after='    kill "$timer" 2>/dev/null\n' if system == "pbs" else "",
        requeue=_REQUEUE[system].replace("{script}", shlex.quote(script)).replace("{name}", name),
    )
    text = f"#!/bin/bash\n{header}\n{body}"
    click.echo(re.sub(r"\n{3,}", "\n\n", text), nl=False)


def _times(system: str, limit: str, lead: str) -> tuple[int, int]:
    """Return the time limit and the lead in whole seconds; Slurm keeps the former in minutes."""
    seconds, early = round(duration(limit)), round(duration(lead))
    if system in ("slurm", "lsf"):
        seconds = -(-seconds // 60) * 60
    if seconds <= early + _EARLY:
        raise OptionError(
            f"with a limit of {seconds} s and a lead of {early} s the signal may come when the job starts",
            details={"expected": f"more than {early + _EARLY} s; Slurm signals up to {_EARLY} s too early"},
        )
    return seconds, early


def _clock(seconds: int, *, days: bool = False) -> str:
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24) if days else (0, hours)
    return f"{f'{day}-' if day else ''}{hour:02}:{minute:02}:{second:02}"


def _word(word: str, **more: str) -> str:
    """Quote one word for the shell, but for what stands for a variable."""
    variables = {_TASK: "${task}"} | {f"{{{name}}}": variable for name, variable in more.items()}
    parts = re.split("|".join(f"({re.escape(name)})" for name in variables), word)
    parts = [part for part in parts if part]
    if not any(part in variables for part in parts):
        return shlex.quote(word)
    return '"' + "".join(variables.get(p) or re.sub(r'([\\"$`])', r"\\\1", p) for p in parts) + '"'
