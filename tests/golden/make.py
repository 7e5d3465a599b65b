"""Write the golden files and store of the present format version: ``python -m tests.golden.make``.

Run once when a version is released. What is there already stays as it is: golden files are
what older readers and writers left us, not what the code of today makes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ann_ckpt
from ann_ckpt import api
from ann_ckpt.format.layout import PLAIN_VERSION
from ann_ckpt.store import store
from tests.golden.networks import NETWORKS, SINCE, STEPS, TAGS, divided, further, parted, recorded, run

HERE = Path(__file__).parent


def main() -> None:
    # They are published: they say which version wrote them and nothing of the machine.
    api.provenance = store.provenance = lambda simulator=None: {"ann_ckpt": ann_ckpt.__version__}
    for name, make in NETWORKS.items():
        path = HERE / f"{name}-{_text(SINCE.get(name, PLAIN_VERSION))}.h5"
        if not path.exists():
            ann_ckpt.write(make(), path)
    path = HERE / f"run-{_text(PLAIN_VERSION)}.ckpt"
    if not path.exists():
        make_store(path)
    path = HERE / f"further-{_text(SINCE['further'])}.ckpt"
    if not path.exists():
        with ann_ckpt.CheckpointStore(path, "a") as checkpoints:
            checkpoints.save(further())
            checkpoints.save(replace(further(), time_step=20))
    for name, steps in ((recorded, (400, 1500)), (parted, (10, 20)), (divided, (400, 500))):
        path = HERE / f"{name.__name__}-{_text(SINCE[name.__name__])}.ckpt"
        if not path.exists():
            with ann_ckpt.CheckpointStore(path, "a") as checkpoints:
                for step in steps:
                    checkpoints.save(name(step))


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def make_store(path: Path) -> None:
    with ann_ckpt.CheckpointStore(path, "a") as store:
        for step in STEPS:
            store.save(run(step), tag=TAGS.get(step))
        store.prune(keep=lambda checkpoint: checkpoint.time_step != STEPS[1])


if __name__ == "__main__":
    main()
