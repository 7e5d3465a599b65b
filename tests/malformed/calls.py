"""Every public call and every command that may meet a hostile file or store."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import ann_ckpt
from ann_ckpt import CheckpointStore
from ann_ckpt.cli.main import _run
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.looking.choice import pictures
from tests.malformed.samples import network, state

Call = Callable[[Path], Any]
FILE_CALLS: dict[str, Call] = {}
"""Takes the file; beside it there is ``good.h5``."""
STORE_CALLS: dict[str, Call] = {}
"""Takes the store; beside it there are ``good.h5`` and ``good.ckpt``."""
CHANGING: set[str] = set()
"""Names of calls after which the file or store is another one."""
_FEW = 12
"""Parts of each kind that are looked at."""


def _register(table: dict[str, Call]) -> Callable[[Call], Call]:
    def register(call: Call) -> Call:
        table[call.__name__.strip("_")] = call
        return call

    return register


on_file, on_store = _register(FILE_CALLS), _register(STORE_CALLS)


def command(*words: str) -> Call:
    """A command line; ``{}`` stands for the file or store, ``{here}`` for its folder."""

    def call(path: Path) -> Any:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = _run([w.format(path, here=path.parent) for w in words])
        if "Traceback" in output.getvalue() or "error[internal]" in output.getvalue():
            raise AssertionError(output.getvalue()[-2000:])
        return f"status {status}\n{output.getvalue()}"

    return call


def commands(table: dict[str, Call], lines: str) -> None:
    for line in lines.strip().splitlines():
        table[f"ann-ckpt {line.strip()}"] = command(*line.split())


# --- Files ----------------------------------------------------------------------------


def _parts(checkpoint: Checkpoint) -> Iterator[Callable[[], Any]]:
    """Everything that can be asked of an open checkpoint, one by one."""
    for name in (
        "time_ms",
        "metadata",
        "provenance",
        "resume",
        "constants",
        "dynamics",
        "objects",
        "arrays",
        "created",
        "tag",
        "file_bytes",
    ):
        yield lambda n=name: getattr(checkpoint, n)  # type: ignore[misc]
    yield lambda: repr(checkpoint)
    yield checkpoint._repr_html_
    for members in ("populations", "projections"):
        yield lambda m=members: repr(getattr(checkpoint, m)) + getattr(checkpoint, m)._repr_html_()  # type: ignore[misc]
        names: list[str] = []
        with contextlib.suppress(ann_ckpt.errors.CheckpointError):
            names = list(getattr(checkpoint, members))[:_FEW]
        for name in names:
            yield lambda m=members, n=name: repr(getattr(checkpoint, m)[n])  # type: ignore[misc]
            yield lambda m=members, n=name: getattr(checkpoint, m)[n]._repr_html_()  # type: ignore[misc]
            for path in (name, f"{name}/w", f"{name}/delays"):
                yield lambda p=f"{members}/{path}": pictures(checkpoint, p, 1 << 18)  # type: ignore[misc]
            if members == "projections":
                yield from _rows(checkpoint, name)
    arrays: dict[str, Any] = {}
    with contextlib.suppress(ann_ckpt.errors.CheckpointError):
        arrays = checkpoint.arrays
    for array in itertools.islice(arrays.values(), 40):
        yield lambda a=array: (repr(a), a.shape, a.dtype, a.nbytes, a.size, a.ndim, a.digest)  # type: ignore[misc]
        yield lambda a=array: a.storage  # type: ignore[misc]
        yield lambda a=array: a._repr_html_()  # type: ignore[misc]
        yield lambda a=array: a._blocks()  # type: ignore[misc]
        yield lambda a=array: a[:3] if a.shape else a[()]  # type: ignore[misc]
        yield lambda a=array: a[-1] if a.shape and a.shape[0] else None  # type: ignore[misc]
        yield lambda a=array: a[..., :1] if a.shape else None  # type: ignore[misc]
        yield lambda a=array: np.asarray(a).size  # type: ignore[misc]
        yield lambda a=array: list(a.verify())  # type: ignore[misc]


def _rows(checkpoint: Checkpoint, name: str) -> Iterator[Callable[[], Any]]:
    def projection() -> Any:
        return checkpoint.projections[name]

    yield lambda: (projection().n_rows, projection().n_synapses, projection().nbytes)
    yield lambda: projection().connectivity
    yield lambda: projection().dendrite(5)
    yield lambda: projection().dendrite(2**40)
    yield lambda: projection().find_row(-1)
    yield lambda: projection().rows(0, 2)
    yield lambda: projection().incoming(3)
    yield lambda: projection().outgoing(1)
    yield lambda: projection().tocsr("w")
    yield lambda: projection().state(lazy=True)
    yield lambda: projection().state()
    yield lambda: {k: np.asarray(projection()[k]) for k in projection()}


class ForeignError(Exception):
    """Something escaped from one of many looks at an open checkpoint."""


def _look(checkpoint: Checkpoint) -> str:
    """Look at every part; an error of ours in one is no reason to stop."""
    seen: list[str] = []
    for number, part in enumerate(_parts(checkpoint)):
        try:
            seen.append(str(part())[:200])
        except ann_ckpt.errors.CheckpointError as error:
            seen.append(str(error))
        except IndexError as error:
            if not str(error).startswith("index "):
                raise ForeignError(f"part {number}: {error!r}") from error
    return "\n".join(seen)


@on_file
def _look_at_parts(path: Path) -> str:
    with ann_ckpt.open(path) as checkpoint:
        return _look(checkpoint)


@on_file
def _read(path: Path) -> Any:
    return ann_ckpt.read(path)


@on_file
def _verify(path: Path) -> str:
    return str(ann_ckpt.verify(path, progress=lambda *_: None))


@on_file
def _load(path: Path) -> str:
    return str(ann_ckpt.load(path, network=network(), strict=False))


@on_file
def _load_strictly(path: Path) -> str:
    return str(ann_ckpt.load(path, network=network()))


@on_file
def _diff(path: Path) -> str:
    return str(ann_ckpt.diff(path.with_name("good.h5"), path)) + str(
        ann_ckpt.diff(path, path.with_name("good.h5"))
    )


@on_file
def _write_again(path: Path) -> None:
    with ann_ckpt.open(path) as checkpoint:
        ann_ckpt.save(path.with_name("again.h5"), network=checkpoint)


@on_file
def _write_old(path: Path) -> None:
    with ann_ckpt.open(path) as checkpoint:
        ann_ckpt.save(path.with_name("again.npz"), network=checkpoint)


@on_file
def _add_to_store(path: Path) -> None:
    with CheckpointStore(path.with_name("good.ckpt"), "a") as store:
        store.add(path)


@on_file
def _convert(path: Path) -> None:
    ann_ckpt.convert(path, path.with_name("converted.h5"), isolate=False)


@on_file
def _save_over(path: Path) -> None:
    ann_ckpt.save(path, network=state())


@on_file
def _params(path: Path) -> str:
    with ann_ckpt.open(path) as checkpoint:
        schema = ann_ckpt.params.schema_for(checkpoint)
        ann_ckpt.save_parameters(path.with_name("p.json"), network=checkpoint)
        return str(schema)[:2000]


commands(
    FILE_CALLS,
    """
    info {}
    info --json {}
    ls {}
    ls --json {}
    tree {}
    tree --json {}
    show {} projections/forward
    show {} projections/ragged --rows 0:2
    show {} projections/forward/w --json --rows 0:2
    show {} populations/layer
    show {} populations/layer/r
    show {} metadata
    show {} provenance --json
    show {} constants/period
    verify {}
    verify --json {}
    diff {} {here}/good.h5
    diff --json {here}/good.h5 {}
    log {}
    export {} {here}/exported.h5
    add {here}/good.ckpt {}
    convert {} {here}/converted.h5 --no-isolate
    params extract {}
    params schema --checkpoint {}
    params validate {here}/params.json --checkpoint {}
    params apply {here}/params.json --checkpoint {} -o {here}/applied.h5
    params diff {} {here}/good.h5
    params init {} --folder {here}/init
    """,
)


# --- Stores ---------------------------------------------------------------------------


@on_store
def _list(path: Path) -> str:
    store = CheckpointStore(path)
    return (
        f"{store!r} {len(store)} {bool(store)} {[i.to_dict() for i in store.checkpoints]} {'tag3' in store}"
    )


@on_store
def _every_checkpoint(path: Path) -> str:
    store = CheckpointStore(path)
    seen = []
    for which in (-1, 0, "tag4", "3", "000000000002", "99", "tag9"):
        try:
            with store[which] as checkpoint:
                seen.append(_look(checkpoint) if which == -1 else repr(checkpoint))
        except IndexError as error:
            seen.append(repr(error))
        except ann_ckpt.errors.CheckpointError as error:
            seen.append(str(error))
    return "\n".join(seen)


@on_store
def _go_through(path: Path) -> str:
    return str([c.time_step for c in CheckpointStore(path)])


@on_store
def _at(path: Path) -> str:
    store = CheckpointStore(path)
    with store.at(step=3) as one, store.at(time_ms=4.0) as other:
        return f"{one} {other}"


@on_store
def _newest_whole(path: Path) -> Any:
    return ann_ckpt.read(path)


@on_store
def _one_whole(path: Path) -> Any:
    return ann_ckpt.read(f"{path}@tag3")


@on_store
def _verify_store(path: Path) -> str:
    return str(CheckpointStore(path).verify(progress=lambda *_: None)) + str(ann_ckpt.verify(path))


@on_store
def _load_from_store(path: Path) -> str:
    return str(ann_ckpt.load(path, network=network(), strict=False))


@on_store
def _resume(path: Path) -> str:
    with CheckpointStore(path, "a") as store:
        return str(store.resume(network()))


@on_store
def _save(path: Path) -> str:
    with CheckpointStore(path, "a") as store:
        return str(store.save(state(7), tag="more")) + str(store.save(state(8)))


@on_store
def _save_in_background(path: Path) -> str:
    with CheckpointStore(path, "a", retention=ann_ckpt.Retention(keep_last=2)) as store:
        pending: Any = store.save(state(7), background=True)
        return str(pending.wait())


@on_store
def _save_by_path(path: Path) -> str:
    return str(ann_ckpt.save(f"{path}@again", network=state(9)))


@on_store
def _plan(path: Path) -> str:
    with CheckpointStore(path, "a") as store:
        return str(store.plan(state(7)))


@on_store
def _start_anew(path: Path) -> str:
    with CheckpointStore(path, "w") as store:
        return str(store.save(state(1)))


@on_store
def _prune(path: Path) -> str:
    with CheckpointStore(path, "prune") as store:
        return str(store.prune(keep_last=1, keep_tags=False))


@on_store
def _gc(path: Path) -> str:
    with CheckpointStore(path, "prune") as store:
        return str(store.gc(dry_run=True)) + str(store.gc())


@on_store
def _export(path: Path) -> None:
    CheckpointStore(path).export(-1, path.with_name("exported.h5"))


@on_store
def _latest(path: Path) -> str:
    with CheckpointStore(path).latest as checkpoint:
        return str(checkpoint)


@on_store
def _add(path: Path) -> str:
    with CheckpointStore(path, "a") as store:
        return str(store.add(path.with_name("good.h5")))


@on_store
def _add_from(path: Path) -> str:
    with CheckpointStore(path.with_name("good.ckpt"), "a") as store:
        return str(store.add(path))


@on_store
def _diff_stores(path: Path) -> str:
    return str(ann_ckpt.diff(path, path.with_name("good.h5")))


commands(
    STORE_CALLS,
    """
    log {}
    log --json {}
    info {}
    info --json {}@tag3
    ls {}
    tree {}@4
    show {} projections/forward/w
    show {}@tag2 populations/layer
    verify {}
    verify --json {}@tag4
    diff {}@tag3 {}
    export {}@tag4 {here}/exported.h5
    export {} {here}/exported.h5
    prune {} --keep-last 1 --no-keep-tags --dry-run
    prune {} --keep-last 1 --no-keep-tags
    gc {} --dry-run
    gc {} --json
    add {} {here}/good.h5
    convert {} {here}/converted --no-isolate
    params extract {}
    params diff {}@tag3 {here}/good.h5
    """,
)

CHANGING.update(
    {"save_over", "resume", "save", "save_in_background", "save_by_path", "plan", "start_anew"},
    {"prune", "gc", "add"},
    {name for name in STORE_CALLS if name.startswith(("ann-ckpt prune", "ann-ckpt gc", "ann-ckpt add"))},
)

PATH_CALLS: dict[str, Call] = {**FILE_CALLS, **STORE_CALLS}
"""Whatever a path may be handed to."""
