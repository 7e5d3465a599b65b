"""Networks of NEST: names for what is in the kernel, and networks made from files.

    import nest
    import ann_ckpt.nest

    net = ann_ckpt.nest.network({"E": E, "I": I}, devices={"noise": noise})
    ann_ckpt.save("net.h5", network=net)

    nest.ResetKernel()  # or in a new process
    net = ann_ckpt.nest.build("net.h5")

Nothing of NEST is linked; its public Python calls are all that is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ann_ckpt.adapters.nest import NestNetwork, adapt
from ann_ckpt.adapters.nest import build as _built
from ann_ckpt.arguments import check_flags
from ann_ckpt.selection import EVERYTHING
from ann_ckpt.store.opening import PathLike, stored_reading

__all__ = ["NestNetwork", "adapt", "build", "network"]


def network(populations: Mapping[str, Any], *, devices: Mapping[str, Any] | None = None) -> NestNetwork:
    """Name what is in NEST's kernel, for every call that takes ``network=``.

    Parameters
    ----------
    populations : mapping of str to NodeCollection
        Each of neurons of one model.
    devices : mapping of str to NodeCollection, optional
        Generators and recorders; what is not named is not saved.

    Raises
    ------
    OptionError
        If a name is no text, or something is not a NodeCollection, is empty, or stands under two names.
    MissingExtraError
        Without NEST, which the extra ``nest`` brings.
    """
    return NestNetwork(populations, {} if devices is None else devices)


def build(filename: PathLike, *, replay: bool = True) -> NestNetwork:
    """Make the network of a file in NEST's kernel, which has to be empty.

    Parameters
    ----------
    filename : path-like
        As :func:`ann_ckpt.load` takes it: a checkpoint, or a store for its newest one.
    replay : bool
        Go through the last milliseconds that :meth:`NestNetwork.keep` kept, so that the run goes on as it
        did.

    Returns
    -------
    NestNetwork
        ``.populations[name]`` and ``.devices[name]`` are NodeCollections. Its time goes on from that of the
        file; the clock of the kernel begins at 0, and devices are set so that they are on when they would be.

    Raises
    ------
    SimulatorError
        If the kernel is not empty, NEST cannot make the network, or it does not spike as it did when that is
        replayed; the kernel is empty then.
    CorruptFileError
        If the file is damaged.
    """
    check_flags(replay=replay)
    with stored_reading(filename, EVERYTHING) as reading:
        return _built(reading.state, replay=replay)
