"""The closed reader beside Python's own, on everything that genuine files are made of."""

from __future__ import annotations

import io
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.adapters.legacy.pickle.reader import read_pickle
from ann_ckpt.adapters.legacy.streams import Budget, PlainStream
from ann_ckpt.adapters.legacy.values import NumberRows, Value
from ann_ckpt.errors import CorruptFileError, OptionError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def load(data: bytes, **options: Any) -> Value:
    budget = Budget(len(data))
    return read_pickle(PlainStream(io.BytesIO(data), len(data), "x", budget), budget, **options)[0]


def traits(data: bytes) -> frozenset[str]:
    budget = Budget(len(data))
    return read_pickle(PlainStream(io.BytesIO(data), len(data), "x", budget), budget)[1]


def plain(value: Value) -> Any:
    """What Python's own reader gives, but for tuples and arrays that were lists."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, NumberRows):
        bounds = value.row_ptr.tolist()
        return [value.values[a:b].tolist() for a, b in pairwise(bounds)]
    if isinstance(value, tuple):
        return [plain(entry) for entry in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


floats = st.floats(allow_nan=False)
integers = st.integers(-(2**63), 2**63 - 1)
numbers = st.one_of(st.lists(floats), st.lists(integers), st.lists(st.booleans()))
rows = st.one_of(
    *(st.lists(st.lists(kind, max_size=5), min_size=1, max_size=5) for kind in (floats, integers))
)
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)
entries = st.one_of(st.none(), st.booleans(), integers, floats, numbers, rows, texts)
documents = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), entries)


@given(documents, st.sampled_from(PROTOCOLS))
def test_reads_what_python_reads(document: dict[str, Any], protocol: int) -> None:
    assert plain(load(pickle.dumps(document, protocol))) == document


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("length", [0, 1, 2, 999, 1000, 1001, 2500, 30_000])
def test_long_lists_in_batches_and_frames(protocol: int, length: int) -> None:
    document = {
        "floats": [i / 7 for i in range(length)],
        "mixed widths": [(i * 2654435761) % (1 << (8, 16, 31)[i % 3]) for i in range(length)],
        "negative": [-i for i in range(length)],
        "bools": [i % 3 == 0 for i in range(length)],
        "rows": [[float(i)] * (i % 4) for i in range(length)],
        "ranks": [[(i * 37 + j) % 700 for j in range(i % 5)] for i in range(length)],
    }
    assert plain(load(pickle.dumps(document, protocol))) == document


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_special_floats_keep_their_bits(protocol: int) -> None:
    values = [float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1.7976931348623157e308]
    found = load(pickle.dumps({"w": values}, protocol))["w"]
    assert found.tobytes() == np.array(values).tobytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "u2", "b1", ">f8", ">i4"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 1, 4)])
def test_arrays(protocol: int, dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(dtype)
    found = load(pickle.dumps({"w": array}, protocol))["w"]
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.shape == shape
    assert np.array_equal(found, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_in_other_orders(protocol: int) -> None:
    block = np.arange(24.0).reshape(2, 3, 4)
    document = {"fortran": np.asfortranarray(block), "axes": block.transpose(1, 0, 2), "step": block[:, ::2]}
    found = load(pickle.dumps(document, protocol))
    for name, array in document.items():
        assert np.array_equal(found[name], array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_numbers_and_texts(protocol: int) -> None:
    document = {"f": np.float64(1.5), "i": np.int32(-3), "b": np.bool_(True), "names": np.array(["a", "bç"])}
    found = load(pickle.dumps(document, protocol))
    assert (found["f"], found["i"], found["b"], found["names"]) == (1.5, -3, True, ("a", "bç"))
    assert found["i"].dtype == np.int32


def test_arrays_of_objects() -> None:
    ragged = np.empty(2, dtype=object)
    ragged[:] = [[1, 2], [3]]
    document = {
        "ragged": ragged,
        "equal": np.array([[1.0, 2.0]], dtype=object),
        "number": np.array(0.5, dtype=object),
        "table": np.array({"a": 1}, dtype=object),
    }
    found = load(pickle.dumps(document, 2))
    assert plain(found["ragged"]) == [[1, 2], [3]]
    assert plain(found["equal"]) == [[1.0, 2.0]]
    assert (found["number"], found["table"]) == (0.5, {"a": 1})


def test_one_list_in_two_places_is_read_once() -> None:
    shared = [[0.5], [1.5, 2.5]]
    found = load(pickle.dumps({"a": shared, "b": shared}))
    assert found["a"] is found["b"]


# Written by Python 2.7: pickle.dumps({'w': [0.5, 1], 'n\xe9': 'x'}, protocol), names in Latin-1.
PYTHON2 = {
    0: b"(dp0\nS'w'\np1\n(lp2\nF0.5\naI1\nasS'n\\xe9'\np3\nS'x'\np4\ns.",
    1: b"}q\x00(U\x01wq\x01]q\x02(G?\xe0\x00\x00\x00\x00\x00\x00K\x01eU\x02n\xe9q\x03U\x01xq\x04u.",
    2: b"\x80\x02}q\x00(U\x01wq\x01]q\x02(G?\xe0\x00\x00\x00\x00\x00\x00K\x01eU\x02n\xe9q\x03U\x01xq\x04u.",
}


@pytest.mark.parametrize("protocol", PYTHON2)
def test_python_2(protocol: int) -> None:
    data = PYTHON2[protocol]
    assert plain(load(data, encoding="latin1")) == {"w": [0.5, 1.0], "né": "x"}
    assert plain(load(data)) == {"w": [0.5, 1.0], "né": "x"}
    assert {"python2", "guessed-encoding"} <= traits(data)
    with pytest.raises(CorruptFileError, match="a name is not ascii") as caught:
        load(data, encoding="ascii")
    assert "latin1" in str(caught.value)


def test_python_2_names_in_utf8_are_not_guessed() -> None:
    data = b"(dp0\nS'n\\xc3\\xa9'\nI1\ns."
    assert load(data) == {"né": 1}
    assert "guessed-encoding" not in traits(data)


def test_python_2_arrays_and_long_integers() -> None:
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nt"
        b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xe0?\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?'\ntb"
    )
    found = load(b"(dp0\nS'r'\n" + array + b"sS'n'\nL7L\nsS'on'\nI01\ns.")
    assert found["r"].tolist() == [0.5, 1.0]
    assert (found["n"], found["on"]) == (7, True)


@pytest.mark.parametrize("core", ["core", "_core"])
def test_both_names_of_numpys_core(core: str) -> None:
    data = pickle.dumps({"r": np.arange(3.0)}, 2).replace(b"numpy._core.", b"numpy.core.")
    data = data.replace(b"numpy.core.", f"numpy.{core}.".encode())
    assert load(data)["r"].tolist() == [0.0, 1.0, 2.0]
    assert ("numpy2" in traits(data)) == (core == "_core")


@pytest.mark.parametrize("encoding", ["nonsense", "zip", "hex"])
def test_unknown_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(OptionError, match="encoding="):
        load(PYTHON2[2], encoding=encoding)


def test_lists_that_change_their_mind() -> None:
    """Numbers of one kind, then others: no reader may mix up where it keeps them."""
    document = {"a": [1.0] * 1500 + [2] * 3, "b": [1, 2.5], "c": [True, 2], "d": [1.0, "x"], "e": [[1], "x"]}
    found = load(pickle.dumps(document))
    assert found["a"].tolist() == document["a"]
    assert found["b"].tolist() == [1.0, 2.5]
    assert found["c"].tolist() == [1, 2]
    assert found["d"] == (1.0, "x")
    assert plain(found["e"]) == [[1], "x"]
