"""docs/indexing.md says what happens today, and its columns of ours are what it is there to show."""

from __future__ import annotations

import pytest

from docs import indexing

PAGE = indexing.PAGE.read_text(encoding="utf-8")
AGAIN = "`make api` writes the page anew"
REFUSED = "np.asarray(s, copy=False)"
"""The one thing that an array on disk cannot do."""


def kilobytes(cell):
    return int(cell.removesuffix(" kB"))


@pytest.fixture(scope="module")
def rows():
    return {case: cells for case, cells in indexing.rows() if cells}


def test_the_page_says_what_numpy_and_ours_do(rows):
    assert len(rows) >= 40
    lines = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    written = {line[0].strip("| `"): [cell.removesuffix(" |") for cell in line[1:]] for line in lines}
    assert written.keys() == rows.keys(), AGAIN
    for case, cells in rows.items():
        assert written[case][0] == cells[0], AGAIN
        for was, now in zip(written[case][3:], cells[3:], strict=True):
            (told, read), (tells, reads) = was.split(", "), now.split(", ")
            assert told == tells, AGAIN
            assert abs(kilobytes(read) - kilobytes(reads)) <= 8, (
                AGAIN
            )  # HDF5's own reads vary with its version


def test_ours_does_what_numpy_does(rows):
    for case, (_, _, _, *ours) in rows.items():
        for cell in ours:
            assert cell.startswith("same, ") or case == REFUSED, case


def test_a_wrong_key_reads_nothing(rows):
    wrong = [case for case, cells in rows.items() if cells[0] == "IndexError"]
    assert len(wrong) >= 6
    for case in wrong:
        assert rows[case][3:] == ["same, 0 kB"] * 2


def test_ours_reads_no_more_than_h5py_and_zarr_of_what_all_can_do(rows):
    """In blocks of the same size; a store's are larger."""
    for case, (_, *peers, ours, _store) in rows.items():
        if all(cell.startswith("same, ") for cell in peers) and "pickle" not in case:
            assert (
                kilobytes(ours.split(", ")[1]) <= max(kilobytes(cell.split(", ")[1]) for cell in peers) + 4
            ), case
