"""What a notebook shows: escaped, of bounded reading, and for everything that a cell may end in."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, Connectivity, NetworkState, PopulationState, ProjectionState, TypeInfo
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.markup import table
from tests.counting import bytes_read
from tests.html import Page

NASTY = "<script>alert(1)</script>\x1b[31m&'\""
MOST = 1_000_000


def parsed(shown: Any) -> Page:
    html = shown._repr_html_()
    page = Page(html)
    assert not {"script", "link", "iframe", "img", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\x1b" not in html
    for name, value in page.attributes:
        assert name != "src"
        assert name != "href" or (value or "").startswith("data:image/png;base64,")
    return page


def everything(ckpt: Checkpoint) -> Iterator[Any]:
    yield ckpt
    yield ckpt.populations
    yield ckpt.projections
    yield from ckpt.populations.values()
    yield from ckpt.projections.values()
    yield from ckpt.arrays.values()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("notebook") / "run.ckpt"
    network = DemoNetwork(seed=1, side=12)
    with CheckpointStore(path, "w") as made:
        for _ in range(3):
            made.save(network)
            network.simulate(5)
    return path


@pytest.fixture(scope="module", params=["file", "gzip", "store"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several projections of 2.4 million synapses: 29 MB each."""
    folder = tmp_path_factory.mktemp("large")
    n_rows, each = 2400, 1000
    pre = np.tile(np.arange(each, dtype=np.int32), n_rows)
    synapses = Connectivity(np.arange(n_rows), np.arange(n_rows + 1) * each, pre)
    values = np.random.default_rng(1).random(n_rows * each).astype(np.float32)
    projections = {
        name: ProjectionState(name, "in", "out", "exc", synapses, variables={"w": values, "u": values[::-1]})
        for name in "abcd"
    }
    populations = {
        name: PopulationState(name, (1000, 1000), variables={"r": np.arange(1e6).reshape(1000, 1000)})
        for name in ("in", "out")
    }
    state = NetworkState(populations=populations, projections=projections, time_step=7, dt=0.1)
    if request.param == "store":
        with CheckpointStore(folder / "run.ckpt", "w") as made:
            made.save(state)
        return folder / "run.ckpt"
    ann_ckpt.write(state, folder / "net.h5", compression="gzip" if request.param == "gzip" else "auto")
    return folder / "net.h5"


def test_no_cell_reads_more_than_a_megabyte(large: Path) -> None:
    with ann_ckpt.open(large) as ckpt:
        names = [(kind, name) for kind in ("populations", "projections") for name in getattr(ckpt, kind)]
        paths = [*ckpt.arrays]
    looks: list[Any] = [lambda c: c, lambda c: c.populations, lambda c: c.projections]
    looks += [lambda c, k=kind, n=name: getattr(c, k)[n] for kind, name in names]
    looks += [lambda c, p=path: c.arrays[p] for path in paths]
    pictures = 0
    for look in looks:
        with ann_ckpt.open(large) as ckpt, bytes_read() as count:
            html = look(ckpt)._repr_html_()
        assert count.total <= MOST
        assert len(html) <= MOST
        pictures += html.count("<svg")
    assert pictures > 5


def test_a_checkpoint_shows_pictures_and_says_that_they_are_samples(large: Path) -> None:
    with ann_ckpt.open(large) as ckpt:
        page = parsed(ckpt)
        assert "svg" in page.tags
        assert "a sample" in page.text
        assert "a sample" in parsed(ckpt.projections["a"]).text


def test_everything_of_a_network_is_shown(store: Path) -> None:
    with ann_ckpt.open(store) as ckpt:
        for shown in everything(ckpt):
            parsed(shown)
        page = parsed(ckpt)
        for word in ("image", "layer", "forward", "lateral", "LeakyRate", "exact", "12", "period"):
            assert word in page.text
        assert page.tags.count("svg") >= 3
        projection = parsed(ckpt.projections["forward"])
        assert projection.tags.count("svg") == 2
        assert "Oja" in projection.text
        assert "dw/dt" in projection.text
        assert "1 step" in projection.text
        assert "1 steps" not in projection.text


def test_a_store_lists_its_checkpoints_and_reads_no_values(store: Path) -> None:
    opened = CheckpointStore(store)
    page = parsed(opened)
    assert "3 checkpoints" in page.text
    assert "000000000010" in page.text
    assert page.tags.count("svg") == 1


def test_the_list_of_checkpoints_is_shown_as_the_store_shows_it(store: Path) -> None:
    opened = CheckpointStore(store)
    listed = opened.checkpoints
    assert listed._repr_html_() == opened._repr_html_()  # type: ignore[attr-defined]
    lines = repr(listed).split("\n")
    assert len(lines) == len(listed)
    for line, info in zip(lines, listed, strict=True):
        assert f"<checkpoint {info.name}: step {info.time_step}, " in line
    assert all(part == listed for part in (copy.copy(listed), pickle.loads(pickle.dumps(listed))))
    many = type(listed)([*listed] * 100, "run.ckpt")
    assert repr(many).startswith(f"[{100 * len(listed) - 40:,} older,\n <checkpoint ")


def test_reports_and_differences_are_shown(store: Path, tmp_path: Path) -> None:
    report = ann_ckpt.diff(f"{store}@0", store)
    assert "projections/forward/w" in parsed(report).text
    assert "saved" in parsed(ann_ckpt.save(tmp_path / "net.h5", network=DemoNetwork(side=4))).text
    assert "run.ckpt" in parsed(ann_ckpt.runs(store.parent, cache=False)).text


def test_findings_are_shown(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"populations": {"<script>": {"tau": 1}}, "x": ')
    findings = ann_ckpt.params.validate(tmp_path / "p.json")
    assert findings
    for finding in findings:
        assert finding.rule in parsed(finding).text
        assert finding.message in parsed(findings).text
    assert repr(findings) == "\n".join(map(str, findings))
    many = ann_ckpt.params.Findings(findings[:1] * 60)
    assert "60 findings" in parsed(many).text
    assert "and 10 more" in parsed(many).text
    assert repr(many).endswith("and 10 more")
    assert "no findings" in parsed(ann_ckpt.params.Findings()).text


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    kind = TypeInfo(
        NASTY, NASTY, {NASTY: NASTY}, {NASTY: ann_ckpt.AttributeInfo(unit=NASTY, description=NASTY)}
    )
    layer = PopulationState(
        NASTY,
        (4, 4),
        parameters={f"p{NASTY}": 1.0},
        variables={NASTY: np.arange(16.0).reshape(4, 4)},
        neuron_type=kind,
        resume=ann_ckpt.Resume("approximate", (NASTY,)),
    )
    ff = ProjectionState(
        NASTY,
        NASTY,
        NASTY,
        NASTY,
        Connectivity.from_rows([0, 1], [[0, 1], [2]]),
        variables={NASTY: [1.0, 2.0, 3.0]},
        synapse_type=kind,
    )
    state = NetworkState(
        populations={NASTY: layer},
        projections={NASTY: ff},
        constants={NASTY: 1.0},
        metadata={NASTY: NASTY},
        time_step=1,
        dt=1.0,
    )
    with CheckpointStore(tmp_path / "<script>.ckpt", "w") as made:
        made.save(state, tag="<script>alert(1)")
    return tmp_path / "<script>.ckpt"


def test_names_are_text(nasty: Path) -> None:
    with ann_ckpt.open(nasty) as ckpt:
        for shown in everything(ckpt):
            parsed(shown)
        assert "<script>alert(1)" in parsed(ckpt).text
    parsed(CheckpointStore(nasty))
    empty = NetworkState()
    parsed(ann_ckpt.diff(ann_ckpt.read(nasty), empty))


def test_what_is_closed_or_damaged_is_said_and_not_raised(store: Path, tmp_path: Path) -> None:
    with ann_ckpt.open(store) as ckpt:
        held = [ckpt, ckpt.populations, ckpt.populations["layer"], ckpt.projections["forward"]]
        held.append(ckpt.projections["forward"]["w"])
    for shown in held:
        parsed(shown)
    assert "closed" in parsed(ckpt).text
    path = tmp_path / "net.h5"
    values = np.arange(9000.0)
    written = NetworkState(populations={"a": PopulationState("a", (9000,), variables={"r": values})})
    ann_ckpt.write(written, path, compression="none")
    data = path.read_bytes()
    assert values.tobytes() in data
    path.write_bytes(data.replace(values[5000:5100].tobytes(), b"\xff" * 800))
    with ann_ckpt.open(path) as damaged:
        for shown in (damaged, damaged.populations["a"], damaged.populations["a"]["r"]):
            said = parsed(shown).text
        assert "checksum" in said, said


def test_the_size_of_a_checkpoint_in_a_store_is_what_it_stands_for(store: Path) -> None:
    with ann_ckpt.open(store) as ckpt:
        total = ckpt.file_bytes + sum(ckpt.objects.values())
        assert sum(ckpt.objects.values()) > 0
        assert ann_ckpt.report.human_bytes(total) in repr(ckpt)
        assert ann_ckpt.report.human_bytes(total) in parsed(ckpt).text


def test_a_report_is_one_line_where_no_notebook_shows_it(store: Path) -> None:
    report = ann_ckpt.verify(store)
    assert repr(report) == f"<VerifyReport: {report.headline()}>"


def test_a_cell_of_none_is_empty() -> None:
    assert "<td></td><td>0</td>" in table(["a", "b"], [[None, 0]])
