"""Models that resume exactly and models that do not, each run in processes of its own."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState
from ann_ckpt.cli.main import main
from ann_ckpt.cli.verify import verify_resume_command
from ann_ckpt.errors import FileMissingError, OptionError, SimulatorError
from ann_ckpt.resume import verify
from ann_ckpt.resume.run import _Model
from ann_ckpt.resume.verify import verify_resume

SCRIPT = '''
import os

import numpy as np

from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import SimulatorError


class Model(DemoNetwork):
    def simulate(self, ms):
        super().simulate(round(ms))


class Forgetful(Model):
    """Counts its calls, and no checkpoint knows of it."""

    calls = 0

    def simulate(self, ms):
        super().simulate(ms)
        self.calls += 1
        weights = np.asarray(self.read().state.projections["lateral"]["w"]) * self.calls
        self.set_projection_attribute("lateral", "w", weights)


class Lost(Model):
    """Has no numbers any more after a second call, which a resumed run does not make."""

    calls = 0

    def simulate(self, ms):
        super().simulate(ms)
        self.calls += 1
        if self.calls == 2:
            weights = np.asarray(self.read().state.projections["lateral"]["w"]).copy()
            weights[3] = np.nan
            self.set_projection_attribute("lateral", "w", weights)


def build():
    return Model(seed=3, side=4)


def forgetful():
    return Forgetful(seed=3, side=4)


def unseeded():
    return Model(seed=int.from_bytes(os.urandom(4), "little"), side=4)


def lost():
    return Lost(seed=3, side=4)


class Logged(Model):
    """Writes down which process simulated for how long."""

    log = os.devnull

    def simulate(self, ms):
        super().simulate(ms)
        with open(self.log, "a") as file:
            print(os.getpid(), ms, file=file)


def sized(side, seed=3, log=os.devnull):
    network = Logged(seed=seed, side=side)
    network.log = log
    return network


ready = Model(seed=3, side=4)


def trial(network):
    network.simulate(2)
    network.set_constant("period", np.array(float(network.read().state.constants["period"])))


class Late(Model):
    """Disturbs one synapse in each step from its twentieth on; a resumed one begins to count anew."""

    steps = 0

    def simulate(self, ms):
        for _ in range(round(ms)):
            super().simulate(1)
            self.steps += 1
            if self.steps >= 20:
                weights = np.asarray(self.read().state.projections["lateral"]["w"]).copy()
                weights[3] += 1.0
                self.set_projection_attribute("lateral", "w", weights)


def late():
    return Late(seed=3, side=4)


def late_trial(network):
    network.simulate(2)


def long_trial(network):
    network.simulate(3)
    network.simulate(4)


class Touchy(Model):
    """Goes on by a step whenever somebody looks at it."""

    def read(self, *selection):
        reading = super().read(*selection)
        super().simulate(1)
        return reading


def touchy():
    return Touchy(seed=3, side=4)


class Recording(Model):
    """Records from its beginning, in a resumed process something else after three steps."""

    resumed = False

    def set_recording(self, stored):
        super().set_recording(stored)
        self.resumed = True

    def simulate(self, ms):
        for _ in range(round(ms)):
            super().simulate(1)
            if self.resumed and self.time_step == 15:
                kept = self._monitors["rates"]._holds["r"]["values"]
                kept[-1] = kept[-1] + 1.0


def recorded(cls=Model):
    network = cls(seed=3, side=4)
    network.monitor("layer", ["r", "onset"], name="rates")
    return network


def misrecorded():
    return recorded(Recording)


class Emptied(Model):
    """Goes on recording from nothing."""

    def set_recording(self, stored):
        self._monitors[stored.name].get()


def emptied():
    return recorded(Emptied)


class Muted(Model):
    """Has monitors that nobody can read, as those of a simulator without our bindings."""

    def recordings(self):
        raise SimulatorError("nobody reads them")


def muted():
    return recorded(Muted)


def recording_trial(network):
    if network.time_step >= 4:
        network.monitor("layer", ["r"], name="late")
    network.simulate(2)


def broken():
    raise RuntimeError("no such model")


def tools():
    raise RuntimeError("PATH begins with " + os.environ["PATH"].split(os.pathsep)[0])
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.py"
    path.write_text(SCRIPT)
    return path


def test_a_model_without_anything_hidden_is_exact(script: Path, tmp_path: Path) -> None:
    report = verify_resume(f"{script}:build", at=12.0, duration=7.0, directory=tmp_path)
    assert report.ok
    assert report.compared > 5
    assert "exact" in report.headline()
    assert (tmp_path / "saved.h5").is_file()


def test_one_time_has_one_report_whatever_kind_of_number_it_is(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ann_ckpt.resume.verify._verified", lambda _folder, given, *_: given["at"])
    for at in (5, 5.0, np.int64(5), np.float32(5)):
        assert verify_resume(f"{script}:build", at=at, duration=5) == 5.0
    assert verify_resume(f"{script}:build", at=np.array([5, 6]), duration=5) == (5.0, 6.0)


def test_a_model_that_forgets_is_found_out(script: Path) -> None:
    report = verify_resume(f"{script}:forgetful", at=12.0, duration=7.0)
    assert not report.ok
    assert report.unsteady == ()
    found = {note.path: note.text for note in report.differing}
    assert "the largest difference is" in found["projections/lateral/variables/w"]
    assert "NOT exact" in report.headline()


def test_a_number_and_none_are_as_far_apart_as_can_be(script: Path) -> None:
    report = verify_resume(f"{script}:lost", at=12.0, duration=7.0)
    found = {note.path: note.text for note in report.differing}
    expected = "1 values differ, the largest difference is inf at [3]"
    assert found["projections/lateral/variables/w"] == expected


def test_a_model_that_differs_from_itself_is_told_apart(script: Path) -> None:
    report = verify_resume(f"{script}:unseeded", at=1.0, duration=1.0)
    assert not report.ok
    assert report.unsteady
    assert "rng=numpy.random.default_rng(7)" in report.headline()


def test_what_differs_first_is_named_with_its_step(script: Path, tmp_path: Path) -> None:
    (report,) = verify_resume(f"{script}:late", at=[15.0], duration=9.0, directory=tmp_path)
    assert not report.ok
    assert report.culprit == "first projections/lateral/variables/w, 5 steps after the save"
    assert report.culprit in report.headline()
    calls = verify_resume(f"{script}:late", at=7, duration=4, run="late_trial")
    assert calls.culprit == "first projections/lateral/variables/w, 3 calls after the save"
    assert "saved at 7 calls of late_trial, resumed for 4 calls of late_trial" in calls.headline()


def test_what_is_lost_by_loading_is_named_at_once(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a file lacked what its network carries."""
    source = script.with_name("lossy.py")
    source.write_text(
        SCRIPT
        + """
class Lossy(Model):
    def set_dynamics(self, stored, dynamics):
        return None


def lossy():
    return Lossy(seed=3, side=4)
"""
    )
    report = verify_resume(f"{source}:lossy", at=5.0, duration=3.0)
    assert not report.ok
    assert "dynamics/" in report.culprit
    assert report.culprit.endswith("as soon as it is loaded")


def test_what_monitors_recorded_is_compared(script: Path, tmp_path: Path) -> None:
    report = verify_resume(f"{script}:recorded", at=12.0, duration=7.0, directory=tmp_path)
    assert report.ok, report
    assert report.notes == ()
    assert report.compared == verify_resume(f"{script}:build", at=12.0, duration=7.0).compared + 4
    onsets = ann_ckpt.read(tmp_path / "resumed.h5").recordings["rates"]
    assert len(onsets["r"]) == 19
    assert len(onsets["onset"])


def test_the_first_step_that_was_recorded_otherwise_is_named(script: Path) -> None:
    report = verify_resume(f"{script}:misrecorded", at=12.0, duration=7.0)
    assert not report.ok
    assert report.lost == ()
    (note,) = report.differing
    assert note.path == "recordings/rates/r"
    assert note.text.startswith(
        "the first that differs is of step 14; 16 values differ, the largest difference is 1"
    )
    assert report.headline().endswith("; first recordings/rates/r, at step 14")


def test_recordings_that_a_load_loses_are_named_at_once(script: Path) -> None:
    report = verify_resume(f"{script}:emptied", at=12.0, duration=7.0)
    assert not report.ok
    lost = {note.path: note.text for note in report.lost}
    assert lost["recordings/rates/r"] == "12 and 0 records, the first that differs is of step 0"
    assert report.culprit == "first recordings/rates/r and 1 more, as soon as it is loaded"
    ended = {note.path: note.text for note in report.differing}
    assert ended["recordings/rates/r"] == "19 and 7 records, the first that differs is of step 0"


@pytest.mark.parametrize(
    ("model", "run", "said"),
    [
        ("muted", None, "recordings: not compared: nobody reads them"),
        ("build", "recording_trial", "recordings/late: not compared: the network has no monitor 'late'"),
    ],
)
def test_recordings_that_cannot_go_on_are_said_not_to_be_compared(
    script: Path, model: str, run: str | None, said: str
) -> None:
    report = verify_resume(f"{script}:{model}", at=4, duration=3, run=run)
    assert report.ok, report
    assert {str(note) for note in report.notes} == {said}


def test_a_builder_takes_arguments_and_a_network_is_taken_as_it_is(script: Path, tmp_path: Path) -> None:
    given = [f"{script}:sized", "--run", "trial", "--at", "3", "--for", "2", "--directory", str(tmp_path)]
    given += ["--arg", "side=3", "--arg", "seed=5"]
    assert CliRunner().invoke(verify_resume_command, given, standalone_mode=False).return_value == 0
    assert ann_ckpt.read(tmp_path / "saved.h5").time_step == 6
    assert ann_ckpt.read(tmp_path / "ended.h5").time_step == 10
    assert ann_ckpt.read(tmp_path / "saved.h5").populations["layer"].size == 9
    wrong = CliRunner().invoke(verify_resume_command, [*given, "--arg", "side"], standalone_mode=False)
    assert isinstance(wrong.exception, OptionError)
    assert verify_resume(f"{script}:ready", at=3.0, duration=2.0).ok


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "no name"},
        {"run": "trial", "at": 1.5},
        {"at": []},
        {"at": [1.0, -1.0]},
        {"arguments": {"a": {1}}},
        {"other": {"a": {1}}},
        {"inside": 1.0},
        {"inside": 0.0, "run": "trial"},
        {"copy": "zipped"},
        {"at": "30"},
        {"at": None},
        {"duration": "40"},
        {"run": 5},
        {"inside": "x", "run": "trial"},
        {"restarts": 0},
        {"restarts": 1.5},
        {"restarts": 2, "run": "trial"},
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_run(script: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        verify_resume(f"{script}:broken", **{"at": 1.0, "duration": 1.0} | wrong)


def test_the_command_reports_to_a_ci(script: Path, tmp_path: Path) -> None:
    given = [f"{script}:late", "--at", "3ms,18ms", "--for", "2ms", "--json"]
    given += ["--junit", f"{tmp_path}/r.xml", "--directory", str(tmp_path)]
    result = CliRunner().invoke(verify_resume_command, given, standalone_mode=False)
    assert result.exception is None
    assert result.return_value == 1
    assert [(found["ok"], found["at"]) for found in json.loads(result.output)] == [(True, 3.0), (False, 18.0)]
    assert (tmp_path / "at-3" / "saved.h5").is_file()
    suite = ET.parse(tmp_path / "r.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["at 3 ms", "at 18 ms"]
    assert cases[0].find("failure") is None
    failure = cases[1].find("failure")
    assert failure is not None
    assert "2 steps after the save" in failure.get("message", "")


def test_what_a_model_raises_is_shown(script: Path) -> None:
    with pytest.raises(SimulatorError, match="no such model") as caught:
        verify_resume(f"{script}:broken", at=1.0, duration=1.0)
    printed = str(caught.value.details["printed"])
    assert printed.lstrip().startswith("Traceback")
    assert "\n" in printed
    assert "\\n" not in printed, "it is read by people"
    assert str(script) in printed
    assert "run.py" not in printed, "frames of our own say nothing about the script"


def test_a_save_inside_a_call_restarts_and_another_seed(script: Path, tmp_path: Path) -> None:
    report = verify_resume(
        f"{script}:sized", at=2, duration=4, run="long_trial", inside=5.0, restarts=2, copy="pruned",
        arguments={"side": 3, "log": str(tmp_path / "log")}, other={"seed": 9}, directory=tmp_path,
    )  # fmt: skip
    assert report.ok, report
    simulated: dict[str, float] = {}
    for process, ms in map(str.split, (tmp_path / "log").read_text().splitlines()):
        simulated[process] = simulated.get(process, 0.0) + float(ms)
    # Of the call in which it is saved, the resumed process simulates what comes after the save only.
    assert list(simulated.values()) == [42.0, 42.0, 2.0 + 7.0, 14.0]
    steps = {
        n: ann_ckpt.read(tmp_path / f"{n}.h5").time_step for n in ("saved", "copy", "restart-1", "resumed")
    }
    assert steps == {"saved": 19, "copy": 19, "restart-1": 28, "resumed": 42}
    said = "saved 5 ms inside a call, from a copy that was pruned, in 2 processes, built with seed=9"
    assert said in report.headline()
    with pytest.raises(SimulatorError) as caught:
        verify_resume(f"{script}:build", at=2, duration=4, run="long_trial", inside=8.0)
    assert "the call of long_trial simulated 7 ms" in str(caught.value.details)
    assert "Traceback" not in str(caught.value.details)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("inside", [0.3, 0.7, 0.25, 1.0])
def test_a_call_is_divided_at_the_save_and_nowhere_else(inside: float, skip: bool) -> None:
    """Nothing of it is a rest that only floats leave, and that a simulator may take for a step."""
    durations: list[float] = []
    model = _Model.__new__(_Model)
    model.network = SimpleNamespace(simulate=durations.append)
    model._run = lambda network: [network.simulate(0.1) for _ in range(10)]
    model.meet({"inside": inside, "run": "trial"}, lambda: durations.append(0.0), 1, skip=skip)
    before, after = durations[: durations.index(0.0)], durations[durations.index(0.0) + 1 :]
    assert sum(before) == pytest.approx(0.0 if skip else inside)
    assert sum(after) == pytest.approx(1.0 - inside)
    assert all(duration > 0.01 for duration in (*before, *after))


def test_what_differs_after_a_save_inside_a_call_is_named_with_the_call(script: Path) -> None:
    report = verify_resume(f"{script}:late", at=2, duration=4, run="long_trial", inside=5.0)
    assert report.culprit.endswith(" and 1 more, 1 call after the save")


@pytest.mark.parametrize("copy", ["exported", "converted"])
def test_a_copy_resumes_as_the_file_does(script: Path, tmp_path: Path, copy: str) -> None:
    assert verify_resume(f"{script}:build", at=5.0, duration=3.0, copy=copy, directory=tmp_path).ok
    assert ann_ckpt.read(tmp_path / "copy.h5").time_step == 5


def test_a_pruned_copy_is_from_a_store_that_has_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: str(tmp_path / f"{name}.h5") for name in ("saved", "ended", "copy")}
    for step, name in enumerate(("saved", "ended"), start=5):
        ann_ckpt.write(NetworkState(time_step=step, constants={"g": step}), files[name])
    there = []

    class Watched(CheckpointStore):
        def export(self, *given: Any, **more: Any) -> Any:
            there.append([info.time_step for info in self.checkpoints])
            return super().export(*given, **more)

    monkeypatch.setattr(verify, "CheckpointStore", Watched)
    for copy in ("exported", "pruned"):
        assert verify._copied(copy, files, tmp_path) == files["copy"]
        assert list(ann_ckpt.differences(ann_ckpt.read(files["copy"]), ann_ckpt.read(files["saved"]))) == []
    assert [sorted(steps) for steps in there] == [[5, 6], [5]]


def test_a_model_that_saving_changes_is_told_from_one_without_seeds(script: Path) -> None:
    report = verify_resume(f"{script}:touchy", at=5.0, duration=3.0)
    assert not report.ok
    assert report.disturbed
    assert "saving changes it" in report.headline()


def test_a_matrix_saves_with_each_value_and_resumes_with_each(script: Path, tmp_path: Path) -> None:
    given = [f"{script}:sized", "--at", "5ms", "--for", "2ms", "--arg", "side=3", "--matrix", "seed=3,5"]
    given += ["--json", "--junit", f"{tmp_path}/r.xml"]
    result = CliRunner().invoke(verify_resume_command, given, standalone_mode=False)
    assert result.return_value == 0, result
    assert [found["how"] for found in json.loads(result.output)] == [
        f"built with seed={saved} then {resumed}" for saved in (3, 5) for resumed in (3, 5)
    ]
    names = [case.get("name") for case in ET.parse(tmp_path / "r.xml").getroot().findall("testcase")]
    assert names[1] == "at 5 ms (built with seed=3 then 5)"


def test_the_tools_beside_the_interpreter_come_first(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    with pytest.raises(SimulatorError) as caught:
        verify_resume(f"{script}:tools", at=1.0, duration=1.0)
    assert f"PATH begins with {Path(sys.executable).parent}" in str(caught.value.details)


def test_a_script_has_to_be_found_again(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError):
        verify_resume(f"{tmp_path}/none.py:build", at=1.0, duration=1.0)
    with pytest.raises(OptionError, match=r"script\.py:function"):
        verify_resume("model.py", at=1.0, duration=1.0)
    with pytest.raises(OptionError, match="top level of a script"):
        verify_resume(lambda: None, at=1.0, duration=1.0)
    for neither in (None, partial(print), 3):
        with pytest.raises(OptionError, match="top level of a script"):
            verify_resume(neither, at=1.0, duration=1.0)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="above 0"):
        verify_resume(f"{__file__}:test_a_script_has_to_be_found_again", at=1.0, duration=0.0)


def test_a_file_that_is_no_script_is_refused_before_any_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.h5").write_bytes(b"\x89HDF")
    with pytest.raises(SystemExit) as caught:
        main(["verify-resume", f"{tmp_path}/net.h5:build", "--at", "1ms", "--for", "1ms"])
    assert caught.value.code == 2
    printed = capfd.readouterr()
    assert not printed.out
    assert "the file is not a Python script" in printed.err
    assert "Traceback" not in printed.err


def test_the_command_has_a_status_for_each(script: Path) -> None:
    runner = CliRunner()
    given = [f"{script}:forgetful", "--at", "0.01s", "--for", "5 ms", "--json"]
    result = runner.invoke(verify_resume_command, given, standalone_mode=False)
    assert result.exception is None
    assert result.return_value == 1
    found = json.loads(result.output)
    assert (found["ok"], found["at"], found["duration"]) == (False, 10.0, 5.0)
    wrong = runner.invoke(verify_resume_command, [f"{script}:build", "--at", "soon", "--for", "1ms"])
    assert wrong.exit_code == 2
    assert "not a time such as" in wrong.output
