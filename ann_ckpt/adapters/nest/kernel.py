"""The kernel of NEST, of which there is one in a process."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import MissingExtraError

__all__ = ["kernel", "node_ids", "slice_steps"]


def kernel() -> Any:
    """Return the module ``nest``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import nest
    except ImportError as error:
        raise MissingExtraError(
            "networks of NEST need nest-simulator", details={"hint": "pip install 'ann_ckpt[nest]'"}
        ) from error
    return nest


def slice_steps() -> int:
    """Return how many steps NEST simulates before it delivers spikes."""
    nest = kernel()
    return max(1, round(float(nest.min_delay) / float(nest.resolution)))


def node_ids(nodes: Any) -> NDArray[np.int64]:
    """Return the numbers of nodes, int64, shape ``(n,)``."""
    first, last = nodes[0].global_id, nodes[-1].global_id
    if last - first + 1 == len(nodes):
        return np.arange(first, last + 1)
    return np.asarray(nodes.tolist(), np.int64)
