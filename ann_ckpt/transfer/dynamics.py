"""What a simulator carries from step to step: whether a network takes it, and what resuming will be."""

from __future__ import annotations

from collections.abc import Iterator

from ann_ckpt.adapters.protocol import ExactSimulator, Owner
from ann_ckpt.model import Exactness, NetworkState
from ann_ckpt.transfer.actions import Reseed, SetDynamics
from ann_ckpt.transfer.findings import Findings

__all__ = ["plan_dynamics"]


def plan_dynamics(
    findings: Findings, stored: NetworkState, live: NetworkState, exact: ExactSimulator | None
) -> None:
    """Plan to set all that is carried, and say where a resumed run will not be exact.

    Parameters
    ----------
    findings : Findings
        Takes actions and reports; those of everything else are in it.
    stored, live : NetworkState
        What a file holds, and the network.
    exact : ExactSimulator or None
        None if the simulator takes nothing back.
    """
    if stored.reseeded is not None and exact is not None:
        findings.do(Reseed("reseeded", exact, stored.reseeded))
    for path, owner, present in _owners(stored, live):
        _plan(findings, path, owner, present, exact)


def _plan(findings: Findings, path: str, stored: Owner, live: Owner, exact: ExactSimulator | None) -> None:
    # What the live network does not keep either, it says itself.
    if not _is_exact(stored) and _is_exact(live):
        findings.note(path, f"the file says that resuming is {stored.resume}")
    if not stored.dynamics:
        return
    reason = "this simulator takes none of it back" if exact is None else exact.cannot_take(stored)
    if exact is None or reason is not None:
        findings.note(path, f"what the file keeps for an exact resume is not used: {reason}")
    elif (fault := exact.refuse_dynamics(stored)) is not None:
        findings.mismatch(f"{path}/dynamics".lstrip("/"), fault)
    else:
        findings.do(SetDynamics(f"{path}/dynamics".lstrip("/"), exact, stored))


def _is_exact(owner: Owner) -> bool:
    """Whether nothing speaks against resuming exactly."""
    return owner.resume is None or owner.resume.exactness is Exactness.EXACT


def _owners(stored: NetworkState, live: NetworkState) -> Iterator[tuple[str, Owner, Owner]]:
    """Yield the network and each object that both sides have."""
    yield "", stored, live
    for name, population in stored.populations.items():
        if name in live.populations:
            yield f"populations/{name}", population, live.populations[name]
    for name, projection in stored.projections.items():
        if name in live.projections:
            yield f"projections/{name}", projection, live.projections[name]
