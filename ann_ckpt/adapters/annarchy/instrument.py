"""Adding bindings to the Python module that ANNarchy 5.0 generates for a network.

ANNarchy writes the source of that module as text, right before it is compiled. While the
instrumentation stands, the finished text is extended: every structure gets functions that
reach its data members (``members.hpp``). The simulation's own code is not touched.

Nothing is changed unless the text has the form that is expected; a network that is not
extended works as it always did.
"""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from ann_ckpt.adapters.annarchy.cpp_members import CppMember, base_class, data_members, is_unordered
from ann_ckpt.errors import printable

__all__ = [
    "Instrumentation",
    "InstrumentationWarning",
    "UnexpectedCodeError",
    "compile_instrumented",
    "extended",
]

_KNOWN = re.compile(r"5\.0\.\d+(\.\d+)?")
_ROWS = re.compile(r"_last_event|rand_\d+|delay")
"""Members besides attributes that hold one value per synapse."""

_RECORDER_HEAD = re.compile(r"((?:Pop|Proj)Recorder\d+) : public Monitor\b")

Finder = Callable[[str], str]
"""Name of a generated file -> its text."""


class InstrumentationWarning(UserWarning):
    """A network is compiled without the instrumentation; it works as before."""


class UnexpectedCodeError(ValueError):
    """ANNarchy, or the text that it generated, is not what this module knows."""


class Instrumentation:
    """Instruments every network compiled while it stands. Also a context manager.

    It takes effect when it is made and ends with :meth:`remove`, or with the block. Several may
    stand at a time; networks are compiled as usual when the last has gone.
    """

    _standing: ClassVar[int] = 0
    _original: ClassVar[Callable[[Any], str] | None] = None
    _said: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        self._stands = True
        cls = type(self)
        if cls._standing == 0:
            cls._patch()
        cls._standing += 1

    def remove(self) -> None:
        """End it. Networks that were compiled under it stay instrumented."""
        if not self._stands:
            return
        self._stands = False
        cls = type(self)
        cls._standing -= 1
        if cls._standing == 0 and cls._original is not None:
            _generator().generate = cls._original
            cls._original = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @classmethod
    def _patch(cls) -> None:
        try:
            generator = _generator()
        except UnexpectedCodeError as reason:
            cls.refused(str(reason))
            return
        original = cls._original = generator.generate

        def generate(self: Any) -> str:
            text: str = original(self)
            try:
                return _extended_by_network(text, self)
            except UnexpectedCodeError as reason:
                cls.refused(str(reason))
            return text

        generator.generate = generate

    @classmethod
    def refused(cls, reason: str) -> None:
        """Warn that networks are compiled without the instrumentation; once for each reason."""
        if reason not in cls._said:
            cls._said.add(reason)
            warnings.warn(
                f"ANNarchy is not instrumented: {reason}. Networks are compiled as usual: values cross "
                "into Python one by one, and resuming a run may not be exact",
                InstrumentationWarning,
                stacklevel=4,
            )


def compile_instrumented(network: Any, **options: Any) -> None:
    """Compile a network with the instrumentation, or without if its C++ does not build with it.

    Parameters
    ----------
    network : ANNarchy.Network
        Not compiled.
    **options
        What its ``compile()`` takes.
    """
    with Instrumentation():
        try:
            with contextlib.chdir("."):  # ANNarchy leaves the process in its build folder when it fails
                network.compile(**options)
        except Exception as error:  # ANNarchy has one class for everything
            if "Compilation failed" not in str(error):
                raise
        else:
            return
    Instrumentation.refused("the generated C++ does not build with the additional bindings")
    network.compile(**options)


def extended(
    source: str,
    *,
    structs: Iterable[tuple[str, str, Sequence[str]]],
    find: Finder,
    net_id: int,
    threads: int = 1,
    recorders: str = "",
) -> str:
    """Return the source of a module with the additional bindings.

    Parameters
    ----------
    source : str
        The generated source.
    structs : iterable of (str, str, sequence of str)
        Structure and Python class of each population and projection, such as
        ``("ProjStruct0", "proj0_wrapper")``, and its attributes per synapse.
    find : callable
        Returns the text of the header ``pop0.hpp`` or ``proj0.hpp``.
    net_id : int
        Number of the network in the generated names.
    threads : int
        How many the simulation runs in.
    recorders : str
        Text of the header with the classes of monitors. One that is not as it is expected is left as it is.

    Raises
    ------
    UnexpectedCodeError
        If anything else is not where it is expected.
    """
    text, structures = source, ""
    for struct, wrapper, local in structs:
        header = find(wrapper.removesuffix("_wrapper") + ".hpp")
        try:
            members, base = data_members(header, struct), base_class(header, struct)
        except ValueError as error:
            raise UnexpectedCodeError(str(error)) from error
        has_rows = f"&{struct}::get_dendrite_pre_rank" in source
        structures += _structure(
            struct,
            members,
            local if has_rows else None,
            base=base,
            name=wrapper.removesuffix("_wrapper"),
            unordered=is_unordered(header, threads),
            rebuilds=f"&{struct}::init_from_lil)" in source,
        )
        extension = f"\n        .def(ann_ckpt::Extension(ann_ckpt_{struct}))"
        text = _after(text, f'nanobind::class_<{struct}>(m, "{wrapper}")', extension)
    for recorder, names in _recorders(recorders):
        anchor = f'nanobind::class_<{recorder}>(m, "{recorder}_wrapper")'
        if source.count(anchor) == 1:
            structures += _RECORDER.format(
                recorder=recorder, adding="\n        ".join(f'found.add("{n}", obj.{n});' for n in names)
            )
            extension = f"\n        .def(ann_ckpt::RecorderExtension(ann_ckpt_{recorder}))"
            text = _after(text, anchor, extension)
    text = _after(text, f'#include "ANNarchyCore{net_id}.hpp"\n', _helpers() + structures)
    return _after(text, f"NB_MODULE(ANNarchyWrapper{net_id}, m) {{\n", _GENERATORS)


_GENERATORS = """
    m.def("_ann_ckpt_generators", &ann_ckpt::get_generators);
    m.def("_ann_ckpt_set_generators", &ann_ckpt::set_generators);
"""

_STRUCTURE = """
static const ann_ckpt::Structure ann_ckpt_{struct}{{
    R"json({about})json",
    [](void* at, ann_ckpt::Object& found) {{
        auto& obj = *static_cast<{struct}*>(at);
        {adding}
    }},
    {has_rows},
    {rebuild},
    [](void* at) {{ return at == static_cast<void*>({name}); }},
}};
"""
_REBUILD = """[](void* at, const ann_ckpt::Synapses& given) {{
        return ann_ckpt::rebuild(*static_cast<{struct}*>(at), &{struct}::init_from_lil, given);
    }}"""

_RECORDER = """
static const ann_ckpt::Recorder ann_ckpt_{recorder}{{
    [](void* at, ann_ckpt::Tapes& found) {{
        auto& obj = *static_cast<{recorder}*>(at);
        found.monitor = &obj;
        {adding}
    }},
}};
"""


def _recorders(header: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each class of monitors, and the variables that it can record."""
    for part in re.split(r"^class ", header, flags=re.MULTILINE)[1:]:
        if (head := _RECORDER_HEAD.match(part)) is not None:
            yield head[1], re.findall(r"^\s*bool record_(\w+) ?;", part, re.MULTILINE)


def _extended_by_network(text: str, generator: Any) -> str:
    try:
        folder = Path(generator._annarchy_dir) / "generate" / f"net{generator.net_id}"
        structs = [
            (f"PopStruct{p.id}", f"pop{p.id}_wrapper", ()) for p in generator.network.get_populations()
        ]
        structs += [
            (f"ProjStruct{p.id}", f"proj{p.id}_wrapper", tuple(p.synapse_type.description["local"]))
            for p in generator.network.get_projections()
        ]
        return extended(
            text,
            structs=structs,
            find=lambda name: (folder / name).read_text(encoding="utf-8"),
            net_id=generator.net_id,
            threads=int(generator.network._get_config("num_threads")),
            recorders=(folder / "Monitor.hpp").read_text(encoding="utf-8"),
        )
    except (AttributeError, KeyError, OSError, TypeError) as error:
        raise UnexpectedCodeError(f"{type(error).__name__}: {printable(error, 200)}") from error


def _generator() -> Any:
    """Return the class that writes the module's source."""
    import ANNarchy

    release = str(ANNarchy.__release__)
    if not _KNOWN.fullmatch(release):
        raise UnexpectedCodeError(f"version {printable(release)} is not known; 5.0 is")
    try:
        from ANNarchy.generator.NanoBind.Generator import NanoBindGenerator
    except ImportError as error:
        raise UnexpectedCodeError(f"{printable(error, 200)}") from error
    return NanoBindGenerator


def _after(text: str, anchor: str, addition: str) -> str:
    if text.count(anchor) != 1:
        raise UnexpectedCodeError(
            f"the generated code has {anchor.strip()!r} {text.count(anchor)} times, not once"
        )
    before, _, behind = text.partition(anchor)
    return before + anchor + addition + behind


def _helpers() -> str:
    here = resources.files("ann_ckpt.adapters.annarchy")
    return here.joinpath("members.hpp").read_text(encoding="utf-8")


def _structure(
    struct: str,
    members: Sequence[CppMember],
    local: Sequence[str] | None,
    *,
    base: str,
    name: str,
    unordered: bool,
    rebuilds: bool,
) -> str:
    """Return what the bindings know of one structure; ``local`` is None if it has no rows of synapses."""
    by_row = [
        m.name
        for m in members
        if local is not None
        and m.dtype is not None
        and m.depth
        and (m.name in local or _ROWS.fullmatch(m.name))
    ]
    whole = [m.name for m in members if (m.dtype is not None or m.is_distribution) and m.name not in by_row]
    about = json.dumps(
        {
            "members": {m.name: m.ctype for m in members},
            "base": base,
            "rows": by_row,
            "unordered": unordered,
        }
    )
    adding = [f'found.add("{member}", obj.{member});' for member in whole]
    if local is not None:
        adding.append(f"auto& rows = ann_ckpt::format_of(obj, &{struct}::get_dendrite_pre_rank);")
        adding.append("found.add_rows(rows);")
        adding += [f'found.add("{member}", obj.{member}, rows);' for member in by_row]
    return _STRUCTURE.format(
        struct=struct,
        name=name,
        about=about,
        adding="\n        ".join(adding),
        has_rows="false" if local is None else "true",
        rebuild=_REBUILD.format(struct=struct) if rebuilds else "nullptr",
    )
