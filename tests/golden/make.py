"""Write the golden files of the present format version: ``python -m tests.golden.make``.

Run once when a version is released, never again: the files are what older readers and
writers left us, not what the code of today makes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ann_ckpt
from ann_ckpt import api
from ann_ckpt.format.layout import VERSION
from tests.golden.networks import NETWORKS


def main() -> None:
    # The files are published: they say which version wrote them and nothing of the machine.
    api.provenance = lambda simulator=None: {"ann_ckpt": ann_ckpt.__version__}
    for name, make in NETWORKS.items():
        path = Path(__file__).parent / f"{name}-{VERSION[0]}.{VERSION[1]}.h5"
        if path.exists():
            sys.exit(f"{path.name} is there already and stays as it is")
        ann_ckpt.write(make(), path)


if __name__ == "__main__":
    main()
