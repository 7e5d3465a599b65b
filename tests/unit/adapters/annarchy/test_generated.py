"""Reading the data members out of generated C++."""

from __future__ import annotations

import numpy as np
import pytest

from ann_ckpt.adapters.annarchy.carried import POPULATION, PROJECTION, sort_members
from ann_ckpt.adapters.annarchy.generated import Member, data_members

HEADER = """
#pragma once
extern struct PopStruct0 *pop0;
struct PopStruct0 : Base<int, int> {
    PopStruct0(int size) : Base<int, int>(size) { this->size = size; }
    int size; // Number of neurons
    bool _transmission, _update = true;
    long int _update_offset;  /* int commented; */
    // double gone;
#ifdef SOMETHING
    std::vector< std::vector<double > > w;
#endif
std::vector<double> rand_0 ;double rand_1;
    std::deque< std::vector<int> > _delayed_spike;
    std::vector< std::queue<long int> > _spike_history;
    std::uniform_real_distribution< double > dist_rand_0;
    std::map<int, std::vector<int>> inverse;
    Profile* measure;
  public:
    double table[3];
    void update(int n = 3) { for (int i = 0; i < n; i++) { double local; } }
    int get_size() { return size; }
    std::vector<int> declared_only(int a, int b);
};
struct Other { int not_ours; };
"""


def test_members_are_found_and_functions_are_not() -> None:
    found = {m.name: m.ctype for m in data_members(HEADER, "PopStruct0")}
    assert found == {
        "size": "int",
        "_transmission": "bool",
        "_update": "bool",
        "_update_offset": "long int",
        "w": "std::vector<std::vector<double>>",
        "rand_0": "std::vector<double>",
        "rand_1": "double",
        "_delayed_spike": "std::deque<std::vector<int>>",
        "_spike_history": "std::vector<std::queue<long int>>",
        "dist_rand_0": "std::uniform_real_distribution<double>",
        "inverse": "std::map<int,std::vector<int>>",
        "measure": "Profile*",
        "double table[3]": "double table[3]",
    }


@pytest.mark.parametrize(
    ("ctype", "depth", "dtype"),
    [
        ("double", 0, "f8"),
        ("std::vector<float>", 1, "f4"),
        ("std::deque<std::vector<int>>", 2, "i4"),
        ("std::vector<std::queue<long int>>", 2, "i8"),
        ("std::vector<std::vector<std::vector<bool>>>", 3, "?"),
        ("std::vector<short int>", 1, "i2"),
        ("Profile*", 0, None),
        ("std::vector<Profile*>", 1, None),
        ("std::normal_distribution<double>", 0, None),
    ],
)
def test_types_are_understood(ctype: str, depth: int, dtype: str | None) -> None:
    member = Member("m", ctype)
    assert member.depth == depth
    assert member.dtype == (None if dtype is None else np.dtype(dtype))
    assert member.is_distribution == ctype.startswith("std::normal")


@pytest.mark.parametrize("text", ["", "struct Other { int a; };", "struct P;", "struct P { int a; "])
def test_a_header_without_the_structure_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="struct P"):
        data_members(text, "P")


def test_what_is_not_known_is_told_from_what_is() -> None:
    members = data_members(HEADER, "PopStruct0")
    population = sort_members(members, {"rand_1"}, POPULATION)
    assert [m.name for m in population.carried] == ["rand_0", "_delayed_spike", "_spike_history"]
    assert "measure" in [m.name for m in population.unknown]
    projection = sort_members(members, {"w"}, PROJECTION, also={"size"})
    assert {"size", "_transmission", "_update", "dist_rand_0"} < {m.name for m in projection.carried}
    assert "inverse" in [m.name for m in projection.unknown]


def test_a_known_name_of_a_type_that_cannot_be_kept_is_unknown() -> None:
    found = sort_members([Member("spiked", "std::map<int,int>")], (), POPULATION)
    assert [m.name for m in found.unknown] == ["spiked"]
