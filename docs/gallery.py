"""Write the pictures of docs/pictures/: ``python -m docs.gallery``, or ``make gallery``; half a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import ann_ckpt
from ann_ckpt import plot
from ann_ckpt.demo import DemoNetwork

FOLDER = Path(__file__).with_name("pictures")
WEIGHTS = "projections/forward/w"
SAVES, PERIOD = 24, 500
"""How often the network is saved, and how many ms it learns in between."""


def main() -> None:
    """Let the demo network learn until its receptive fields are in order, and draw what became of it."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run.ckpt")
        network = DemoNetwork(seed=1, side=10)
        with ann_ckpt.CheckpointStore(run, "w") as store:
            store.save(network)
            for _ in range(SAVES):
                network.simulate(PERIOD)
                store.save(network)
        _draw(run)


def _draw(run: Path) -> None:
    first = f"{run}@0"

    def sheet(name: str, width: float, *draw: Any) -> None:
        figure = Figure(figsize=(width * len(draw), 4.1), layout="constrained", dpi=80)
        for ax, one in zip(figure.subplots(1, len(draw), squeeze=False)[0], draw, strict=True):
            one(ax)
        figure.savefig(FOLDER / f"{name}.png")

    sheet(
        "fields",
        5.4,
        lambda ax: plot.receptive_fields(first, WEIGHTS, ax=ax).set_title(
            "before learning", loc="left", pad=16
        ),
        lambda ax: plot.receptive_fields(run, WEIGHTS, ax=ax).set_title("after 12 s", loc="left", pad=16),
    )
    sheet("history", 5.4, lambda ax: plot.history(run, WEIGHTS, ax=ax), lambda ax: plot.sizes(run, ax=ax))
    sheet(
        "populations",
        5.0,
        lambda ax: plot.rate_map(run, "populations/image/r", ax=ax),
        lambda ax: plot.rate_map(run, "populations/layer/r", ax=ax),
        lambda ax: plot.histogram(run, WEIGHTS, ax=ax),
    )
    sheet(
        "projections",
        5.0,
        lambda ax: plot.matrix(run, "projections/lateral/w", ax=ax),
        lambda ax: plot.connectivity(run, "projections/forward", ax=ax),
        lambda ax: plot.in_degree(run, "projections/forward", ax=ax),
    )
    sheet(
        "changes",
        5.4,
        lambda ax: plot.change_scatter(first, run, WEIGHTS, ax=ax),
        lambda ax: plot.change_histogram(first, run, WEIGHTS, ax=ax),
    )


if __name__ == "__main__":
    main()
