"""How much memory is free: on the machine, and in the job that this process runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["available"]

_GROUPS = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Return how many bytes this process may still take; None where the system does not say.

    What the machine could give, and what each control group leaves in which a batch system or a
    container has put the process. Memory that only keeps files at hand counts as free.
    """
    found = [*_machine(), *_groups()]
    return max(0, min(found)) if found else None


def _machine() -> Iterator[int]:
    with suppress(OSError, ValueError, KeyError):
        yield _table(Path("/proc/meminfo"))["MemAvailable:"] << 10


def _groups() -> Iterator[int]:
    """Yield what each group on the way to the root leaves that has a limit."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:  # version 2
                root, limit, used, files = _GROUPS, "memory.max", "memory.current", "inactive_file"
            elif "memory" in controllers.split(","):
                root = _GROUPS / "memory"
                limit, used, files = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            else:
                continue
            group = root / path.lstrip("/")
            for folder in (group, *group.parents):
                if not folder.is_relative_to(root):
                    break
                with suppress(OSError, ValueError, KeyError):  # not every group has a limit
                    allowed = int((folder / limit).read_text())
                    yield allowed - int((folder / used).read_text()) + _table(folder / "memory.stat")[files]


def _table(path: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    return {
        words[0]: int(words[1]) for line in path.read_text().splitlines() if len(words := line.split()) > 1
    }
