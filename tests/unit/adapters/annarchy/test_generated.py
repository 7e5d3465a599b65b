"""Reading the data members out of generated C++."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ann_ckpt.adapters.annarchy.cpp_members import CppMember, base_class, data_members, is_unordered
from ann_ckpt.adapters.annarchy.internal_state import POPULATION, PROJECTION, sort_members

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
    member = CppMember("m", ctype)
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


def test_a_class_may_have_members_of_its_own() -> None:
    """And no other class that happens to have a member of that name."""
    window = CppMember("window", "int")
    assert sort_members([window], (), PROJECTION).unknown == (window,)
    assert sort_members([window], (), PROJECTION, own={"window": "int"}).carried == (window,)
    assert sort_members([window], (), PROJECTION, own={"window": "long"}).unknown == (window,)


@pytest.mark.parametrize(
    ("base", "known"),
    [
        ("LILMatrix<int, int>", True),
        ("BSRInvMatrix<int, int, uint8_t, false>", True),
        ("CSRCMatrixT<int, int>", True),
        ("DenseMatrix<int, int, char, true>", True),
        ("PartitionedMatrix<LILInvMatrix<int, int>, int, int>", True),
        ("SpecificConnectivity", True),
        ("", True),
        ("LILMatrix<int, int>, Memory", False),
        ("Memory", False),
    ],
)
def test_what_a_structure_is_derived_from_is_known_or_not(base: str, known: bool) -> None:
    text = f"struct P {': ' if base else ''}{base} {{ int a; }};"
    assert bool(re.fullmatch(PROJECTION.bases, base_class(text, "P"))) == known


def test_a_static_member_is_one_that_nothing_is_known_about() -> None:
    (member,) = data_members("struct P { static int _t; };", "P")
    assert member.ctype == "static int"
    assert member.dtype is None


def test_a_known_name_of_a_type_that_cannot_be_kept_is_unknown() -> None:
    odd = [
        CppMember("spiked", "std::map<int,int>"),
        CppMember("last_spike", "long int"),
        CppMember("size", "double"),
    ]
    assert sort_members(odd, (), POPULATION).unknown == tuple(odd)


# As ANNarchy 5.0.4.1 writes them.
ATOMIC = """
for(int j = 0; j < nnz; j++) {
    #pragma omp atomic
    target_ptr[row_indices[j]] += w[j] * pop0->r[column_indices[j]];
}
"""
RACE = """
// global attributes
#pragma omp single nowait
{
    rand_1 = dist_rand_1(rng[0]);
}
// local attributes
#pragma omp for
for (int i = 0; i < size; i++) { rand_0[i] = dist_rand_0(rng[tid]); }
"""
PRUNING = """
#pragma omp for
for(int i = 0; i < post_rank.size(); i++){ if (age[i] > 8.0 && unif(rng[0]) < 0.4) erase(i); }
"""
IN_ORDER = """
// #pragma omp atomic
#pragma omp single
{ for (int i = 0; i < size; i++) { rand_0[i] = dist_rand_0(rng[0]); } }
#pragma omp for
for (int i = 0; i < nb_post; i++) { pop1->_sum_exc[i] += sum; }
"""
REDUCTION = "#pragma omp for reduction(+: _mean_r)\nfor (int t = 0; t < nt; t++) { _mean_r += local_mean_r; }"


@pytest.mark.parametrize("text", [ATOMIC, RACE, PRUNING, "#pragma omp critical\n{ ring[i].push_back(j); }"])
def test_what_threads_share_in_any_order_is_found(text: str) -> None:
    assert is_unordered(text, threads=2)
    assert is_unordered(IN_ORDER + text, threads=2)
    assert not is_unordered(text, threads=1)


def test_what_is_done_in_order_is_not_taken_for_it() -> None:
    assert not is_unordered(IN_ORDER, threads=8)


def test_two_parts_of_a_sum_have_no_order_and_three_have() -> None:
    assert not is_unordered(REDUCTION, threads=2)
    assert is_unordered(REDUCTION, threads=3)
