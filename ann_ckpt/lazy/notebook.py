"""What a notebook shows of an open checkpoint and of its parts: tables, and small pictures of a bounded part.

A cell that ends in a large projection must not read it: pictures are made while what they would read
fits into a budget, of all that one cell shows together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ann_ckpt.errors import CheckpointError
from ann_ckpt.looking import values, wiring
from ann_ckpt.looking.pictures import Picture, labelled
from ann_ckpt.looking.sampling import reading_cost
from ann_ckpt.looking.svg import figure
from ann_ckpt.markup import card, details, facts, preformatted, table
from ann_ckpt.model import Array, PopulationState, TypeInfo, nbytes
from ann_ckpt.model.arrays import is_lazy
from ann_ckpt.model.units import one_line, reworded, scaled
from ann_ckpt.report import count, human_bytes

__all__ = ["BUDGET", "of_array", "of_checkpoint", "of_objects", "of_population", "of_projection"]

BUDGET = 900_000
"""Bytes that one cell reads at most; what finds and checks them is estimated, and some is left for that."""
_SAMPLE = 256 << 10
_ROWS = 24
"""Lines of a table before the rest is only counted."""


class _Purse:
    """What may still be read."""

    def __init__(self) -> None:
        self.left = BUDGET

    def draw(self, arrays: list[Array], make: Callable[[int], Picture]) -> str:
        """Return a picture if reading a part of these arrays can be afforded; else nothing."""
        lazy = [array for array in arrays if is_lazy(array)]
        cost = sum(reading_cost(array, _SAMPLE) for array in lazy)
        if cost > self.left:
            return ""
        self.left -= cost
        return figure(make(_SAMPLE))


def _guarded(show: Callable[[], str], instead: object) -> str:
    """Show an error of ours as text: a notebook would print a traceback and show nothing."""
    try:
        return show()
    except CheckpointError as error:
        return card(type(instead).__name__, preformatted(f"{error}"))


def of_checkpoint(checkpoint: Any) -> str:
    """Return a checkpoint as HTML: facts, tables of what it holds, some pictures."""
    if checkpoint.closed:
        return card(repr(checkpoint))
    return _guarded(lambda: _checkpoint(checkpoint), checkpoint)


def _checkpoint(checkpoint: Any) -> str:
    purse = _Purse()
    lines: dict[str, object] = {}
    if checkpoint.time_step is not None:
        ms = checkpoint.time_ms
        lines["time"] = f"step {checkpoint.time_step:,}" + ("" if ms is None else f" = {ms:.10g} ms")
    objects = sum(checkpoint.objects.values())
    lines["size"] = human_bytes(checkpoint.file_bytes + objects) + (
        f", of which {human_bytes(objects)} are shared in the store" if objects else ""
    )
    if checkpoint.tag:
        lines["tag"] = checkpoint.tag
    if checkpoint.created:
        lines["written"] = checkpoint.created.replace("T", " ").replace("+00:00", " UTC")
    if checkpoint.resume is not None:
        lines["resuming"] = checkpoint.resume
    if checkpoint.constants:
        lines["constants"] = ", ".join(
            f"{n} = {one_line(v)}" for n, v in [*checkpoint.constants.items()][:12]
        )
    pictures = [_map(p, purse) for p in _first(checkpoint.populations, 3)]
    pictures += [_weights(p, purse) for p in _first(checkpoint.projections, 3)]
    return card(
        f"checkpoint {checkpoint.path}",
        facts(lines),
        _populations(checkpoint.populations),
        _projections(checkpoint.projections),
        _figures(pictures),
    )


def of_objects(noun: str, objects: Mapping[str, Any]) -> str:
    """Return the populations, the projections or the recordings of a checkpoint as HTML."""

    def show() -> str:
        title = count(len(objects), noun)
        if noun == "population":
            return card(title, _populations(objects))
        if noun == "projection":
            return card(title, _projections(objects))
        rows = [[name, objects[name].of, _names(objects[name])] for name in [*objects][:_ROWS]]
        return card(title, table([noun, "of", "holds"], rows), _rest(objects))

    return _guarded(show, objects)


def of_population(population: PopulationState) -> str:
    """Return a population as HTML: its attributes, its type, a map of its first variable."""

    def show() -> str:
        purse = _Purse()
        lines = {"geometry": _times(population.geometry), "neurons": f"{population.size:,}"}
        if population.resume is not None:
            lines["resuming"] = str(population.resume)
        return card(
            f"population {population.name}",
            facts(lines),
            _attributes(population, population.neuron_type),
            _type(population.neuron_type),
            _figures([_map(population, purse)]),
        )

    return _guarded(show, population)


def of_projection(projection: Any) -> str:
    """Return a projection as HTML: its attributes, its type, its weights, which neurons it connects."""

    def show() -> str:
        purse = _Purse()
        delays = projection.delays
        lines = {
            "from": projection.pre,
            "to": f"{projection.post} ({projection.target})",
            "synapses": f"{projection.n_synapses:,} in {projection.n_rows:,} dendrites",
            "delays": "not known"
            if delays is None
            else count(delays, "step")
            if isinstance(delays, int)
            else "one per synapse",
        }
        if projection.resume is not None:
            lines["resuming"] = str(projection.resume)
        sizes = (projection.post_size, projection.pre_size)
        pictures = [_weights(projection, purse)]
        # Of a large projection so few synapses would be seen that their picture would say nothing.
        if nbytes(projection.pre_ranks) <= _SAMPLE:
            arrays: list[Array] = [projection.pre_ranks, projection.row_ptr, projection.post_ranks]
            pictures.append(
                purse.draw(arrays, lambda budget: wiring.connectivity(projection, sizes, budget=4 * budget))
            )
        return card(
            f"projection {projection.name}",
            facts(lines),
            _attributes(projection, projection.synapse_type),
            _type(projection.synapse_type),
            _figures(pictures),
        )

    return _guarded(show, projection)


def of_array(array: Any) -> str:
    """Return an array as HTML: type, shape, and how its values, or a sample of them, are distributed."""

    def show() -> str:
        purse = _Purse()
        lines = {
            "type": array.dtype.name if array.dtype.names is None else "record",
            "shape": _times(array.shape) or "one value",
            "size": human_bytes(array.nbytes),
        }
        picture = ""
        if array.size > 1 and array.dtype.kind in "fiub":
            label = array.path.rpartition("/")[2]
            picture = purse.draw([array], lambda budget: values.histogram(array, label, label, budget=budget))
        return card(f"lazy array {array.path}", facts(lines), _figures([picture]))

    return _guarded(show, array)


def _populations(populations: Mapping[str, PopulationState]) -> str:
    if not populations:
        return ""
    rows = []
    for name in [*populations][:_ROWS]:
        found = populations[name]
        kind = found.neuron_type.name if found.neuron_type else ""
        rows.append([name, _times(found.geometry), f"{found.size:,}", kind, _names(found)])
    columns = [
        count(len(populations), "population"),
        "geometry",
        "neurons",
        "type",
    ]
    return table([*columns, "holds"], rows, right=["neurons"]) + _rest(populations)


def _projections(projections: Mapping[str, Any]) -> str:
    if not projections:
        return ""
    rows = []
    for name in [*projections][:_ROWS]:
        found = projections[name]
        ends = f"{found.pre} \N{RIGHTWARDS ARROW} {found.post}"
        size = human_bytes(found.nbytes)
        rows.append([name, ends, found.target, f"{found.n_synapses:,}", size, _names(found)])
    columns = [count(len(projections), "projection"), "from, to", "target"]
    numbers = ["synapses", "size"]
    return table([*columns, *numbers, "holds"], rows, right=numbers) + _rest(projections)


def _rest(objects: Mapping[str, Any]) -> str:
    left = len(objects) - _ROWS
    return f'<div class="ac-note">and {left:,} more</div>' if left > 0 else ""


def _names(owner: Any) -> str:
    names = [*owner]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _attributes(owner: Any, kind: TypeInfo | None) -> str:
    declared = {} if kind is None else kind.attributes
    rows = []
    for noun, group in (("parameter", owner.parameters), ("variable", owner.variables)):
        for name in [*group][:_ROWS]:
            found = group[name]
            info = declared.get(name)
            unit, said = ("", "") if info is None else (info.unit, info.description)
            if found.values.shape:
                what = _times(found.values.shape)
            else:
                shown, unit = scaled(found.values, unit)
                what = one_line(shown)
            rows.append([name, noun, str(found.locality), str(found.values.dtype), what, unit, said])
    columns = ["attribute", "kind", "locality", "type", "value or shape", "unit", "description"]
    # A column in which nothing stands only takes room.
    kept = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    return table([columns[i] for i in kept], [[row[i] for i in kept] for row in rows]) if rows else ""


def _type(kind: TypeInfo | None) -> str:
    if kind is None:
        return ""
    text = "\n".join(f"{name}:\n{reworded(text.strip())}" for name, text in kind.texts.items())
    return details(f"type {kind.name}", preformatted(f"{kind.description}\n{text}".strip()))


def _map(population: PopulationState, purse: _Purse) -> str:
    for name, attribute in [*population.variables.items(), *population.parameters.items()]:
        array = attribute.values
        if array.shape == population.geometry and population.size > 1:
            label = _label(name, population.neuron_type)
            title = f"{population.name}/{name}"
            return purse.draw([array], lambda b: values.rate_map(array, label, title, budget=b))  # noqa: B023
    return ""


def _weights(projection: Any, purse: _Purse) -> str:
    n = (projection.n_synapses,)
    for name, attribute in [*projection.variables.items(), *projection.parameters.items()]:
        array = attribute.values
        if array.shape == n and projection.n_synapses > 1:
            label = _label(name, projection.synapse_type)
            title = f"{projection.name}/{name}"
            return purse.draw([array], lambda b: values.histogram(array, label, title, budget=b))  # noqa: B023
    return ""


def _label(name: str, kind: TypeInfo | None) -> str:
    declared = {} if kind is None else kind.attributes
    return labelled(name, declared[name].unit if name in declared else "")


def _figures(pictures: list[str]) -> str:
    drawn = "".join(pictures)
    return f'<div class="ac-figs">{drawn}</div>' if drawn else ""


def _first(objects: Mapping[str, Any], count: int) -> Iterator[Any]:
    return (objects[name] for name in [*objects][:count])


def _times(lengths: tuple[int, ...]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(f"{n:,}" for n in lengths)
