"""What workers do with ANNarchy's own calls, and with ours in their place. Each function is one process."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ANNarchy as ann
import numpy as np

import ann_ckpt
import ann_ckpt.annarchy
import ann_ckpt.testing
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.params import load_parameters, save_parameters
from tests.live.calls_networks import opened
from tests.live.lab import FIVE, Lab

NEW = {
    "middle": {"baseline": 0.5, "r": 5.0, "tau": 25.0},
    "hebb": {"eta": 0.02, "w": 3.0},
    "oja": {"alpha": 20.0, "eta": 0.5},
    "one": {"d": 0.5, "v": -60.0, "a": 0.03},
    "stdp": {"tau_plus": 0.01},
    "stp": {"U": 5.0, "x": 10.0},
    "deep": {"baseline": -1.0},
}
"""What is set before a save: parameters and variables of all localities."""


def state_of(lab: Lab) -> ann_ckpt.NetworkState:
    return ann_ckpt.testing.captured(simulator_for(lab.network).read().state)


def set_new(lab: Lab) -> None:
    for name, values in NEW.items():
        thing = lab.find(name)
        for attribute, value in values.items():
            setattr(thing, attribute, value)


def reset(lab: Lab) -> None:
    (lab.network if FIVE else ann).reset(populations=True, projections=True, synapses=True)


def values_of(lab: Lab) -> dict[str, dict[str, list[float]]]:
    """What ANNarchy's own accessors show of that."""
    return {
        name: {attribute: sorted(set(_flat(getattr(lab.find(name), attribute)))) for attribute in values}
        for name, values in NEW.items()
    }


def _flat(value: Any) -> list[float]:
    if isinstance(value, list):
        return [number for part in value for number in _flat(part)]
    return [float(number) for number in np.asarray(value).ravel()]


def said(call: Callable[[], object]) -> str:
    """Return what an error of ours says to a call, hint included."""
    try:
        call()
    except ann_ckpt.errors.CheckpointError as error:
        return str(error)
    return ""


def cases(folder: str) -> dict[str, Any]:
    """Save, reset and load the whole network and parts of it under every extension; then parameters."""
    lab = opened()
    lab.simulate(10)
    answer: dict[str, Any] = {"double": _saved(lab, Path(folder) / "double.h5")}
    for name in ("net.data", "net.npz", "net.txt.gz", "net.mat", "net.h5", "net.ckpt", "net", "net.pkl"):
        set_new(lab)
        lab.simulate(2)
        answer[name] = back(lab, Path(folder) / name)
    for name in ("proj.data", "proj.npz", "proj.txt.gz", "proj.mat", "proj.h5", "proj.ckpt"):
        for projection in ("hebb", "stp", "oja", "ff"):
            set_new(lab)
            found = back(lab, Path(folder) / f"{projection}-{name}", False, lab.find(projection))
            found["left"] = [p for p in found["left"] if p.startswith(f"projections/{projection}/")]
            answer[f"{projection}, {name}"] = found
    answer["parameters"] = parameters(lab, folder)
    return answer


def back(lab: Lab, path: Path, *part: Any) -> dict[str, Any]:
    """Save, reset, load; answer what moved meanwhile, and what is left different."""
    before = state_of(lab)
    report = ann_ckpt.save(path, *part, network=lab.network)
    reset(lab)
    moved = list(ann_ckpt.differences(before, state_of(lab)))
    ann_ckpt.load(path, network=lab.network)
    left = list(ann_ckpt.differences(before, state_of(lab)))
    return {"moved": moved, "left": left, "skipped": [str(note) for note in report.skipped]}


def _saved(lab: Lab, path: Path) -> list[str]:
    return [str(note) for note in ann_ckpt.save(path, network=lab.network).skipped]


def parameters(lab: Lab, folder: str) -> dict[str, Any]:
    """Save what is and what was at the beginning; set back; load either."""
    set_new(lab)
    answer: dict[str, Any] = {"set": values_of(lab)}
    for kind in ("current", "initial"):
        path = Path(folder) / f"{kind}.json"
        save_parameters(path, network=lab.network, initial=kind == "initial")
        answer[f"{kind} file"] = json.loads(path.read_text())
    reset(lab)
    answer["reset"] = values_of(lab)
    for kind in ("current", "initial"):
        load_parameters(Path(folder) / f"{kind}.json", network=lab.network)
        answer[kind] = values_of(lab)
    content = answer["current file"]
    together = {**content["populations"], **content["projections"]}
    answer["global"] = [[n, p] for n, values in NEW.items() for p in values if p in together.get(n, {})]
    return answer


def daily(folder: str) -> dict[str, Any]:
    """Parts, names and wrong arguments, in single precision; the network is of a file in double precision."""
    around = ann_ckpt.annarchy.instrument() if FIVE else None
    lab = opened(2, single=True, around=around)
    lab.simulate(5)
    answer: dict[str, Any] = {}
    double = Path(folder) / "double.h5"
    report = ann_ckpt.load(double, network=lab.network)
    answer["cast"] = len(report.cast)
    answer["rounded"] = unlike(ann_ckpt.read(double), state_of(lab))
    answer["rows"] = rows(lab, Path(folder))
    answer["attributes"] = attributes(lab, Path(folder))
    answer["objects"] = objects(lab, Path(folder))
    answer["axes"] = axes(lab, Path(folder))
    answer["calls"] = wrong(lab, Path(folder))
    lab.simulate(3)
    ann_ckpt.save(Path(folder) / "single.h5", network=lab.network)
    return answer


def back_to_double(folder: str) -> dict[str, Any]:
    """Load what a model in single precision saved."""
    lab = opened(3)
    single = Path(folder) / "single.h5"
    report = ann_ckpt.load(single, network=lab.network)
    return {"cast": len(report.cast), "unlike": unlike(ann_ckpt.read(single), state_of(lab))}


def unlike(stored: ann_ckpt.NetworkState, live: ann_ckpt.NetworkState) -> list[str]:
    """Return the attributes that are not equal once they are of one precision."""
    found = []
    for group in ("populations", "projections"):
        for name, thing in getattr(stored, group).items():
            other = getattr(live, group)[name]
            for attribute in thing:
                a, b = np.asarray(thing[attribute]), np.asarray(other[attribute])
                narrow = min(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
                if not np.array_equal(a.astype(narrow), b.astype(narrow)):
                    found.append(f"{group}/{name}/{attribute}")
    return found


def moved_by(lab: Lab, call: Callable[[], object]) -> list[str]:
    before = state_of(lab)
    call()
    return [p for p in ann_ckpt.differences(before, state_of(lab)) if not p.endswith("resume")]


def rows(lab: Lab, folder: Path) -> dict[str, Any]:
    """Save two dendrites, to a file and to a store; move on; load them into these rows only."""
    answer: dict[str, Any] = {}
    for name in ("rows.h5", "rows.ckpt"):
        ranks = {"ff": [0, 7]}
        before = state_of(lab)
        report = ann_ckpt.save(folder / name, False, "ff", network=lab.network, rows=ranks)
        for attribute in ("w", "alpha", "trace"):
            setattr(lab.find("ff"), attribute, 0.75)
        then = state_of(lab)
        ann_ckpt.load(folder / name, network=lab.network)
        now = state_of(lab)
        wrong = []
        for rank in now.projections["ff"].post_ranks.tolist():
            wanted = (before if rank in ranks["ff"] else then).projections["ff"].dendrite(rank)
            found = now.projections["ff"].dendrite(rank)
            wrong += [f"{rank}/{n}" for n in wanted if not np.array_equal(wanted[n], found[n])]
        others = [p for p in ann_ckpt.differences(before, now) if not p.startswith("projections/ff")]
        with ann_ckpt.open(folder / name) as stored:
            part = stored.projections["ff"]
            answer[name] = {
                "wrong": wrong,
                "others": others,
                "kept": part.post_ranks[:].tolist(),
                "partial": part.partial,
                "said": [str(note) for note in report.skipped],
            }
    answer["no dendrite"] = said(
        lambda: ann_ckpt.save(folder / "no.h5", network=lab.network, rows={"ff": [0, 12]})
    )
    answer["no projection"] = said(
        lambda: ann_ckpt.save(folder / "no.h5", network=lab.network, rows={"fff": [0]})
    )
    return answer


def attributes(lab: Lab, folder: Path) -> dict[str, Any]:
    """Names and globs, for all objects and for each, when saving and when loading."""
    one, ff = lab.find("one"), lab.find("ff")
    only = {"one": ["v", "u"], "ff": "w*"}
    path = folder / "attributes.h5"
    ann_ckpt.save(path, [one, lab.find("four")], ff, network=lab.network, attributes=only)
    stored = ann_ckpt.read(path)
    answer: dict[str, Any] = {
        "kept": {**{n: list(p) for n, p in stored.populations.items()}, "ff": list(stored.projections["ff"])}
    }
    whole = folder / "whole.h5"
    ann_ckpt.save(whole, network=lab.network)

    def move() -> None:
        lab.find("one").v, lab.find("one").u, lab.find("four").v, ff.w = -11.0, -12.0, -13.0, 0.125

    move()
    answer["both"] = moved_by(
        lab, lambda: ann_ckpt.load(path, [one, "fo*"], ff, network=lab.network, attributes=only)
    )
    move()
    answer["load"] = moved_by(
        lab, lambda: ann_ckpt.load(whole, [one, "four"], False, network=lab.network, attributes="v")
    )
    move()
    answer["each"] = moved_by(
        lab,
        lambda: ann_ckpt.load(whole, "*o*", ff, network=lab.network, attributes={"one": "u", "f*": ["[vw]"]}),
    )
    ann_ckpt.load(whole, network=lab.network)
    return answer


def objects(lab: Lab, folder: Path) -> dict[str, Any]:
    """A file of one population, into the network it is from and into another population of its size."""
    sheet, other = lab.find("sheet"), lab.find("other")
    sheet.r = 2.0 + np.arange(4.0).reshape(2, 2)
    ann_ckpt.save(folder / "one.h5", sheet, False, network=lab.network)
    sheet.r = 0.0
    answer = {"alone": moved_by(lab, lambda: ann_ckpt.load(folder / "one.h5", network=lab.network))}
    answer["mapped"] = moved_by(
        lab, lambda: ann_ckpt.load(folder / "one.h5", network=lab.network, names={"sheet": "other"})
    )
    answer["values"] = [np.asarray(other.r).tolist(), np.asarray(sheet.r).tolist()]
    ann_ckpt.save(folder / "all.h5", network=lab.network)
    sheet.r, other.r = 7.0, 8.0
    answer["from all"] = moved_by(
        lab,
        lambda: ann_ckpt.load(
            folder / "all.h5", "sheet", False, network=lab.network, names={"sheet": "other"}
        ),
    )
    answer["other size"] = said(
        lambda: ann_ckpt.load(folder / "one.h5", network=lab.network, names={"sheet": "deep"})
    )
    return answer


def axes(lab: Lab, folder: Path) -> dict[str, Any]:
    """Four axes: values as ANNarchy shows them, looked at, compared, and put back."""
    deep = lab.find("deep")
    deep.mp = np.arange(12.0).reshape(deep.geometry)
    first, second = folder / "axes.h5", folder / "axes-2.h5"
    report = ann_ckpt.save(first, network=lab.network)
    with ann_ckpt.open(first) as ckpt:
        stored = ckpt.populations["deep"]
        shown = np.asarray(stored["mp"])
        answer: dict[str, Any] = {
            "geometry": list(stored.geometry),
            "equal": bool(np.array_equal(shown, deep.mp)),
            "last": float(stored["mp"][1, 0, 2, 1]),
            "skipped": [str(note) for note in report.skipped if "deep" in note.path],
        }
    value = np.asarray(deep.mp).copy()
    value[1, 0, 2, 1] = -5.0
    deep.mp = value
    ann_ckpt.save(second, network=lab.network)
    answer["diff"] = list(ann_ckpt.differences(ann_ckpt.read(first), ann_ckpt.read(second)))
    answer["report"] = str(ann_ckpt.diff(first, second))
    answer["moved"] = moved_by(lab, lambda: ann_ckpt.load(first, network=lab.network))
    return answer


def wrong(lab: Lab, folder: Path) -> dict[str, str]:
    """Calls as ANNarchy documents them, right and nearly right."""
    net = lab.network if FIVE else lab.find("one")
    near = {name: said(lambda name=name: ann_ckpt.save(folder / name)) for name in ("net.h5.", "run.ckpt/x")}
    path = folder / "arrays.json"
    save_parameters(path)
    content = json.loads(path.read_text())
    content["populations"]["deep"]["baseline"] = [0.5] * 12
    content["populations"]["middle"]["tau"] = 33.0
    content["projections"]["ff"]["limit"] = [[1]]
    path.write_text(json.dumps(content))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_parameters(path, global_only=True)
    return near | {
        "warnings": "\n---\n".join(str(w.message) for w in caught),
        "tau": str(lab.find("middle").tau),
        "no network": str(ann_ckpt.save(folder / "only.h5").saved.count("populations/deep")),
        "load": str("populations/deep/mp" in ann_ckpt.load(folder / "only.h5").loaded),
        "misplaced": said(lambda: ann_ckpt.save(folder / "net.h5", lab.network or 7)),
        "misplaced load": said(lambda: ann_ckpt.load(folder / "only.h5", lab.network or 7)),
        "misplaced parameters": said(lambda: save_parameters(folder / "p.json", net)),
        "misplaced loading": said(lambda: load_parameters(path, net)),
        "object": said(lambda: ann_ckpt.save(folder / "net.h5", network=lab.find("one"))),
    }
