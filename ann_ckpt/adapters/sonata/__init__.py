"""Networks as SONATA has them: HDF5 files of nodes and edges, tables of their types, a circuit_config.json.

Written after the SONATA guide, https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md,
and what libsonata, bluepysnap and bmtk read.
"""

from ann_ckpt.adapters.sonata.reading import detect, examine, members
from ann_ckpt.adapters.sonata.writing import write

__all__ = ["detect", "examine", "members", "write"]
