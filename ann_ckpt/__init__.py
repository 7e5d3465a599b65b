"""Checkpoints for neural simulations: save, load, look inside, without loading it all.

>>> import ann_ckpt
>>> ann_ckpt.save("net.h5", network=net)              # doctest: +SKIP
>>> with ann_ckpt.open("net.h5") as ckpt:             # doctest: +SKIP
...     ckpt.projections["ff"].dendrite(5)["w"]
"""

from ann_ckpt import annarchy, errors, params, reports, simulators
from ann_ckpt._version import __version__
from ann_ckpt.api import build, load, read, save, verify, write

# Used qualified, and so not in __all__: a star import would hide the builtin.
from ann_ckpt.api import open as open  # noqa: A004
from ann_ckpt.convert import convert
from ann_ckpt.diffing import diff
from ann_ckpt.export import export
from ann_ckpt.lazy import Checkpoint, LazyArray, LazyPopulation, LazyProjection
from ann_ckpt.model import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    Part,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
    Series,
    TypeInfo,
    differences,
)
from ann_ckpt.params.calls import load_parameters, save_parameters
from ann_ckpt.resume.verify import verify_resume
from ann_ckpt.runs import runs
from ann_ckpt.selection import Selection
from ann_ckpt.store.mirror import pull, push
from ann_ckpt.store.pruning import Retention
from ann_ckpt.store.store import CheckpointStore

__all__ = [
    "Attribute",
    "AttributeInfo",
    "Checkpoint",
    "CheckpointStore",
    "Connectivity",
    "Exactness",
    "LazyArray",
    "LazyPopulation",
    "LazyProjection",
    "Locality",
    "NetworkState",
    "Part",
    "PopulationState",
    "ProjectionState",
    "Recording",
    "Resume",
    "Retention",
    "Selection",
    "Series",
    "TypeInfo",
    "__version__",
    "annarchy",
    "build",
    "convert",
    "diff",
    "differences",
    "errors",
    "export",
    "load",
    "load_parameters",
    "params",
    "pull",
    "push",
    "read",
    "reports",
    "runs",
    "save",
    "save_parameters",
    "simulators",
    "verify",
    "verify_resume",
    "write",
]
