"""Which published models there are, and what their files say of them."""

from __future__ import annotations

import re
from pathlib import Path

import ann_ckpt
from ann_ckpt import Exactness, NetworkState

MODELS = Path(__file__).parents[2] / "examples" / "models" / "published.py"
TOGETHER = Path(__file__).with_name("together.py")
FOUND = re.findall(r"^@_model\(dt=([\d.]+)\).*\ndef (\w+)\(", MODELS.read_text(), re.MULTILINE)
NAMES = [name for _, name in FOUND]
STEPS = sorted({float(dt) for dt, _ in FOUND})


def times_of(dt: float) -> tuple[float, float]:
    """When models of a step are saved, and how long they go on: no multiples of what is scheduled."""
    return (4.0, 6.0) if dt < 0.1 else (22.0, 33.0)


def model_of(path: str) -> str:
    """Return the model to which an object belongs; nothing for what belongs to the network."""
    group, _, name = path.partition("/")
    if group not in ("populations", "projections"):
        return ""
    found = [model for model in NAMES if name.startswith((f"{model} ", f"{model}/")) or name == model]
    return found[0] if found else "bold"  # whose monitor names what it makes itself


def doubtful(state: NetworkState) -> dict[str, set[str]]:
    """Return the models of which something is not exact, and why."""
    found: dict[str, set[str]] = {}
    owners = {f"populations/{n}": p.resume for n, p in state.populations.items()}
    owners |= {f"projections/{n}": p.resume for n, p in state.projections.items()} | {"": state.resume}
    for path, resume in owners.items():
        assert resume is not None
        if resume.exactness is not Exactness.EXACT:
            assert resume.reasons, path
            found.setdefault(model_of(path), set()).update(resume.reasons)
    return found


def check_that_all_moved(saved: NetworkState, ended: NetworkState) -> None:
    """Raise if a population stood still, where a comparison would show less than it says.

    Without the instrumentation, if a model did: what a schedule shows may be the same at both times, and
    where it stands cannot be seen.
    """
    moved = list(ann_ckpt.differences(saved, ended))
    if any(population.dynamics for population in saved.populations.values()):
        assert set(saved.populations) <= {p.split("/")[1] for p in moved if p.startswith("populations/")}
    else:
        assert {model_of(f"populations/{name}") for name in saved.populations} <= set(map(model_of, moved))
