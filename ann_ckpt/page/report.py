"""What a page says of a network and of its run, from a bounded part of the values."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ann_ckpt._version import __version__
from ann_ckpt.diffing import diff
from ann_ckpt.diffing.pictures import Changes, changes
from ann_ckpt.errors import CheckpointError
from ann_ckpt.format.layout import escape
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.looking import choice
from ann_ckpt.looking.pictures import Picture
from ann_ckpt.looking.sampling import sample
from ann_ckpt.looking.svg import figure
from ann_ckpt.markup import escaped, facts, preformatted, table
from ann_ckpt.model import Exactness, PopulationState, TypeInfo, nbytes
from ann_ckpt.model.units import one_line, reworded, scaled
from ann_ckpt.page.frame import document
from ann_ckpt.paths import spoken
from ann_ckpt.report import count, human_bytes
from ann_ckpt.store.history import series, sizes
from ann_ckpt.store.opening import PathLike, open_checkpoint, place_in_store
from ann_ckpt.store.store import CheckpointStore
from ann_ckpt.store.summary import CheckpointInfo

__all__ = ["report_page"]

_READ = 56 << 20
"""Bytes of values that a page reads, about."""
_FULL = 3_500_000
"""Bytes of a page from which on no more pictures are added."""
_OBJECTS = 40
"""Populations or projections that are described; the rest is only counted."""
_FRAMES = 25
"""Checkpoints between which the slider moves."""
_CHANGING = 5
"""Attributes of which the history and the changes are drawn."""
_COMPARED = 128 << 20
"""Bytes of values up to which two networks are compared to the last bit."""


@dataclass
class _Page:
    """What there is to say, and how much room there is left to say it."""

    checkpoint: Checkpoint
    each: int
    """Bytes of values that one picture may read."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Path and what is wrong there."""
    partly: bool = False
    """Whether there is more than was looked at for problems."""
    written: int = 0
    left_out: int = 0

    def draw(self, where: str, make: Callable[[], Picture | Sequence[Picture]]) -> str:
        """Return pictures; what goes wrong is a problem of the file, and the page goes on."""
        if self.written > _FULL:
            self.left_out += 1
            return ""
        try:
            made = make()
        except CheckpointError as error:
            self.problem(where, error.fact)
            return ""
        drawn = "".join(map(figure, [made] if isinstance(made, Picture) else made))
        self.written += len(drawn)
        return drawn

    def pictures(self, path: str, at_most: int | None = None) -> list[Picture]:
        """Return what suits a path; the first few of it."""
        return choice.pictures(self.checkpoint, path, self.each)[:at_most]

    def problem(self, where: str, what: str) -> None:
        """Note what is wrong, once."""
        if (where, what) not in self.problems:
            self.problems.append((where, what))


def report_page(source: PathLike, *, compare: PathLike | None = None) -> str:
    """Return a self-contained HTML page about a checkpoint, or about a store and its newest checkpoint.

    Parameters
    ----------
    source : path-like
        A file, a store, or ``run.ckpt@WHICH``.
    compare : path-like, optional
        A checkpoint that it is compared with; by default, for a store, its first one.

    Raises
    ------
    CheckpointError
        If the source, or what it is compared with, cannot be opened. What is wrong inside stands on the page.
    """
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(source))
        before = None if compare is None else stack.enter_context(open_checkpoint(compare))
        infos = _checkpoints(source)
        told = 3 * _CHANGING if len(infos) > 1 or compare is not None else 0
        pictures = 5 * len(checkpoint.projections) + len(checkpoint.recordings) + told
        pictures += sum(len(_over_geometry(p)) for p in _some(checkpoint.populations))
        page = _Page(checkpoint, min(16 << 20, max(256 << 10, _READ // max(1, pictures))))
        _look_for_problems(page, infos)
        sections = [("network", "Network", _network(page))]
        if len(infos) > 1:
            sections.append(("history", "History", _history(page, infos)))
        old = compare if compare is not None else _first(infos)
        if old is not None:
            sections.append(("changes", "Changes", _changes(page, old, before)))
        sections += [
            ("populations", "Populations", _populations(page)),
            ("projections", "Projections", _projections(page)),
            ("recordings", "Recordings", _recordings(page)),
            ("types", "Types", _types(checkpoint)),
            ("origin", "Origin", _origin(checkpoint)),
        ]
        # What was drawn may have met a problem, so these come last, and stand first.
        sections.insert(1, ("problems", "Problems", _problems(page)))
        title = Path(spoken(source)).name or spoken(source)
        full = f"; {count(page.left_out, 'picture')} left out to keep it small" if page.left_out else ""
        foot = f"<p>Made by ann_ckpt {escaped(__version__)} from {escaped(checkpoint.path, 400)}{full}.</p>"
        return document(title, _badges(page, infos), [s for s in sections if s[2]], foot)


def _checkpoints(source: PathLike) -> list[CheckpointInfo]:
    """All checkpoints of a store that was named as a whole."""
    found = place_in_store(source)
    return CheckpointStore(source).checkpoints if found is not None and found[1] is None else []


def _first(infos: Sequence[CheckpointInfo]) -> str | None:
    readable = [info.path for info in infos if info.problem is None]
    return readable[0] if len(readable) > 1 else None


# --- At the top -----------------------------------------------------------------------


def _badges(page: _Page, infos: Sequence[CheckpointInfo]) -> str:
    checkpoint = page.checkpoint
    badges = []
    if checkpoint.time_step is not None:
        ms = checkpoint.time_ms
        badges.append(("", f"step {checkpoint.time_step:,}" + ("" if ms is None else f", {ms:,.10g} ms")))
    neurons = sum(p.size for p in _some(checkpoint.populations))
    synapses = sum(p.n_synapses for p in _some(checkpoint.projections))
    more = " and more" if max(len(checkpoint.populations), len(checkpoint.projections)) > _OBJECTS else ""
    badges.append(("", f"{neurons:,} neurons, {synapses:,} synapses{more}"))
    if infos:
        badges.append(("", count(len(infos), "checkpoint")))
    exactness, _ = _exactness(checkpoint)
    badges.append(
        (
            "good" if exactness in (Exactness.EXACT, Exactness.RESEEDED) else "bad" if exactness else "",
            f"resumes: {exactness or 'not recorded'}",
        )
    )
    problems = len(page.problems)
    none = f"no problems found in the first {_OBJECTS}" if page.partly else "no problems found"
    badges.append(("bad", f"problems: {problems}") if problems else ("good", none))
    return (
        '<ul class="badges">'
        + "".join(f'<li class="{kind}">{escaped(text)}</li>' for kind, text in badges)
        + "</ul>"
    )


def _exactness(checkpoint: Checkpoint) -> tuple[Exactness | None, list[str]]:
    """The weakest statement about resuming, and every reason against it."""
    said = {"network": checkpoint.resume}
    said |= {f"populations/{n}": p.resume for n, p in checkpoint.populations.items()}
    said |= {f"projections/{n}": p.resume for n, p in checkpoint.projections.items()}
    known = {path: resume for path, resume in said.items() if resume is not None}
    order = [Exactness.APPROXIMATE, Exactness.RESEEDED, Exactness.EXACT]
    reasons = [f"{path}: {reason}" for path, resume in known.items() for reason in resume.reasons]
    return min((r.exactness for r in known.values()), key=order.index, default=None), reasons


def _network(page: _Page) -> str:
    checkpoint = page.checkpoint
    objects = sum(checkpoint.objects.values())
    lines: dict[str, object] = {"file": checkpoint.path}
    if checkpoint.tag:
        lines["tag"] = checkpoint.tag
    lines["size"] = human_bytes(checkpoint.file_bytes + objects) + (" with shared objects" if objects else "")
    if checkpoint.dt is not None:
        lines["step"] = f"{checkpoint.dt:g} ms"
    if checkpoint.seed is not None:
        lines["seed"] = checkpoint.seed
    exactness, reasons = _exactness(checkpoint)
    lines["resuming"] = str(exactness or "not recorded") + (f": {'; '.join(reasons[:8])}" if reasons else "")
    parts = [facts(lines)]
    if checkpoint.constants:
        rows = [[name, one_line(value)] for name, value in _items(checkpoint.constants)]
        parts.append(_scrolled("Constants", table(["constant", "value"], rows, right=["value"])))
        parts.append(_rest(len(checkpoint.constants)))
    if checkpoint.metadata:
        notes = {k: json.dumps(v, ensure_ascii=False) for k, v in _items(checkpoint.metadata)}
        parts.append("<h3>Metadata</h3>" + facts(notes) + _rest(len(checkpoint.metadata)))
    return "".join(parts)


def _origin(checkpoint: Checkpoint) -> str:
    origin = checkpoint.provenance
    lines: dict[str, object] = {"written": checkpoint.created.replace("T", " ").replace("+00:00", " UTC")}
    for key, value in itertools.islice(origin.items(), _OBJECTS):
        if key == "command" and isinstance(value, list):
            lines[key] = shlex.join(map(str, value))
        else:
            lines[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _scrolled("Origin", facts(lines)) + _rest(len(origin))


# --- Problems ---------------------------------------------------------------------------


def _look_for_problems(page: _Page, infos: Sequence[CheckpointInfo]) -> None:
    for info in infos:
        if info.problem is not None:
            page.problem(info.name, info.problem)
    checkpoint = page.checkpoint
    try:
        checkpoint.check_place()
    except CheckpointError as error:
        page.problem("", error.fact)
    for group in ("populations", "projections"):
        page.partly |= len(getattr(checkpoint, group)) > _OBJECTS
        for name, owner in _items(getattr(checkpoint, group)):
            where = f"{group}/{escape(name)}"
            try:
                owner.state(lazy=True)
                _strange_values(page, where, owner)
            except CheckpointError as error:
                page.problem(where, error.fact)


def _strange_values(page: _Page, where: str, owner: Any) -> None:
    kind: TypeInfo | None = owner.neuron_type if isinstance(owner, PopulationState) else owner.synapse_type
    page.partly |= len(owner.attributes) > _OBJECTS
    for name, attribute in _items(owner.attributes):
        if attribute.values.dtype.kind not in "fiu":
            continue
        path = f"{where}/{escape(name)}"
        found = sample(attribute.values, min(page.each, 1 << 20))
        if found.strange:
            page.problem(
                path,
                f"{found.strange:,} of {found.looked_at:,} values that were looked at are NaN or infinite",
            )
        declared = kind.attributes.get(name) if kind is not None else None
        if declared is None or not found.values.size:
            continue
        low, high = float(found.values.min()), float(found.values.max())
        if declared.minimum is not None and low < declared.minimum:
            page.problem(path, f"values down to {low:g}; its type declares at least {declared.minimum:g}")
        if declared.maximum is not None and high > declared.maximum:
            page.problem(path, f"values up to {high:g}; its type declares at most {declared.maximum:g}")


def _problems(page: _Page) -> str:
    first = f"Of objects, and of attributes of each, the first {_OBJECTS} were looked at. " * page.partly
    said = (
        f"<p>{first}Every value that was read for this page was compared with its checksum. "
        "<code>ann-ckpt verify</code> compares all of them.</p>"
    )
    if not page.problems:
        return f"<p>None were found.</p>{said}"
    rows = [[where or "the whole file", what] for where, what in page.problems[:_OBJECTS]]
    return _scrolled("Problems", table(["where", "what"], rows)) + _rest(len(page.problems)) + said


# --- What there is -----------------------------------------------------------------------


def _populations(page: _Page) -> str:
    parts = []
    for name, population in _items(page.checkpoint.populations):
        path = f"populations/{escape(name)}"
        kind = population.neuron_type
        lines = {
            "geometry": " \N{MULTIPLICATION SIGN} ".join(map(str, population.geometry)),
            "neurons": f"{population.size:,}",
        }
        if kind is not None:
            lines["type"] = f"{kind.name}: {kind.description}" if kind.description else kind.name
        drawn = [
            page.draw(path, partial(page.pictures, f"{path}/{escape(n)}", 1))
            for n in _over_geometry(population)
        ]
        parts.append(_article("populations", name, facts(lines), _attributes(population, kind), drawn))
    return _chosen("populations", page.checkpoint.populations) + "".join(parts)


def _projections(page: _Page) -> str:
    parts = []
    for name, projection in _items(page.checkpoint.projections):
        path = f"projections/{escape(name)}"
        kind = projection.synapse_type
        delays = projection.delays
        lines = {
            "from": projection.pre,
            "to": projection.post,
            "target": projection.target,
            "synapses": f"{projection.n_synapses:,} onto {projection.n_rows:,} neurons",
            "size": human_bytes(projection.nbytes),
            "delays": "not known"
            if delays is None
            else count(delays, "step")
            if isinstance(delays, int)
            else "one per synapse",
        }
        if kind is not None:
            lines["type"] = f"{kind.name}: {kind.description}" if kind.description else kind.name
        drawn = [page.draw(path, partial(page.pictures, path))]
        drawn += [
            page.draw(path, partial(page.pictures, f"{path}/{below}")) for below in _local(projection)[:3]
        ]
        if not isinstance(delays, int) and delays is not None:
            drawn.append(page.draw(path, partial(page.pictures, f"{path}/delays", 1)))
        parts.append(_article("projections", name, facts(lines), _attributes(projection, kind), drawn))
    return _chosen("projections", page.checkpoint.projections) + "".join(parts)


def _recordings(page: _Page) -> str:
    parts = []
    for name, recording in _items(page.checkpoint.recordings):
        path = f"recordings/{escape(name)}"
        lines = {"of": recording.of or "not stored"}
        lines |= {variable: str(series).strip("<>") for variable, series in _items(recording)}
        parts.append(
            _article("recordings", name, facts(lines), "", [page.draw(path, partial(page.pictures, path))])
        )
    return "".join(parts) and _chosen("recordings", page.checkpoint.recordings) + "".join(parts)


def _over_geometry(population: PopulationState) -> list[str]:
    """The first attributes that have a number per neuron."""
    found = (
        name
        for name, a in _items(population.attributes)
        if a.values.shape == population.geometry and population.size > 1
    )
    return [*itertools.islice(found, _CHANGING)]


def _local(projection: Any) -> list[str]:
    """Variables, then parameters, that have a number per synapse."""
    n = (projection.n_synapses,)
    return [
        choice.path_below(level, name)
        for level in ("variables", "parameters")
        for name, a in _items(getattr(projection, level))
        if a.values.shape == n and projection.n_synapses > 1
    ]


def _attributes(owner: Any, kind: TypeInfo | None) -> str:
    declared = {} if kind is None else kind.attributes
    rows = []
    for noun, group in (("parameter", owner.parameters), ("variable", owner.variables)):
        for name, found in _items(group):
            info = declared.get(name)
            shape = " \N{MULTIPLICATION SIGN} ".join(f"{n:,}" for n in found.values.shape)
            unit, said = (info.unit, info.description) if info is not None else ("", "")
            if found.values.shape:
                value = shape + " values"
            else:
                shown, unit = scaled(found.values, unit)
                value = one_line(shown)
            rows.append([name, noun, str(found.locality), value, unit, said])
    columns = ["attribute", "kind", "locality", "value", "unit", "description"]
    kept = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    listing = table([columns[i] for i in kept], [[row[i] for i in kept] for row in rows])
    longest = max(len(owner.parameters), len(owner.variables))
    return _scrolled(f"Attributes of {owner.name}", listing) + _rest(longest) if rows else ""


def _types(checkpoint: Checkpoint) -> str:
    kinds: dict[str, TypeInfo] = {}
    for _, population in _items(checkpoint.populations):
        if population.neuron_type is not None:
            kinds.setdefault(f"neuron type {population.neuron_type.name}", population.neuron_type)
    for _, projection in _items(checkpoint.projections):
        if projection.synapse_type is not None:
            kinds.setdefault(f"synapse type {projection.synapse_type.name}", projection.synapse_type)
    parts = []
    for title, kind in kinds.items():
        texts = "".join(
            f"<p>{escaped(name, 60)}</p>{preformatted(reworded(text.strip()))}"
            for name, text in kind.texts.items()
            if text.strip()
        )
        parts.append(f"<h3>{escaped(title, 120)}</h3><p>{escaped(kind.description, 1000)}</p>{texts}")
    if parts and max(len(checkpoint.populations), len(checkpoint.projections)) > _OBJECTS:
        parts.append(f'<p class="ac-note">Those of the first {_OBJECTS} objects of each kind.</p>')
    return "".join(parts)


# --- What happened ------------------------------------------------------------------------


def _history(page: _Page, infos: Sequence[CheckpointInfo]) -> str:
    parts = [f'<div class="ac-figs">{page.draw("", partial(sizes, infos))}</div>']
    each = max(1 << 20, page.each)
    for path in choice.changing(page.checkpoint, _CHANGING):
        try:
            found = series(infos, path, at_most=_FRAMES, budget=each)
        except CheckpointError as error:
            page.problem(path, error.fact)
            continue
        for info, reason in found.unread:
            page.problem(f"{info.name}: {path}", reason.fact)
        curve = page.draw(path, found.curve)
        frames = found.frames()
        if not curve or len(frames) < 2:
            continue
        moments = []
        for number, (info, values, bars) in enumerate(frames):
            said = f"{bars.title.rpartition(' at ')[2]}: mean {_mean(values.values)}"
            tag = f", {info.tag}" if info.tag else ""
            hidden = "" if number == len(frames) - 1 else " hidden"
            drawn = page.draw(path, partial(_itself, bars))
            moments.append(f'<div data-frame="{escaped(said + tag, 120)}"{hidden}>{drawn}</div>')
        last = len(frames) - 1
        control = (
            '<div class="controls"><label>Checkpoint '
            f'<input type="range" min="0" max="{last}" value="{last}"></label><output></output></div>'
        )
        moving = f'<div class="moving">{curve}{"".join(moments)}</div>'
        parts.append(f"<article><h3>{escaped(path, 120)}</h3>{control}{moving}</article>")
    return "".join(parts)


def _itself(picture: Picture) -> Picture:
    return picture


def _both(change: Changes) -> list[Picture]:
    return [change.scatter(), change.histogram()]


def _mean(values: Any) -> str:
    return f"{float(np.mean(values)):.4g}" if values.size else "not known"


def _changes(page: _Page, old: PathLike, before: Checkpoint | None) -> str:
    named = "the first checkpoint of the store" if before is None else spoken(old)
    parts = [f"<p>Compared with {escaped(named, 400)}.</p>"]
    with ExitStack() as stack:
        try:
            before = before or stack.enter_context(open_checkpoint(old))
            total = sum(nbytes(a) for c in (before, page.checkpoint) for a in c.arrays.values())
            if total <= _COMPARED:
                found = diff(before, page.checkpoint)
                parts.append(preformatted("\n".join(found.lines(24)[1:]) or "Nothing differs."))
            else:
                parts.append(
                    f"<p>The two hold {human_bytes(total)} of values, so only samples of them are compared; "
                    "<code>ann-ckpt diff</code> compares all.</p>"
                )
        except CheckpointError as error:
            page.problem(spoken(old), error.fact)
            return parts[0] + "<p>It could not be compared; see Problems.</p>"
        for path in choice.changing(page.checkpoint, _CHANGING):
            try:
                change = changes(before, page.checkpoint, path, budget=page.each)
            except CheckpointError:
                continue  # the other network has no such attribute, or of another shape: the list says so
            drawn = page.draw(path, partial(_both, change))
            if change.added.size or change.removed.size:
                drawn += page.draw(path, change.turnover)
            head = f"<h3>{escaped(path, 120)}</h3>"
            parts.append(f'<div class="together">{head}<div class="ac-figs">{drawn}</div></div>')
    return "".join(parts)


# --- Pieces -------------------------------------------------------------------------------


def _article(group: str, name: str, head: str, listing: str, drawn: Sequence[str]) -> str:
    return (
        f'<article data-of="{group}"><h3>{escaped(name, 120)}</h3>{head}{listing}'
        f'<div class="ac-figs">{"".join(drawn)}</div></article>'
    )


def _chosen(group: str, objects: Mapping[str, Any]) -> str:
    """Return the control that shows one object alone, for many; it works with scripts only."""
    if not objects:
        return ""
    options = "".join(
        f'<option value="{i}">{escaped(name, 60)}</option>' for i, (name, _) in enumerate(_items(objects))
    )
    return (
        f'<div class="controls"><label>Show <select data-choose="{group}">'
        f'<option value="">all {len(objects):,}</option>'
        f"{options}</select></label></div>{_rest(len(objects))}"
    )


def _scrolled(title: str, listing: str) -> str:
    """Return a table that can be moved sideways where it is wider than the screen, with the keyboard too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(title, 120)}">{listing}</div>'


def _rest(length: int) -> str:
    return f'<p class="ac-note">{_OBJECTS} of {length:,} are shown.</p>' if length > _OBJECTS else ""


def _items(objects: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the first objects of a mapping, with their names."""
    return ((name, objects[name]) for name in itertools.islice(objects, _OBJECTS))


def _some(objects: Mapping[str, Any]) -> Iterator[Any]:
    return (found for _, found in _items(objects))
