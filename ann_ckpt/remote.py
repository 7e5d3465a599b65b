"""Servers with objects: how they are reached, what they have, and what their errors mean.

The package obstore speaks to S3, Google Cloud Storage, Azure and plain web servers, takes credentials
from the environment, and repeats requests that fail.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from ann_ckpt.errors import (
    ChangedFileError,
    CheckpointError,
    FileMissingError,
    MissingExtraError,
    NotReadableError,
    OptionError,
    printable,
)
from ann_ckpt.paths import Address

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

__all__ = ["Listed", "changed_object", "explained", "is_there", "listed", "place", "size_of"]

_CLIENT: ClientConfig = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "300s"}
_RETRY: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=120),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
    "read_timeout",
    "timeout",
)
"""Options of connections that the environment may set, each with what :data:`_CREDENTIALS` lists in front."""
_CREDENTIALS = ("AWS_", "GOOGLE_", "AZURE_")
"""What environment variables begin with that obstore reads."""
_HINT = "credentials come from the environment, see docs/remote.md"
_ROLES = ("/latest/api/token", "/computeMetadata/", "/metadata/identity/")
"""Where obstore asks clouds for the role of the machine, having no credentials: S3, Google, Azure."""


class Listed(NamedTuple):
    """One object in a listing."""

    name: str
    """Without the folder."""
    size: int
    mark: str
    """Entity tag, or time of the last change: another one is another object."""


def listed(folder: Address) -> list[Listed]:
    """Return the objects directly in a folder; none where there is no such folder.

    Raises
    ------
    NotReadableError
        If the server lists nothing, as most web servers do.
    """
    store, key = place(folder)
    import obstore

    try:
        with explained(folder, opened=True):
            found = obstore.list_with_delimiter(store, prefix=f"{key}/")["objects"]
    except FileMissingError:
        return []
    except NotReadableError as error:
        if folder.scheme in ("http", "https"):
            raise _no_listing(folder, error) from error
        raise
    return [
        Listed(meta["path"].rpartition("/")[2], meta["size"], meta["e_tag"] or str(meta["last_modified"]))
        for meta in found
    ]


def _no_listing(folder: Address, error: NotReadableError) -> NotReadableError:
    hint = "name one checkpoint: run.ckpt/checkpoints/000000001000.h5, or run.ckpt@000000001000"
    return NotReadableError(
        "the web server does not list the checkpoints of a store",
        details={"hint": hint, "found": error.fact},
        where=folder.shown,
    )


def is_there(address: Address) -> bool:
    """Whether there is an object at an address; raises as :func:`size_of`."""
    return size_of(address) is not None


def size_of(address: Address) -> int | None:
    """Return the bytes of an object; None if there is none.

    Raises
    ------
    NotReadableError
        If the server does not say.
    """
    store, key = place(address)
    import obstore

    try:
        with explained(address, opened=False):
            return obstore.head(store, key)["size"]
    except FileMissingError:
        return None


def place(address: Address) -> tuple[ObjectStore, str]:
    """Return the store in which an object is, and its name there.

    Raises
    ------
    MissingExtraError
        Without obstore.
    OptionError
        If obstore does not take what the environment says.
    NotReadableError
        In a process that was forked after its parent had used obstore: its threads are not in the child.
    """
    global _PROCESS  # noqa: PLW0603
    try:
        import obstore  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"{address.scheme}:// needs the package obstore",
            details={"install": "pip install 'ann_ckpt[remote]'"},
            where=address.shown,
        ) from error
    _PROCESS = _PROCESS or os.getpid()
    if os.getpid() != _PROCESS:
        raise NotReadableError(
            "this process was forked from one that reads over the network",
            details={"hint": "start processes with the method spawn or forkserver of multiprocessing"},
            where=address.shown,
        )
    settings = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(_CREDENTIALS)))
    web = address.scheme in ("http", "https")
    try:
        store = _store(address.scheme, address.root, address.query, settings)
    except Exception as error:
        raise OptionError(
            f"obstore refuses the settings for {address.scheme}://",
            details={"found": _first_line(error)},
            where=address.shown,
        ) from error
    return store, unquote(address.key) if web else address.key


_PROCESS = 0


@lru_cache(32)
def _store(scheme: str, root: str, query: str, _: tuple[tuple[str, str], ...]) -> ObjectStore:
    """Return a store with its connections; another one where the environment says something else."""
    from obstore import store

    if scheme in ("http", "https"):
        address = f"{scheme}://{root}" + (f"?{query}" if query else "")
        client: ClientConfig = {**_CLIENT, "allow_http": scheme == "http"}
        return store.HTTPStore.from_url(address, client_options=client, retry_config=_RETRY)
    prefix, kind = {
        "s3": ("AWS_", store.S3Store),
        "gs": ("GOOGLE_", store.GCSStore),
        "az": ("AZURE_", store.AzureStore),
    }[scheme]
    # Options of the connection that are given here replace those that obstore finds itself.
    found = {name: os.environ.get(prefix + name.upper()) for name in _OPTIONS}
    options: Any = {**_CLIENT, **{name: value for name, value in found.items() if value is not None}}
    made: ObjectStore = kind(root, client_options=options, retry_config=_RETRY)
    return made


class explained:  # noqa: N801  (reads as a verb)
    """Convert what obstore raises to errors of this package."""

    def __init__(self, address: Address, *, opened: bool) -> None:
        self._address = address
        self._opened = opened

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, CheckpointError) or not isinstance(error, Exception):
            return
        raise _translated(error, self._address, opened=self._opened) from error


def _translated(error: Exception, address: Address, *, opened: bool) -> CheckpointError:
    from obstore import exceptions

    where, found = address.shown, {"found": _first_line(error)}
    known: CheckpointError
    match error:
        case exceptions.NotFoundError() | FileNotFoundError():
            gone = "the object was removed while it was open" if opened else "the object does not exist"
            known = FileMissingError(gone, where=where)
        case exceptions.PreconditionError():
            known = changed_object(address)
        case exceptions.PermissionDeniedError() | exceptions.UnauthenticatedError():
            found["hint"] = _HINT
            known = NotReadableError("the server denies access", details=found, where=where)
        case exceptions.NotSupportedError():
            hint = {"hint": "download the file, or put it on a server that does"}
            known = NotReadableError("the server does not give ranges of bytes", details=hint, where=where)
        case exceptions.InvalidPathError():
            known = OptionError("the address does not name an object", details=found, where=where)
        case _ if any(role in str(error) for role in _ROLES):
            found["hint"] = _HINT
            fact = f"no credentials for {address.scheme}://, and this machine has no role"
            known = NotReadableError(fact, details=found, where=where)
        case _:
            late = "kind: Timeout" in str(error)
            fact = "the server does not answer in time" if late else "the server does not give the object"
            known = NotReadableError(fact, details=found, where=where)
    return known


def _first_line(error: Exception) -> str:
    """Return what went wrong, without the dump behind it and without a query, which may be a signature."""
    words = (str(error).splitlines() or [type(error).__name__])[0].split()
    return printable(" ".join(word.partition("?")[0] for word in words), 300)


def changed_object(address: Address) -> ChangedFileError:
    """Return the error that an object is not the one that was opened."""
    return ChangedFileError("the object was replaced while it was open", where=address.shown)
