"""Extending generated source, and leaving alone what is not as expected."""

from __future__ import annotations

import pytest

from ann_ckpt.adapters.annarchy.instrument import UnexpectedCodeError, extended

SOURCE = """#include <nanobind/nanobind.h>
#include "ANNarchyCore1.hpp"

NB_MODULE(ANNarchyWrapper1, m) {
    m.def("run", &run);
    nanobind::class_<PopStruct0>(m, "pop0_wrapper")
        .def(nanobind::init<int, int>());
    nanobind::class_<ProjStruct0>(m, "proj0_wrapper")
        .def("pre_rank", nanobind::overload_cast<int>(&ProjStruct0::get_dendrite_pre_rank));
}
"""
HEADERS = {
    "pop0.hpp": "struct PopStruct0 { int size; std::vector<int> spiked; Thing* unknown; };",
    "proj0.hpp": "struct ProjStruct0 : LIL { bool _update; std::vector<std::vector<double>> w;"
    " std::vector<double> theta; std::vector<std::vector<long>> _last_event; };",
}
STRUCTS = [("PopStruct0", "pop0_wrapper", ()), ("ProjStruct0", "proj0_wrapper", ("w",))]


def described(text: str, struct: str) -> str:
    """Return what the extended source says of one structure."""
    return text.partition(f"Structure ann_ckpt_{struct}{{")[2].partition("\n};")[0]


def test_every_structure_gets_its_members() -> None:
    text = extended(SOURCE, structs=STRUCTS, find=HEADERS.__getitem__, net_id=1)
    assert "namespace ann_ckpt" in text
    assert 'm.def("_ann_ckpt_generators"' in text
    for struct in ("PopStruct0", "ProjStruct0"):
        assert f".def(ann_ckpt::Extension(ann_ckpt_{struct}))" in text
    population, projection = (described(text, struct) for struct in ("PopStruct0", "ProjStruct0"))
    assert 'found.add("spiked", obj.spiked);' in population
    assert "obj.unknown" not in text
    assert '"unknown": "Thing*"' in population
    assert 'found.add("theta", obj.theta);' in projection
    for name in ("w", "_last_event"):
        assert f'found.add("{name}", obj.{name}, rows);' in projection
        assert f'found.add("{name}", obj.{name});' not in projection


def test_every_structure_is_described_before_its_class() -> None:
    text = extended(SOURCE, structs=STRUCTS, find=HEADERS.__getitem__, net_id=1)
    for struct, _, _ in STRUCTS:
        assert text.index(f"Structure ann_ckpt_{struct}{{") < text.index(f"nanobind::class_<{struct}>")


def test_what_was_generated_is_still_there_in_order() -> None:
    lines = extended(SOURCE, structs=STRUCTS, find=HEADERS.__getitem__, net_id=1).splitlines()
    places = [lines.index(line) for line in SOURCE.splitlines() if line.strip(" }")]
    assert places == sorted(places)


def test_a_projection_without_rows_gets_no_rows() -> None:
    source = SOURCE.replace("&ProjStruct0::get_dendrite_pre_rank", "&ProjStruct0::something")
    text = extended(source, structs=STRUCTS, find=HEADERS.__getitem__, net_id=1)
    projection = described(text, "ProjStruct0")
    assert "rows" not in projection.partition("[](void* at")[2]
    assert 'found.add("w", obj.w);' in projection


def test_only_what_can_be_rebuilt_is() -> None:
    source = SOURCE.replace(
        "    nanobind::class_<Proj", "    init(&ProjStruct0::init_from_lil);\n    nanobind::class_<Proj"
    )
    text = extended(source, structs=STRUCTS, find=HEADERS.__getitem__, net_id=1)
    assert "&ProjStruct0::init_from_lil, given" in described(text, "ProjStruct0")
    assert "nullptr" in described(text, "PopStruct0")


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ('#include "ANNarchyCore1.hpp"\n', '#include "Core1.hpp"\n'),
        ("NB_MODULE(ANNarchyWrapper1, m) {", "PYBIND11_MODULE(ANNarchyWrapper1, m) {"),
        ('nanobind::class_<PopStruct0>(m, "pop0_wrapper")', 'bind<PopStruct0>(m, "pop0_wrapper")'),
        (
            'nanobind::class_<ProjStruct0>(m, "proj0_wrapper")',
            2 * 'nanobind::class_<ProjStruct0>(m, "proj0_wrapper");',
        ),
    ],
)
def test_a_line_that_is_not_there_once_is_refused(line: str, instead: str) -> None:
    assert line in SOURCE
    with pytest.raises(UnexpectedCodeError, match="times, not once"):
        extended(SOURCE.replace(line, instead), structs=STRUCTS, find=HEADERS.__getitem__, net_id=1)


def test_a_header_without_the_structure_is_refused() -> None:
    with pytest.raises(UnexpectedCodeError, match="PopStruct0"):
        extended(SOURCE, structs=STRUCTS, find=lambda _: "struct Other {};", net_id=1)


RECORDERS = """#pragma once
class Monitor
{
};
class PopRecorder0 : public Monitor
{
    // Local variable v
    std::vector< std::vector< double > > v ;
    bool record_v ;
    std::map<int, std::vector< long int > > spike ;
    bool record_spike ;
};
class ProjRecorder0 : public Monitor
{
    bool record_w ;
};
"""


def test_recorders_get_their_variables_and_those_that_are_not_bound_are_left() -> None:
    bound = '    nanobind::class_<PopRecorder0>(m, "PopRecorder0_wrapper")\n        .def("clear", f);\n'
    source = SOURCE.replace("}\n", bound + "}\n")
    text = extended(source, structs=STRUCTS, find=HEADERS.__getitem__, net_id=1, recorders=RECORDERS)
    assert 'PopRecorder0_wrapper")\n        .def(ann_ckpt::RecorderExtension(ann_ckpt_PopRecorder0))' in text
    recorder = text.partition("Recorder ann_ckpt_PopRecorder0{")[2].partition("\n};")[0]
    assert [line.strip() for line in recorder.splitlines() if "found.add" in line] == [
        'found.add("v", obj.v);',
        'found.add("spike", obj.spike);',
    ]
    assert "ProjRecorder0" not in text
