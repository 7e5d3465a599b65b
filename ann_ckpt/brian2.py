"""Networks of Brian2 in every call that takes ``network=``.

    import ann_ckpt

    ann_ckpt.save("net.h5", network=net)

Brian2 itself is imported neither here nor by ``ann_ckpt``: whoever has a network of it has done so.
"""

from __future__ import annotations

from ann_ckpt.adapters.brian2 import adapt, prepare

__all__ = ["adapt", "prepare"]
