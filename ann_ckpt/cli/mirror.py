"""``ann-ckpt push`` and ``pull``: a store in a folder and one in a bucket, made alike."""

from __future__ import annotations

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import emit, print_json, progress_bar, safe
from ann_ckpt.store import mirror

__all__ = ["pull", "push"]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt push run.ckpt s3://bucket/run.ckpt", "all checkpoints that the bucket lacks"),
        ("ann-ckpt push run.ckpt@trained s3://bucket/run.ckpt", "one of them"),
    ],
)
@click.argument("store", metavar="STORE")
@click.argument("address", metavar="ADDRESS")
@json_option
def push(store: str, address: str, *, as_json: bool) -> None:
    """Send what is missing of a store to a bucket.

    Objects go first, then checkpoints; what is interrupted leaves nothing that readers see, and goes
    on with the next call. Credentials come from the environment.
    """
    with progress_bar("sending") as progress:
        _say(mirror.push(store, address, progress=progress), as_json=as_json)


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt pull s3://bucket/run.ckpt run.ckpt", "all checkpoints that the folder lacks"),
        ("ann-ckpt pull s3://bucket/run.ckpt@trained run.ckpt", "one of them"),
    ],
)
@click.argument("address", metavar="ADDRESS")
@click.argument("store", metavar="STORE")
@json_option
def pull(address: str, store: str, *, as_json: bool) -> None:
    """Fetch what is missing of a store from a bucket.

    The folder is made if there is none. Nobody else may save to it meanwhile.
    """
    with progress_bar("fetching") as progress:
        _say(mirror.pull(address, store, progress=progress), as_json=as_json)


def _say(report: mirror.TransferReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
    else:
        emit(*(f"[green]{safe(name)}[/]" for name in report.checkpoints), safe(report.headline(), 800))
