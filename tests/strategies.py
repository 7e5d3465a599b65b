"""Hypothesis strategies for network states, in one place."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ann_ckpt import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
    Series,
    TypeInfo,
)

DTYPES = st.sampled_from([np.float64, np.float32, np.int32, np.int64, np.uint8, np.int16, np.bool_])

NAMES = st.one_of(
    st.sampled_from(
        ["in", "out", "a/b", ".", "..", "", "%", "50%25", "Ünïcode 雪", "w", "name with spaces", "../up"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.just("long" * 250),
)


def values(shape: tuple[int, ...] | int):
    """Arrays of any stored type with every bit pattern: NaN payloads, -0.0, infinities."""
    shape = (shape,) if isinstance(shape, int) else shape

    @st.composite
    def bits(draw):
        dtype = np.dtype(draw(DTYPES))
        if dtype == np.bool_:
            return draw(hnp.arrays(np.bool_, shape))
        raw = draw(hnp.arrays(np.dtype(f"u{dtype.itemsize}"), shape))
        return np.asarray(raw).view(dtype).reshape(shape)

    return bits()


@st.composite
def type_infos(draw):
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    infos = st.builds(
        AttributeInfo,
        ctype=st.sampled_from(["", "double", "int"]),
        description=text,
        unit=text,
        minimum=st.none() | st.floats(-5, 5),
        maximum=st.none() | st.floats(5, 9),
    )
    texts = st.dictionaries(st.sampled_from(["equations", "parameters", "spike"]), text)
    attributes = st.dictionaries(text, infos, max_size=2)
    return TypeInfo(draw(text), draw(text), draw(texts), draw(attributes))


@st.composite
def attributes(draw, shapes: dict[Locality, tuple[int, ...]]):
    """Parameters and variables with names of their own."""
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    made = {}
    for name in names:
        locality = draw(st.sampled_from(list(shapes)))
        further = draw(st.sampled_from([(), (), (), (2,), (3, 1), (0,)]))
        made[name] = Attribute(draw(values((*shapes[locality], *further))), locality)
    cut = draw(st.integers(0, len(names)))
    return {n: made[n] for n in names[:cut]}, {n: made[n] for n in names[cut:]}


@st.composite
def dynamics(draw):
    """What a simulator carries besides: arrays of any shape, single values among them."""
    shapes = st.sampled_from([(), (), (0,), (3,), (2, 3), (2, 0, 3), (1, 2, 2)])
    return {name: draw(values(draw(shapes))) for name in draw(st.lists(NAMES, unique=True, max_size=2))}


@st.composite
def pathway_delays(draw, n_synapses: int):
    """Delays of pathways: steps or seconds, one for all synapses or one for each."""
    made = {}
    for name in draw(st.lists(NAMES, unique=True, max_size=2)):
        shape = draw(st.sampled_from([(), (n_synapses,)]))
        steps = hnp.arrays(np.int32, shape, elements=st.integers(0, 100))
        made[name] = np.asarray(draw(steps | hnp.arrays(np.float64, shape, elements=st.floats(0, 1))))
    return made


def resumes():
    """What a source says about resuming, if anything."""
    reasons = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=1, max_size=2)
    inexact = st.sampled_from([Exactness.RESEEDED, Exactness.APPROXIMATE])
    return st.none() | st.just(Resume(Exactness.EXACT)) | st.builds(Resume, inexact, reasons.map(tuple))


@st.composite
def populations(draw, name: str):
    geometry = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=5)))
    parameters, variables = draw(attributes({Locality.LOCAL: geometry, Locality.GLOBAL: ()}))
    return PopulationState(
        name,
        geometry,
        parameters=parameters,
        variables=variables,
        dynamics=draw(dynamics()),
        resume=draw(resumes()),
        neuron_type=draw(st.none() | type_infos()),
    )


@st.composite
def connectivities(draw, n_pre: int, n_post: int):
    """Ragged, empty, dense and unsorted rows, in any order of post ranks."""
    post = draw(st.lists(st.integers(0, n_post - 1), unique=True, max_size=min(5, n_post))) if n_post else []
    one_row = (
        st.lists(st.integers(0, n_pre - 1), unique=True, max_size=min(6, n_pre)) if n_pre else st.just([])
    )
    if draw(st.booleans()):
        post = sorted(post)
    return Connectivity.from_rows(post, [draw(one_row) for _ in post])


@st.composite
def projections(draw, name: str, pre: PopulationState, post: PopulationState):
    connectivity = draw(connectivities(pre.size, post.size))
    shapes = {
        Locality.GLOBAL: (),
        Locality.SEMIGLOBAL: (connectivity.n_rows,),
        Locality.LOCAL: (connectivity.n_synapses,),
    }
    parameters, variables = draw(attributes(shapes))
    delays = draw(
        st.one_of(
            st.none(),
            st.integers(0, 100),
            hnp.arrays(np.int32, connectivity.n_synapses, elements=st.integers(0, 100)),
        )
    )
    sized = draw(st.booleans())
    view = st.none() | st.just(np.unique(np.asarray(connectivity.post_ranks)))
    return ProjectionState(
        name,
        pre.name,
        post.name,
        draw(st.sampled_from(["exc", "inh", ""])),
        connectivity,
        delays=delays,
        pathway_delays=draw(st.just({}) | pathway_delays(connectivity.n_synapses)),
        order=draw(st.none() | st.permutations(range(connectivity.n_synapses)).map(_integers)),
        partial=draw(st.booleans()),
        parameters=parameters,
        variables=variables,
        pre_size=pre.size if sized else None,
        post_size=post.size if sized else None,
        post_view=draw(view),
        dynamics=draw(dynamics()),
        resume=draw(resumes()),
        synapse_type=draw(st.none() | type_infos()),
    )


def _integers(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.int32)


@st.composite
def series(draw):
    """Samples or events, with times in steps or seconds, or none."""
    n = draw(st.integers(0, 4))
    kind = draw(st.sampled_from(["samples", "untimed", "events", "marked events"]))
    times = np.sort(draw(hnp.arrays(np.int64, n, elements=st.integers(0, 2**40))))
    times = draw(st.sampled_from([times, times.astype(np.int32) * 0, times / 2**10]))
    ranks = draw(hnp.arrays(np.int32, n, elements=st.integers(0, 9)))
    recorded = draw(values((n, *draw(st.sampled_from([(), (3,), (2, 0)])))))
    return Series(
        times=None if kind == "untimed" else times,
        ranks=ranks if "events" in kind else None,
        values=None if kind == "events" else recorded,
    )


@st.composite
def recordings(draw, paths: list[str]):
    """What monitors hold, of objects that are there."""
    plain = st.dictionaries(
        st.text(max_size=3), st.none() | st.booleans() | st.integers() | st.floats(-9, 9), max_size=2
    )
    return [
        Recording(
            name,
            of=draw(st.sampled_from(paths)),
            series=draw(st.dictionaries(NAMES, series(), max_size=2)),
            ranks=draw(st.none() | hnp.arrays(np.int32, 3, elements=st.integers(0, 9))),
            settings=draw(plain),
            carried=draw(plain),
        )
        for name in draw(st.lists(NAMES, unique=True, max_size=2))
    ]


@st.composite
def networks(draw, max_populations: int = 3, max_projections: int = 3):
    """Whole networks: several projections between the same populations, odd names, partial knowledge."""
    pops = [draw(populations(n)) for n in draw(st.lists(NAMES, unique=True, max_size=max_populations))]
    projs = []
    ends = [p for p in pops if not p.name.endswith("\0")]  # others cannot be named by a projection
    if ends:
        for name in draw(st.lists(NAMES, unique=True, max_size=max_projections)):
            pre, post = draw(st.sampled_from(ends)), draw(st.sampled_from(ends))
            projs.append(draw(projections(name, pre, post)))
    paths = ["", *(f"populations/{p.name}" for p in pops), *(f"projections/{p.name}" for p in projs)]
    json = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    )
    return NetworkState(
        populations=pops,
        projections=projs,
        constants=draw(st.dictionaries(NAMES, values(()) | values(3), max_size=2)),
        time_step=draw(st.none() | st.integers(0, 2**62)),
        dt=draw(st.none() | st.floats(1e-3, 10)),
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        metadata=draw(st.dictionaries(st.text(max_size=4), json, max_size=2)),
        dynamics=draw(dynamics()),
        resume=draw(resumes()),
        reseeded=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        recordings=draw(st.just([]) | recordings(paths)),
    )


@st.composite
def parameter_networks(draw):
    """Networks whose types declare their parameters: C types, bounds, units; values within them."""
    plain = st.text("abcxyz_", min_size=1, max_size=4)
    pops = []
    for name in draw(st.lists(plain, min_size=1, max_size=3, unique=True)):
        geometry = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
        parameters, declared = draw(declared_parameters({Locality.GLOBAL: (), Locality.LOCAL: geometry}))
        made = TypeInfo(draw(st.sampled_from(["LIF", "", "Ünï/code"])), attributes=declared)
        pops.append(PopulationState(name, geometry, parameters=parameters, neuron_type=made))
    pre, post = pops[0], pops[-1]
    connectivity = draw(connectivities(pre.size, post.size))
    shapes = {
        Locality.GLOBAL: (),
        Locality.SEMIGLOBAL: (connectivity.n_rows,),
        Locality.LOCAL: (connectivity.n_synapses,),
    }
    parameters, declared = draw(declared_parameters(shapes))
    projection = ProjectionState(
        draw(plain),
        pre.name,
        post.name,
        "exc",
        connectivity,
        parameters=parameters,
        synapse_type=TypeInfo("STDP", attributes=declared),
    )
    constants = draw(st.dictionaries(plain, st.floats(-1e3, 1e3), max_size=2))
    return NetworkState(populations=pops, projections=[projection], constants=constants)


@st.composite
def declared_parameters(draw, shapes: dict[Locality, tuple[int, ...]]):
    """Parameters, and what a type declares about them."""
    parameters, declared = {}, {}
    for name in draw(st.lists(st.text("abcd", min_size=1, max_size=3), max_size=4, unique=True)):
        locality = draw(st.sampled_from(list(shapes)))
        ctype = draw(st.sampled_from(["double", "int", "bool"]))
        dtype = {"double": np.float64, "int": np.int32, "bool": np.bool_}[ctype]
        value = draw({"double": st.floats(-9, 9), "int": st.integers(-9, 9), "bool": st.booleans()}[ctype])
        bounds = (draw(st.none() | st.integers(-20, -9)), draw(st.none() | st.integers(9, 20)))
        parameters[name] = Attribute(np.full(shapes[locality], value, dtype), locality)
        declared[name] = AttributeInfo(
            ctype, draw(st.text(max_size=5)), draw(st.sampled_from(["", "ms"])), *bounds
        )
    return parameters, declared
