"""Checkpoints for neural simulations: save, load, look inside, without loading it all.

>>> import ann_ckpt
>>> ann_ckpt.save("net.h5", network=net)              # doctest: +SKIP
>>> with ann_ckpt.open("net.h5") as ckpt:             # doctest: +SKIP
...     ckpt.projections["ff"].dendrite(5)["w"]
"""

from ann_ckpt import annarchy, errors, params, simulators
from ann_ckpt._version import __version__
from ann_ckpt.api import load, open, read, save, verify, write  # noqa: A004  (used qualified)
from ann_ckpt.convert import ConvertReport, convert
from ann_ckpt.diffing import StateDiff, SynapseChange, ValueChange, diff
from ann_ckpt.lazy import Checkpoint, LazyArray, LazyProjection
from ann_ckpt.model import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Dendrite,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
    Synapses,
    TypeInfo,
)
from ann_ckpt.model.compare import differences
from ann_ckpt.params.calls import load_parameters, save_parameters
from ann_ckpt.report import LoadReport, Note, SaveReport, VerifyReport
from ann_ckpt.resume.verify import ResumeReport, verify_resume
from ann_ckpt.selection import Selection
from ann_ckpt.store.background import BackgroundSave
from ann_ckpt.store.catalog import CheckpointInfo
from ann_ckpt.store.reports import PruneReport, StorePlan, StoreReport
from ann_ckpt.store.retention import Retention
from ann_ckpt.store.store import CheckpointStore

__all__ = [
    "Attribute",
    "AttributeInfo",
    "BackgroundSave",
    "Checkpoint",
    "CheckpointInfo",
    "CheckpointStore",
    "Connectivity",
    "ConvertReport",
    "Dendrite",
    "Exactness",
    "LazyArray",
    "LazyProjection",
    "LoadReport",
    "Locality",
    "NetworkState",
    "Note",
    "PopulationState",
    "ProjectionState",
    "PruneReport",
    "Resume",
    "ResumeReport",
    "Retention",
    "SaveReport",
    "Selection",
    "StateDiff",
    "StorePlan",
    "StoreReport",
    "SynapseChange",
    "Synapses",
    "TypeInfo",
    "ValueChange",
    "VerifyReport",
    "__version__",
    "annarchy",
    "convert",
    "diff",
    "differences",
    "errors",
    "load",
    "load_parameters",
    "open",
    "params",
    "read",
    "save",
    "save_parameters",
    "simulators",
    "verify",
    "verify_resume",
    "write",
]
