"""What structures carry, over one whose members are arrays here instead of C++."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.containers import arrays_of, flattened
from ann_ckpt.adapters.annarchy.cpp_members import CppMember
from ann_ckpt.adapters.annarchy.exactness import RACE
from ann_ckpt.adapters.annarchy.internal_state import CarriedByPopulation, CarriedByProjection

Arrays = Mapping[str, NDArray]

ROWS = np.array([1, 3])
RING = {
    "_delayed_spikes": "std::vector<std::vector<std::vector<int>>>",
    "idx_delay": "int",
    "max_delay": "int",
}
TURNING = {
    "_delayed_spikes": np.array([0, 1, 2], np.int32),
    "_delayed_spikes.sizes": np.array([[1, 0], [0, 2]]),
    "idx_delay": np.array(1, np.int32),
    "max_delay": np.array(2, np.int32),
}


class Structure:
    """Gives out its members as the bindings do."""

    def __init__(self, types: Mapping[str, str], arrays: Arrays, *, base: str = "", unordered: bool = False):
        self.arrays = dict(arrays)
        self._types = types
        self._about = {"members": types, "base": base, "rows": [], "unordered": unordered}

    def _ann_ckpt(self) -> str:
        return json.dumps(self._about)

    def _ann_ckpt_get(self, name: str) -> tuple[bytes, list[bytes]]:
        return flattened(CppMember(name, self._types[name]), self.arrays)

    def _ann_ckpt_set(self, name: str, values: bytes, sizes: Sequence[bytes]) -> None:
        self.arrays |= arrays_of(CppMember(name, self._types[name]), values, sizes)


@pytest.mark.parametrize(
    ("ctype", "present", "stored", "expected"),
    [
        (
            "std::deque<std::vector<double>>",
            {"": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]},
            {"": [[7.0, 8.0]]},
            {"": [[7.0, 8.0], [3.0, 4.0], [5.0, 6.0]]},
        ),
        ("std::deque<double>", {"": [1.0, 2.0, 3.0]}, {"": [7.0, 8.0]}, {"": [7.0, 8.0, 3.0]}),
        (
            "std::deque<std::vector<int>>",
            {"": [0, 1, 2, 0], ".sizes": [2, 0, 1, 1]},
            {"": [3], ".sizes": [0, 1]},
            {"": [3, 2, 0], ".sizes": [0, 1, 1, 1]},
        ),
    ],
)
def test_a_queue_that_is_longer_than_the_stored_one_keeps_its_older_end(
    ctype: str, present: dict[str, list], stored: dict[str, list], expected: dict[str, list]
) -> None:
    name = "_delayed_spike" if "int" in ctype else "_delayed_r"
    kind = np.int32 if "int" in ctype else np.float64

    def arrays(values: dict[str, list]) -> dict[str, NDArray]:
        return {name + part: np.array(v, np.int64 if part else kind) for part, v in values.items()}

    structure = Structure({name: ctype}, arrays(present))
    CarriedByPopulation(structure, ()).set(arrays(stored))
    assert {n: a.tolist() for n, a in structure.arrays.items()} == {
        name + part: values for part, values in expected.items()
    }


@pytest.mark.parametrize("missing", ["idx_delay", "max_delay"])
def test_a_ring_comes_whole_or_not_at_all(missing: str) -> None:
    carried = CarriedByProjection(Structure(RING, TURNING), ())
    assert carried.refusal(TURNING, ROWS) is None
    assert carried.refusal({}, ROWS) is None
    part = {name: array for name, array in TURNING.items() if name != missing}
    assert carried.refusal(part, ROWS) == f"{missing} is missing"


def test_what_is_not_known_is_lost_by_name() -> None:
    types = RING | {"dreams": "int", "_update_period": "std::string"}
    structure = Structure(types, TURNING, base="DreamMatrix<int>", unordered=True)
    carried = CarriedByProjection(structure, ())
    assert carried.lost == (
        "what dreams is in the generated code",
        "what _update_period is in the generated code",
        "what DreamMatrix<int> is, from which the generated code derives it",
        RACE,
    )
    assert CarriedByProjection(Structure(RING, TURNING, base="LILMatrix<int,int>"), ()).lost == ()


def test_what_is_an_attribute_is_not_carried_and_a_lone_maximum_of_delays_neither() -> None:
    rate = Structure({"w": "double", "max_delay": "int", "_update_period": "int"}, {})
    assert CarriedByProjection(rate, {"w"}).names == ("_update_period",)
    spiking = CarriedByProjection(Structure(RING, TURNING), ())
    assert set(spiking.names) == set(TURNING)
    assert spiking.lacking(TURNING) is None
    assert spiking.lacking({}) == f"the file does not have {', '.join(spiking.names)}"
