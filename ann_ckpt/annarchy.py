"""ANNarchy networks, read and written at memory speed and resumed exactly.

    import ann_ckpt

    ann_ckpt.annarchy.compile(net)      # instead of net.compile()

A network compiled so gives out and takes back what ANNarchy otherwise keeps to itself:
delay queues, spikes on their way, refractory countdowns, random generators. Its results
are the same, bit for bit. See ``docs/exact-resume.md``.
"""

from __future__ import annotations

from typing import Any

from ann_ckpt.adapters.annarchy.instrument import Instrumentation, InstrumentationWarning

__all__ = ["Instrumentation", "InstrumentationWarning", "compile", "instrument"]


def instrument() -> Instrumentation:
    """Instrument every ANNarchy 5.0 network that is compiled from now on.

    Use the result as a context manager around ``compile()``, or call its ``remove()``.
    Networks that were compiled before stay as they are.

    Warns
    -----
    InstrumentationWarning
        Once, if ANNarchy is of a version that is not known or its code generator has
        changed. Then nothing is changed, and networks work as they always did.

    Examples
    --------
    >>> with ann_ckpt.annarchy.instrument():          # doctest: +SKIP
    ...     net.compile()
    """
    return Instrumentation()


def compile(network: Any, **options: Any) -> None:  # noqa: A001  (ANNarchy's own word for it)
    """Compile a network with the instrumentation.

    Parameters
    ----------
    network : ANNarchy.Network
    **options
        What its ``compile()`` takes.
    """
    with instrument():
        network.compile(**options)
