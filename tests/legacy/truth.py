"""What the live networks said, beside the files that they wrote."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARED = Path(
    os.environ.get("ANN_CKPT_LEGACY_FILES", Path(__file__).resolve().parents[2].parent / "shared" / "legacy")
)
TIME_STEP_SINCE = (4, 6)
DELAYS_SINCE = (4, 6, 7)
STEPS_IN_DENDRITES = ((4, 2), (4, 5, 3))


@dataclass(frozen=True)
class Net:
    """One simulated network of one version."""

    folder: Path
    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @property
    def version(self) -> tuple[int, ...]:
        """The version that wrote it, as numbers; 4.5.2dev called itself 4.5.3."""
        name = self.facts["env"]["annarchy"].removesuffix("dev")
        return tuple(int(part) for part in name.split("."))

    @property
    def dt(self) -> float:
        """Length of a step in ms."""
        return float(self.facts["truth"]["dt"])

    @property
    def populations(self) -> list[dict[str, Any]]:
        return list(self.facts["truth"]["populations"])

    @property
    def projections(self) -> list[dict[str, Any]]:
        return list(self.facts["truth"]["projections"])

    def overwritten(self) -> set[str]:
        """Populations that a projection of the same name replaced in network files."""
        return {p["name"] for p in self.populations} & {p["name"] for p in self.projections}

    def delay_steps(self, index: int) -> NDArray[Any] | int | None:
        """Steps per synapse or for all of one projection; None if it has no delays."""
        key = f"proj{index}__delay_steps"
        return self.arrays[key] if key in self.arrays else self._uniform(index)

    def values(self, owner: str, attribute: str) -> NDArray[Any] | None:
        """Values of ``pop0`` or ``proj3``, however they were asked for; None if they could not be."""
        for suffix in ("", "__rows", "__proj"):
            if f"{owner}__{attribute}{suffix}" in self.arrays:
                return self.arrays[f"{owner}__{attribute}{suffix}"]
        return None

    def _uniform(self, index: int) -> int | None:
        steps = self.projections[index]["uniform_delay"]
        return int(steps) if steps > 0 else None


@cache
def net(folder: Path) -> Net:
    """Read the ground truth in one folder."""
    facts = json.loads((folder / "truth.json").read_text())
    with np.load(folder / "truth.npz", allow_pickle=False) as archive:
        return Net(folder, facts, dict(archive))


def files() -> list[Path]:
    """Every file that a simulator wrote and that is no parameter file; fails if there is none."""
    assert SHARED.is_dir(), f"{SHARED} holds no legacy files; ANN_CKPT_LEGACY_FILES can name another folder"
    found = [
        path
        for folder in sorted(SHARED.glob("*/*/truth.json"))
        for path in sorted(folder.parent.rglob("*"))
        if path.is_file() and not path.name.startswith("truth.") and path.suffix != ".json"
    ]
    assert found, f"{SHARED} holds no legacy files"
    return found


def net_of(path: Path) -> Net:
    """The network that a file belongs to."""
    folder = path.parent
    return net(folder if (folder / "truth.json").is_file() else folder.parent)


def completed(path: Path) -> bool:
    """Whether the simulator finished writing the file."""
    this = net_of(path)
    return bool(this.facts["files"][path.relative_to(this.folder).as_posix()]["ok"])


def label(path: Path) -> str:
    """Name of a file for test ids: ``5.0.4.1/rate/proj/q01.npz``."""
    return path.relative_to(SHARED).as_posix()
