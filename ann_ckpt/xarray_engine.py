"""The engine ``ann_ckpt`` of xarray: ``xarray.open_datatree("net.h5", engine="ann_ckpt")``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import xarray
from xarray.backends import BackendEntrypoint

from ann_ckpt.errors import ObjectNotFoundError
from ann_ckpt.paths import address_of
from ann_ckpt.store.opening import open_checkpoint, split_store_path

__all__ = ["CheckpointBackend"]


class CheckpointBackend(BackendEntrypoint):
    """Opens checkpoints for xarray; found by its name among the installed packages.

    ``run.ckpt@1000`` and ``run.ckpt@tag`` are paths here as everywhere. Files are closed with the
    dataset or the tree.
    """

    description = "Checkpoints of neural simulations (ann_ckpt)"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group")
    supports_groups = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether it is a store; of files, others read the same extension, so ``engine=`` has to say it."""
        return (
            isinstance(filename_or_obj, str | os.PathLike)
            and address_of(filename_or_obj) is None  # behind one, others read what they know by asking
            and split_store_path(filename_or_obj) is not None
        )

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
    ) -> xarray.DataTree:
        """Open a checkpoint as :meth:`Checkpoint.to_xarray() <ann_ckpt.Checkpoint.to_xarray>` returns it.

        Raises
        ------
        ObjectNotFoundError
            If there is no such group; the message names those that are there.
        """
        checkpoint = open_checkpoint(filename_or_obj)
        tree = checkpoint.to_xarray()
        if group is not None:
            paths = {node.path: node for node in tree.subtree}
            if (path := "/" + group.strip("/")) not in paths:
                checkpoint.close()
                raise ObjectNotFoundError.among(os.fspath(filename_or_obj), "group", path, paths)
            tree = paths[path].copy(inherit=False)
        for node in tree.subtree:
            node.dataset = node.to_dataset(inherit=False).drop_vars(_names(drop_variables), errors="ignore")
        tree.set_close(checkpoint.close)
        return tree

    def open_groups_as_dict(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None
    ) -> dict[str, xarray.Dataset]:
        """Open every node of the tree by its path; the root's closes the file."""
        tree = self.open_datatree(filename_or_obj, drop_variables=drop_variables)
        groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
        groups["/"].set_close(tree.close)
        return groups

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
    ) -> xarray.Dataset:
        """Open one node, by default the root with the constants.

        Raises
        ------
        ObjectNotFoundError
            If there is no such group; the message names those that are there.
        """
        groups = self.open_groups_as_dict(filename_or_obj, drop_variables=drop_variables)
        path = "/" + (group or "").strip("/")
        if path not in groups:
            groups["/"].close()
            raise ObjectNotFoundError.among(os.fspath(filename_or_obj), "group", path, groups)
        if path != "/":
            groups[path].set_close(groups["/"].close)
        return groups[path]


def _names(given: str | Iterable[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())
