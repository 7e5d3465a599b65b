"""What workers do with parameter files. Each function is one process; arguments and answers are JSON."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import ANNarchy as ann
import numpy as np

import ann_ckpt.testing
from ann_ckpt import differences
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import ParameterFileError
from ann_ckpt.params import apply, diff, load_parameters, save_parameters, schema_for, validate
from tests.live.jobs import opened
from tests.live.lab import FIVE, Lab


def seen(lab: Lab, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a parameter file as ANNarchy's own accessors show them now."""
    return {
        owner: {name: np.asarray(getattr(lab.find(owner), name)).tolist() for name in parameters}
        for section in ("populations", "projections")
        for owner, parameters in values.get(section, {}).items()
    }


def edit(network: str, folder: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Save, edit, validate, load, look through ANNarchy's own accessors, simulate, look again."""
    lab = opened(network)
    lab.simulate(20)
    before = Path(folder, "before.json")
    after = Path(folder, "after.json")
    save_parameters(before, network=lab.network)
    data = json.loads(before.read_text())
    answer: dict[str, Any] = {"saved": json.loads(before.read_text())}
    answer["schema"] = schema_for(lab.network)
    answer["clean"] = [str(f) for f in validate(before, answer["schema"])]
    unchanged = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    answer["nothing"] = list(differences(unchanged, apply(before, lab.network)))
    for section, members in changes.items():
        for name, values in members.items():
            if isinstance(values, dict):
                data[section][name] |= values
            else:
                data[section][name] = values
    after.write_text(json.dumps(data))
    answer["findings"] = [str(f) for f in validate(after, answer["schema"])]
    answer["network"] = load_parameters(after, False, network=lab.network)
    answer["set"] = seen(lab, changes)
    answer["left"] = [str(d) for d in diff(after, lab.network)]
    lab.simulate(20)
    answer["kept"] = seen(lab, changes)
    answer["still"] = [str(d) for d in diff(after, lab.network)]
    return answer


def refuse(network: str, path: str) -> dict[str, Any]:
    """Load a wrong file, strictly and not; nothing may reach another object."""
    lab = opened(network)
    lab.simulate(5)
    before = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    answer: dict[str, Any] = {}
    try:
        load_parameters(path, network=lab.network, strict=True)
    except ParameterFileError as error:
        answer["findings"] = [[f.rule, f.line, f.column] for f in error.findings]
    after = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    answer["strict"] = list(differences(before, after))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_parameters(path, network=lab.network)
    answer["warnings"] = [str(w.message) for w in caught]
    after = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    answer["lenient"] = list(differences(before, after))
    return answer


def exchange(network: str, folder: str) -> dict[str, Any]:
    """Read what ANNarchy writes, and let it read what is written here."""
    lab = opened(network)
    number = lab.network.id if FIVE else 0
    theirs, ours = Path(folder, "theirs.json"), Path(folder, "ours.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their call is deprecated
        ann.save_parameters(str(theirs), net_id=number)
    save_parameters(ours, net_id=number, network=lab.network)
    answer = {
        "theirs": json.loads(theirs.read_text()),
        "ours": json.loads(ours.read_text()),
        "findings": [str(f) for f in validate(theirs, schema_for(lab.network))],
    }
    data = json.loads(ours.read_text())
    name = next(n for n, values in data["populations"].items() if "tau" in values)
    data["populations"][name]["tau"] = 3.5
    ours.write_text(json.dumps(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ann.load_parameters(str(ours), net_id=number)
    answer["read by them"] = float(lab.find(name).tau)
    for kind in ("current", "initial"):
        kept = Path(folder, f"{kind}.json")
        save_parameters(kept, net_id=number, network=lab.network, initial=kind == "initial")
        answer[kind] = json.loads(kept.read_text())
    answer["changed"] = name
    return answer
