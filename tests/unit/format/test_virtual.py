"""What HDF5 would hang or crash on, or read as another number, is found before it opens it."""

from __future__ import annotations

import pytest

import ann_ckpt
from ann_ckpt.format.virtual import lookup3
from ann_ckpt.store.saving import blocks, placement
from tests.faults.flips import STORE, flip, prepare_flips

FLOAT = bytes.fromhex("11203f000800000000004000340b0034ff030000")
"""How HDF5 describes a little-endian double."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A store of the smallest pieces, one of its arrays in several."""
    for module, name in ((placement, "INLINE_BYTES"), (blocks, "ROW_BLOCK"), (blocks, "LONGEST")):
        monkeypatch.setattr(module, name, getattr(module, name))
    prepare_flips("store", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xDEADBEEF),
        (b"Four score and seven years ago", 0x17770551),
    ],
)
def test_known_checksums(data, expected):
    """The answers that the function's author gives."""
    assert lookup3(data) == expected


def test_sources_of_a_virtual_dataset_are_checked_before_hdf5_opens_it(folder):
    file = next((folder / STORE / "checkpoints").iterdir())
    data = file.read_bytes()
    heap = data.index(b"GCOL\x01")
    sources = heap + 32
    length = int.from_bytes(data[heap + 24 : heap + 32], "little")
    assert lookup3(data[sources : sources + length - 4]) == int.from_bytes(
        data[sources + length - 4 : sources + length], "little"
    )
    free = heap + 32 + -(-length // 8) * 8
    places = [heap + 9, heap + 16, heap + 24, sources, sources + 5, free - 13, free - 11, free - 9, free + 9]
    bits = [8 * place + bit for place in places for bit in (0, 3, 6)]
    found = flip(str(folder), str(file), bits)
    assert found["wrong"] == []
    assert found["refused"] > len(bits) // 2
    assert ann_ckpt.verify(folder / STORE).ok


def test_a_number_whose_bits_hdf5_finds_elsewhere_is_refused(folder):
    wrong, refused, described = [], 0, 0
    for file in sorted((folder / STORE / "objects").glob("??/*.h5")):
        at = file.read_bytes().find(FLOAT)
        if at < 0:
            continue
        described += 1
        # Size, offset, precision, and where sign, exponent and mantissa are.
        found = flip(str(folder), str(file), list(range(8 * at, 8 * (at + len(FLOAT)), 3)))
        wrong += found["wrong"]
        refused += found["refused"]
    assert described
    assert wrong == []
    assert refused
