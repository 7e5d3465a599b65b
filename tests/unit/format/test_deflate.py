"""Lanes of every kind come back through any zlib, and noise is not paid for."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from ann_ckpt.format.codec import patterned, zlib_stream

KINDS = {
    "noise": lambda rng, n: rng.integers(0, 256, n, np.uint8),
    "constant": lambda rng, n: np.full(n, 63, np.uint8),
    "few values": lambda rng, n: rng.integers(60, 64, n, np.uint8),
    "period": lambda rng, n: np.resize(rng.integers(0, 256, 1000, np.uint8), n),
    "half noise": lambda rng, n: np.where(np.arange(n) < n // 2, 0, rng.integers(0, 256, n)).astype(np.uint8),
}


def lanes_of(kinds: list[str], length: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.stack([KINDS[kind](rng, length) for kind in kinds])


@given(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8),
    st.sampled_from([1, 2, 100, 2047, 2048, 32_768, 65_535, 65_536, 150_000]),
)
def test_every_zlib_reads_the_stream(kinds: list[str], length: int) -> None:
    lanes = lanes_of(kinds, length)
    packed = zlib_stream(lanes, patterned(lanes[np.newaxis]))
    assert zlib.decompress(packed) == lanes.tobytes()
    assert isal_zlib.decompress(packed) == lanes.tobytes()


@given(st.data(), st.sampled_from([1, 100, 65_536]))
def test_whatever_is_deflated_and_whatever_stored_the_stream_is_whole(data, length) -> None:
    lanes = lanes_of(["noise", "constant", "period", "noise"], length)
    packed = zlib_stream(lanes, data.draw(st.lists(st.booleans(), min_size=4, max_size=4)))
    assert zlib.decompress(packed) == lanes.tobytes()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"noise"}))
def test_pattern_is_found_among_noise(kind: str) -> None:
    lanes = lanes_of(["noise", "noise", kind, "noise"], 32_768)
    plain = sum(len(isal_zlib.compress(lane.tobytes(), 1)) for lane in lanes)
    assert len(zlib_stream(lanes, patterned(lanes[np.newaxis]))) <= plain


def test_a_pattern_in_a_third_of_the_chunks_is_found() -> None:
    for patterned_one in range(3):
        chunks = np.random.default_rng(3).integers(0, 256, (3, 2, 32_768), np.uint8)
        chunks[patterned_one, 1] = 7
        assert patterned(chunks) == [False, True]


def test_noise_grows_by_block_headers_only() -> None:
    lanes = lanes_of(["noise"] * 8, 32_768)
    blocks = -(-lanes.size // 65_535)
    assert len(zlib_stream(lanes, patterned(lanes[np.newaxis]))) == lanes.size + 5 * blocks + 2 + 5 + 4
