from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import ann_ckpt
from ann_ckpt import NetworkState
from ann_ckpt.cli.contents import CheckpointEntry, entries, find
from ann_ckpt.cli.main import cli
from ann_ckpt.cli.output import json_ready
from ann_ckpt.cli.views import view_of
from tests.strategies import networks


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("entries") / "net.h5"


@given(networks())
def test_a_path_leads_to_the_entry_that_has_it(path: Path, state: NetworkState) -> None:
    ann_ckpt.write(state, path)
    with ann_ckpt.open(path) as checkpoint:
        held = list(entries(checkpoint))
        assert len({entry.path for entry in held}) == len(held)
        for entry in held:
            found = find(checkpoint, entry.path)
            assert isinstance(found, CheckpointEntry)
            assert found.to_dict() == entry.to_dict()
            assert np.asarray(found.values).tobytes() == np.asarray(entry.values).tobytes()


@given(networks())
def test_the_entries_are_the_values_of_the_network(path: Path, state: NetworkState) -> None:
    ann_ckpt.write(state, path)
    with ann_ckpt.open(path) as checkpoint:
        kinds = [entry.kind for entry in entries(checkpoint)]
    objects = [*state.populations.values(), *state.projections.values()]
    assert kinds.count("parameter") == sum(len(o.parameters) for o in objects)
    assert kinds.count("variable") == sum(len(o.variables) for o in objects)
    ordered = sum(p.order is not None for p in state.projections.values())
    assert kinds.count("synapses") == 3 * len(state.projections) + ordered
    pathways = sum(len(p.pathway_delays) for p in state.projections.values())
    assert kinds.count("pathway delays") == pathways
    assert kinds.count("delays") == sum(p.delays is not None for p in state.projections.values())
    assert kinds.count("constant") == len(state.constants)
    assert kinds.count("dynamics") == sum(len(o.dynamics) for o in [state, *objects])


@settings(max_examples=15)
@given(networks())
def test_everything_can_be_shown_listed_and_described(path: Path, state: NetworkState) -> None:
    ann_ckpt.write(state, path)
    for command in ("info", "ls", "tree"):
        cli.main([command, str(path)], standalone_mode=False)
        cli.main([command, str(path), "--json"], standalone_mode=False)
    with ann_ckpt.open(path) as checkpoint:
        for entry in entries(checkpoint):
            view = view_of(checkpoint, entry.path, slice(None) if entry.values.shape else None)
            document = json.loads(json.dumps(json_ready(view.document())))
            values = document.get("values", document.get("value"))
            flat = [v for row in values for v in row] if document.get("post_ranks") else values
            assert np.array(flat, dtype=object).size == np.asarray(entry.values).size
            cli.main(["show", str(path), "--", entry.path], standalone_mode=False)
