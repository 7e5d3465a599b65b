"""What a package needs to let its simulator save and load: the protocol, and the way in.

See ``docs/simulators.md``. A package that is installed joins without being imported, by an
entry point of the group ``ann_ckpt.simulators``; a script calls :func:`register`.
"""

from ann_ckpt.adapters.protocol import (
    Builds,
    CallsBack,
    Clock,
    ExactSimulator,
    HasClock,
    MayFork,
    Owner,
    Reading,
    Records,
    RefusesTimeStep,
    RefusesValues,
    Replays,
    SetsPathwayDelays,
    SetsTogether,
    Simulator,
)
from ann_ckpt.adapters.simulators import Adapt, Build, Prepare, register

__all__ = [
    "Adapt",
    "Build",
    "Builds",
    "CallsBack",
    "Clock",
    "ExactSimulator",
    "HasClock",
    "MayFork",
    "Owner",
    "Prepare",
    "Reading",
    "Records",
    "RefusesTimeStep",
    "RefusesValues",
    "Replays",
    "SetsPathwayDelays",
    "SetsTogether",
    "Simulator",
    "register",
]
