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
    _doubts(findings, path, stored, live, exact)
    if not stored.dynamics:
        return
    reason = "this simulator takes none of it back" if exact is None else exact.cannot_take(stored)
    if exact is None or reason is not None:
        findings.note(path, f"what the file keeps for an exact resume is not used: {reason}")
        return
    if (fault := exact.refuse_dynamics(stored)) is not None:
        findings.mismatch(f"{path}/dynamics".lstrip("/"), fault)
        return
    findings.do(SetDynamics(f"{path}/dynamics".lstrip("/"), exact, stored))
    if left := [name for name in live.dynamics if name not in stored.dynamics]:
        findings.note(path, f"the file does not have {', '.join(left)}, which stays as it is")


def _doubts(findings: Findings, path: str, stored: Owner, live: Owner, exact: ExactSimulator | None) -> None:
    """Say why resuming will not be exact, if it will not: what was not kept, and what cannot be put back."""
    said = stored.resume
    known = () if said is None else said.reasons
    made_up = exact is not None and said is not None and said.exactness is Exactness.RESEEDED
    if known and not made_up:
        findings.note(path, f"the file says that resuming is {said}")
    lost = [reason for reason in (live.resume.reasons if live.resume else ()) if reason not in known]
    if lost:
        findings.note(path, f"a resumed run may differ, because this cannot be put back: {', '.join(lost)}")


def _owners(stored: NetworkState, live: NetworkState) -> Iterator[tuple[str, Owner, Owner]]:
    """Yield the network and each object that both sides have."""
    yield "", stored, live
    for name, population in stored.populations.items():
        if name in live.populations:
            yield f"populations/{name}", population, live.populations[name]
    for name, projection in stored.projections.items():
        if name in live.projections:
            yield f"projections/{name}", projection, live.projections[name]
