"""A store behind an address: what reading asks of its folder, by listing it."""

from __future__ import annotations

from operator import attrgetter
from typing import Any
from urllib.parse import unquote

from ann_ckpt.errors import FileMissingError
from ann_ckpt.format import layout
from ann_ckpt.paths import Address
from ann_ckpt.remote import Listed, is_there, listed
from ann_ckpt.store.folder import parse_settings
from ann_ckpt.store.names import SUFFIX, Slot
from ann_ckpt.uploads import fetch

__all__ = ["Bucket", "bucket_at"]

_FILES = (".h5", ".hdf5")


class Bucket:
    """The checkpoints of a store in a bucket, or on a web server; objects are found from each of them."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._listed: dict[Slot, Listed] = {}
        self.voided: frozenset[Slot] = frozenset()
        """Names that no checkpoint can have, as listed last: see :mod:`ann_ckpt.store.owners.lease`."""
        self.path = address.shown
        """The address, for messages."""

    def slots(self, *, step: int | None = None) -> list[Slot]:
        """All committed checkpoints, oldest first, or those named after one step; one request.

        Raises
        ------
        NotReadableError
            If the server lists nothing, or does not answer.
        """
        found = listed(self.address.at(f"{self.address.key}/checkpoints"))
        named = {Slot.parse(one.name.removesuffix(".h5")): one for one in found if one.name.endswith(".h5")}
        self._listed = {slot: one for slot, one in named.items() if slot is not None and one.size}
        self.voided = frozenset(slot for slot, one in named.items() if slot is not None and not one.size)
        slots = (slot for slot in self._listed if step in (None, slot.step))
        return sorted(slots, key=attrgetter("round", "step"))

    def at(self, name: str) -> Address:
        """Address of something in the store."""
        return self.address.at(f"{self.address.key}/{name}")

    def settings(self) -> dict[str, Any]:
        """Read the settings; raises as :meth:`StoreFolder.settings` does."""
        try:
            text = fetch(self.at(layout.STORE_FILE))
        except FileMissingError as error:
            raise FileMissingError("the store does not exist", where=self.path) from error
        return parse_settings(text, self.path)

    def has(self, slot: Slot) -> bool:
        """Whether it is worth while to ask for a checkpoint that was called by its whole name."""
        return True

    def checkpoint_path(self, slot: Slot) -> str:
        """Address of a checkpoint as text."""
        return str(self.checkpoint_address(slot))

    def checkpoint_address(self, slot: Slot) -> Address:
        """Address of a checkpoint."""
        return self.at(f"checkpoints/{slot.name}.h5")

    def status(self, slot: Slot) -> tuple[object, int]:
        """What tells a checkpoint's file from another one, and its size, as they were listed last.

        Raises
        ------
        FileMissingError
            If it was not there any more.
        """
        found = self._listed.get(slot)
        if found is None:
            raise FileMissingError("the store has no such file", where=self.checkpoint_path(slot))
        return found.mark, found.size


def bucket_at(address: Address) -> tuple[Bucket, str | None] | None:
    """Return the store that an address refers to, and what stands behind its ``@``; None for a file.

    A name that ends in ``.ckpt`` is a store, one that ends in ``.h5`` or ``.hdf5`` a file. Of any other,
    the server is asked whether there is a store.

    Raises
    ------
    NotReadableError
        If the server does not say.
    """
    head, at, which = address.key.partition(f"{SUFFIX}@")
    if at:
        return Bucket(address.at(head + SUFFIX)), unquote(which) if "http" in address.scheme else which
    if address.key.endswith(_FILES):
        return None
    if address.key.endswith(SUFFIX) or is_there(address.at(f"{address.key}/store.json")):
        return Bucket(address), None
    return None
