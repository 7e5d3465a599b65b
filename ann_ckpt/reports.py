"""What the calls of this package return besides networks: reports, notes, small records."""

from ann_ckpt.convert import ConvertReport
from ann_ckpt.diffing.report import StateDiff, SynapseChange, ValueChange
from ann_ckpt.export import ExportReport
from ann_ckpt.format.dataset import Storage
from ann_ckpt.model.rows import Dendrite, Synapses
from ann_ckpt.report import LoadReport, Loss, Note, Progress, Report, SaveReport, VerifyReport
from ann_ckpt.resume.report import ResumeReport
from ann_ckpt.runs import Run, Runs
from ann_ckpt.store.mirror import TransferReport
from ann_ckpt.store.reports import PruneReport, StorePlan, StoreReport
from ann_ckpt.store.saving.background import BackgroundSave
from ann_ckpt.store.saving.placement import ArrayAction, ArrayPlan
from ann_ckpt.store.summary import CheckpointInfo

__all__ = [
    "ArrayAction",
    "ArrayPlan",
    "BackgroundSave",
    "CheckpointInfo",
    "ConvertReport",
    "Dendrite",
    "ExportReport",
    "LoadReport",
    "Loss",
    "Note",
    "Progress",
    "PruneReport",
    "Report",
    "ResumeReport",
    "Run",
    "Runs",
    "SaveReport",
    "StateDiff",
    "Storage",
    "StorePlan",
    "StoreReport",
    "SynapseChange",
    "Synapses",
    "TransferReport",
    "ValueChange",
    "VerifyReport",
]
