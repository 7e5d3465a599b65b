"""What a profile shows: the functions that take longest first, and what part of the whole each is."""

from __future__ import annotations

from benchmarks.profile import Profile, Spent


def test_lines_show_the_first_functions_with_their_shares() -> None:
    spent = (Spent("posix.preadv", 0.006, 2), Spent("digest.py:1 update", 0.003, 4), Spent("rest", 0.001, 1))
    heading, *lines = Profile("ours", 0.005, spent).lines(shown=2)
    assert heading == "ours: 5 ms a call, 10 ms while it is watched"
    assert [line.split() for line in lines] == [
        ["6", "ms", "60.0%", "2.00", "x", "posix.preadv"],
        ["3", "ms", "30.0%", "4.00", "x", "digest.py:1", "update"],
    ]
