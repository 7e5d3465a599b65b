"""Damaging bytes at random, the same way for the same number."""

from __future__ import annotations

import gzip
import io
import random
import zipfile

__all__ = ["mutant"]

_LARGE_FILE = 200_000


def mutant(data: bytes, others: list[bytes], seed: int) -> bytes:
    """Return ``data`` with a few defects; below compression and its checksums half the time.

    Parameters
    ----------
    data : bytes
        A genuine file.
    others : list of bytes
        Genuine files to take pieces from.
    seed : int
        Decides everything.
    """
    rng = random.Random(seed)
    if rng.random() < 0.5:
        if data.startswith(b"\x1f\x8b"):
            return gzip.compress(_damaged(gzip.decompress(data), others, rng), 1, mtime=0)
        if data.startswith(b"PK"):
            return _with_damaged_member(data, others, rng)
    return _damaged(data, others, rng)


def _with_damaged_member(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        members = source.namelist()
        chosen = rng.choice(members)
        for name in members:
            content = source.read(name)
            target.writestr(name, _damaged(content, others, rng) if name == chosen else content)
    return out.getvalue()


def _damaged(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    spoilt = bytearray(data[:_LARGE_FILE])
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        if spoilt:
            rng.choice(_DEFECTS)(spoilt, others, rng)
    return bytes(spoilt)


def _flip(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    # Half of all opcodes and tags are small numbers or letters.
    data[rng.randrange(len(data))] = rng.choice(
        (rng.randrange(256), rng.choice(b".()[]{}ehjbRcqrKMJG\x00\xff"))
    )


def _extreme(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(data))
    word = rng.choice((b"\xff" * 4, b"\x00" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8))
    data[at : at + len(word)] = word


def _cut(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _remove(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 8, 100))]


def _repeat(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 8, 100, 1000))
    data[at:at] = data[at : at + size] * rng.choice((1, 2, 50))


def _insert(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.choice((1, 4, 30)))


def _splice(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    at, start, size = rng.randrange(len(data)), rng.randrange(len(other)), rng.choice((4, 40, 400))
    data[at : at + rng.choice((0, size))] = other[start : start + size]


_DEFECTS = (_flip, _flip, _set, _set, _extreme, _cut, _remove, _repeat, _insert, _splice)
