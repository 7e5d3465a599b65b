"""Save, prune, collect, die, reopen and export in any order, against a plain dict of states."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import ann_ckpt
from ann_ckpt import (
    Attribute,
    CheckpointStore,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Retention,
    differences,
)
from tests.store.dying import dying
from tests.store.tiny import tiny_blocks


@dataclass(frozen=True)
class Spec:
    """A network small enough to write down."""

    rows: tuple[tuple[int, int, int], ...] = tuple((i, 0, 9 + i % 5) for i in range(12))
    """Post rank, how often it learnt, and number of synapses of each dendrite."""
    rates: int = 0
    step: int | None = 0
    single: bool = False
    """Whether weights are floats of single precision."""

    def state(self) -> NetworkState:
        values = [np.random.default_rng((post, learnt)).random(size) for post, learnt, size in self.rows]
        w = np.concatenate([*values, np.empty(0)]).astype("f4" if self.single else "f8")
        sizes = [size for _, _, size in self.rows]
        return NetworkState(
            populations=[
                PopulationState("in", (6, 5), variables={"r": np.full((6, 5), self.rates)}),
                PopulationState("out", (64,), parameters={"tau": 1.0, "bias": np.arange(64.0)}),
            ],
            projections=[
                ProjectionState(
                    "ff",
                    "in",
                    "out",
                    "exc",
                    Connectivity(
                        np.array([post for post, _, _ in self.rows], np.int32),
                        np.concatenate(([0], np.cumsum(sizes))),
                        np.arange(sum(sizes)) % 30,
                    ),
                    variables={"w": Attribute(w, Locality.LOCAL)},
                )
            ],
            time_step=self.step,
            dt=1.0,
        )


@st.composite
def changes(draw):
    """A function from one spec to the next."""
    kind = draw(
        st.sampled_from(["learn", "learn", "learn", "grow", "prune", "add", "drop", "rates", "type", "same"])
    )
    place = draw(st.integers(0, 63))
    ahead = draw(st.sampled_from([1, 1, 1, 10, 0, -3, None]))

    def change(spec: Spec) -> Spec:
        step = None if ahead is None or spec.step is None else max(0, spec.step + ahead)
        if ahead is not None and spec.step is None:
            step = 5
        rows = list(spec.rows)
        i = place % len(rows) if rows else 0
        if rows and kind in ("learn", "grow", "prune"):
            post, learnt, size = rows[i]
            grown = {"learn": 0, "grow": 1, "prune": -1}[kind]
            rows[i] = (post, learnt + (kind == "learn"), max(0, size + grown))
        elif rows and kind == "drop":
            del rows[i]
        elif kind == "add" and place not in {post for post, _, _ in rows}:
            rows.insert(i, (place, 0, place % 40))
        return replace(
            spec,
            rows=tuple(rows),
            step=step,
            rates=spec.rates + (kind == "rates"),
            single=spec.single ^ (kind == "type"),
        )

    return change


class Series(RuleBasedStateMachine):
    """The store and, beside it, every state that it must still hold."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        tiny_blocks(self.patch)
        self.folder = Path(tempfile.mkdtemp(prefix="ann_ckpt-stateful-"))
        self.path = self.folder / "run.ckpt"
        self.store = CheckpointStore(self.path, "a")
        self.spec = Spec()
        self.expected: dict[str, tuple[Spec, str | None]] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.store.verify().ok
            self.store.close()
            self.patch.undo()
            shutil.rmtree(self.folder)

    # --- What people do -------------------------------------------------------------

    @rule(
        change=changes(),
        tag=st.sampled_from([None, None, "a", "b"]),
        background=st.sampled_from([False, "copy", "fork"]),
    )
    def save(self, change, tag, background):
        spec = change(self.spec)
        report = self.store.save(spec.state(), tag=tag, background=background)
        report = report.wait() if background else report
        self.spec = spec
        self.expected[report.name] = (spec, tag)

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def go_back(self, data):
        """Go on from an older checkpoint, as people do who try something else."""
        name = data.draw(st.sampled_from(sorted(self.expected)))
        self.spec = self.expected[name][0]
        with self.store[name] as checkpoint:
            report = self.store.save(checkpoint)
        self.expected[report.name] = (self.spec, None)

    @precondition(lambda self: self.expected)
    @rule(
        last=st.none() | st.integers(1, 4),
        every=st.integers(1, 12),
        tags=st.booleans(),
        dry=st.booleans(),
    )
    def prune(self, last, every, tags, dry):
        rules = {"keep_last": last, "keep_every": every, "keep_tags": tags}
        planned = self.store.prune(**rules, dry_run=True)
        assert list(self.expected) == [*sorted(planned.removed + planned.kept, key=list(self.expected).index)]
        if not dry:
            assert self.store.prune(**rules) == replace(planned, dry_run=False)
            for name in planned.removed:
                del self.expected[name]

    @rule()
    def gc(self):
        self.store.gc()
        needed = {name for info in self.store.checkpoints for name in info.objects}
        assert {p.stem for p in (self.path / "objects").glob("*/*")} == needed
        assert not list(self.path.rglob("*.tmp"))

    @rule(last=st.integers(1, 3), change=changes())
    def save_with_retention(self, last, change):
        self.store.retention = Retention(keep_last=last, keep_tags=False)
        self.spec = change(self.spec)
        report = self.store.save(self.spec.state())
        self.store.retention = None
        self.expected[report.name] = (self.spec, None)
        for name in report.pruned:
            del self.expected[name]
        assert len(self.expected) <= last

    @rule(mode=st.sampled_from(["a", "a", "prune"]))
    def reopen(self, mode):
        self.store.close()
        if mode == "prune":
            CheckpointStore(self.path, mode).gc()
        self.store = CheckpointStore(self.path, "a")

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def export_and_add(self, data):
        name = data.draw(st.sampled_from(sorted(self.expected)))
        file = self.folder / "net.h5"
        self.store.export(name, file)
        spec, tag = self.expected[name]
        assert not list(differences(ann_ckpt.read(file), spec.state()))
        self.expected[self.store.add(file).name] = (spec, tag)
        self.spec = spec

    # --- What happens to people -----------------------------------------------------

    @rule(change=changes(), after=st.integers(0, 40), background=st.booleans())
    def die_while_saving(self, change, after, background):
        spec = change(self.spec)
        before = set(self.expected)
        with dying(self.store, after) as mortal:
            pending = self.store.save(spec.state(), background="copy" if background else False)
            if background:
                pending.wait()
        if mortal.dead:
            self.store = CheckpointStore(self.path, "a")
        (new,) = {i.name for i in self.store.checkpoints} - before or {None}
        assert mortal.dead or new is not None
        if new is not None:
            self.expected[new] = (spec, None)
            self.spec = spec

    @precondition(lambda self: len(self.expected) > 1)
    @rule(after=st.integers(0, 12))
    def die_while_pruning(self, after):
        planned = self.store.prune(keep_last=1, keep_tags=False, dry_run=True)
        with dying(self.store, after) as mortal:
            self.store.prune(keep_last=1, keep_tags=False)
        if mortal.dead:
            self.store = CheckpointStore(self.path, "a")
        left = {i.name for i in self.store.checkpoints}
        assert set(planned.kept) <= left <= set(self.expected)
        self.expected = {name: value for name, value in self.expected.items() if name in left}

    # --- What must hold -------------------------------------------------------------

    @invariant()
    def every_checkpoint_is_there_and_right(self):
        if not hasattr(self, "store"):
            return
        infos = CheckpointStore(self.path).checkpoints
        assert [i.name for i in infos] == list(self.expected)
        for info in infos:
            spec, tag = self.expected[info.name]
            with ann_ckpt.open(info.path) as checkpoint:
                assert not list(differences(checkpoint.state(), spec.state()))
                assert checkpoint.tag == tag


# A third of the profile's examples, each of them a whole life of a store.
Series.TestCase.settings = settings(max_examples=settings.default.max_examples // 3, stateful_step_count=12)
TestSeries = Series.TestCase
