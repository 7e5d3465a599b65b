"""Write the pictures of docs/pictures/: ``python -m docs.gallery``, or ``make gallery``; half a minute."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

import ann_ckpt
from ann_ckpt import plot
from ann_ckpt.demo import DemoNetwork

FOLDER = Path(__file__).with_name("pictures")
EXAMPLE = Path(__file__).parents[1] / "examples" / "orientation_map.py"
WEIGHTS = "projections/forward/w"


def main() -> None:
    """Let a sheet of neurons learn edges and the demo network its bump, and draw what became of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        learnt, demo = Path(folder, "map.ckpt"), Path(folder, "demo.ckpt")
        runpy.run_path(str(EXAMPLE))["main"](learnt)
        network = DemoNetwork(seed=1, side=10)
        network.monitor("layer", ["r", "onset"])
        network.simulate(400)
        with ann_ckpt.CheckpointStore(demo, "w", monitors=True) as store:
            store.save(network)
        _draw(learnt, demo)


def _draw(learnt: Path, demo: Path) -> None:
    first = f"{learnt}@0"

    def sheet(name: str, width: float, *draw: Any, height: float = 4.1) -> None:
        figure = Figure(
            figsize=(width * len(draw), height), layout=ConstrainedLayoutEngine(w_pad=0.12), dpi=110
        )
        for ax, one in zip(figure.subplots(1, len(draw), squeeze=False)[0], draw, strict=True):
            one(ax)
        figure.savefig(FOLDER / f"{name}.png")

    def fields(source: Any, title: str) -> Any:
        return lambda ax: plot.receptive_fields(source, WEIGHTS, neurons=range(64), ax=ax).set_title(
            title, loc="left", pad=16
        )

    sheet("fields", 5.4, fields(first, "before learning"), fields(learnt, "after 6000 edges"), height=4.9)
    sheet(
        "history", 5.4, lambda ax: plot.history(learnt, WEIGHTS, ax=ax), lambda ax: plot.sizes(learnt, ax=ax)
    )
    sheet(
        "populations",
        5.0,
        lambda ax: plot.rate_map(learnt, "populations/image/r", ax=ax),
        lambda ax: plot.rate_map(learnt, "populations/sheet/r", ax=ax),
        lambda ax: plot.histogram(learnt, WEIGHTS, ax=ax),
    )
    sheet(
        "projections",
        5.0,
        lambda ax: plot.matrix(demo, "projections/lateral/w", ax=ax),
        lambda ax: plot.connectivity(demo, "projections/forward", ax=ax),
        lambda ax: plot.in_degree(demo, "projections/forward", ax=ax),
    )
    sheet(
        "recordings",
        5.4,
        lambda ax: plot.raster(demo, "recordings/Monitor_layer/onset", ax=ax),
        lambda ax: plot.traces(demo, "recordings/Monitor_layer/r", ax=ax),
    )
    sheet(
        "changes",
        5.4,
        lambda ax: plot.change_scatter(first, learnt, WEIGHTS, ax=ax),
        lambda ax: plot.change_histogram(first, learnt, WEIGHTS, ax=ax),
    )


if __name__ == "__main__":
    main()
