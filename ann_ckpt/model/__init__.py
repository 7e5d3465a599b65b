"""The common data model: pure numpy, no HDF5, no simulator."""

from ann_ckpt.model.arrays import (
    Array,
    Attribute,
    Locality,
    as_array,
    blocks,
    identical_values,
    in_memory,
    nbytes,
    plain_array,
)
from ann_ckpt.model.connectivity import Connectivity
from ann_ckpt.model.objects import PopulationState, ProjectionState
from ann_ckpt.model.plain import metadata_from_json, metadata_to_json, plain_metadata
from ann_ckpt.model.recordings import Recording, Series
from ann_ckpt.model.rows import Dendrite, RowAccess, Synapses
from ann_ckpt.model.state import NetworkState, differences
from ann_ckpt.model.types import AttributeInfo, Exactness, Part, Resume, TypeInfo

__all__ = [
    "Array",
    "Attribute",
    "AttributeInfo",
    "Connectivity",
    "Dendrite",
    "Exactness",
    "Locality",
    "NetworkState",
    "Part",
    "PopulationState",
    "ProjectionState",
    "Recording",
    "Resume",
    "RowAccess",
    "Series",
    "Synapses",
    "TypeInfo",
    "as_array",
    "blocks",
    "differences",
    "identical_values",
    "in_memory",
    "metadata_from_json",
    "metadata_to_json",
    "nbytes",
    "plain_array",
    "plain_metadata",
]
