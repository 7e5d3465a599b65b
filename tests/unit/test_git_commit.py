"""The commit of the working folder: right where git says so, and nothing runs, follows or hangs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ann_ckpt.provenance import git_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env=os.environ | ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, as the git that is installed makes it."""
    if shutil.which("git") is None:
        pytest.fail("git is needed to make repositories for these tests")
    folder = tmp_path / "repository"
    (folder / "deep" / "er").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "f").write_text("1")
    git(folder, "add", "f")
    git(folder, "commit", "-qm", "one")
    return folder


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """The folder `.git` of a repository that has nothing but what is looked at."""
    made = tmp_path / "sent" / ".git"
    (made / "refs" / "heads").mkdir(parents=True)
    (made / "HEAD").write_text("ref: refs/heads/main\n")
    (made / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    return made


def found(dot_git: Path) -> str | None:
    return git_commit(str(dot_git.parent))


@pytest.mark.parametrize("inside", ["", "deep/er", ".git"])
def test_a_branch_from_anywhere_inside(repository: Path, inside: str) -> None:
    assert git_commit(str(repository / inside)) == git(repository, "rev-parse", "HEAD")


def test_packed_references(repository: Path) -> None:
    git(repository, "tag", "-a", "v1", "-m", "tag")
    git(repository, "branch", "maintenance")
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git/refs/heads/main").exists()
    assert git_commit(str(repository)) == git(repository, "rev-parse", "HEAD")


def test_a_loose_reference_is_newer_than_a_packed_one(repository: Path) -> None:
    git(repository, "pack-refs", "--all")
    git(repository, "commit", "-qm", "two", "--allow-empty")
    assert git_commit(str(repository)) == git(repository, "rev-parse", "HEAD")


def test_no_branch_and_no_commit(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert git_commit(str(repository)) == git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "--orphan", "empty")
    assert git_commit(str(repository)) is None


@pytest.mark.parametrize("packed", [False, True])
def test_a_worktree(repository: Path, packed: bool) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other/branch", "../beside")
    beside = repository.parent / "beside"
    git(beside, "commit", "-qm", "two", "--allow-empty")
    if packed:
        git(repository, "pack-refs", "--all")
    assert git_commit(str(beside)) == git(beside, "rev-parse", "HEAD")
    assert git_commit(str(beside)) != git_commit(str(repository))


def test_a_submodule(repository: Path) -> None:
    outer = repository.parent / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "add", "-q", str(repository), "part")
    git(outer, "commit", "-qm", "outer")
    assert git_commit(str(outer / "part")) == git(repository, "rev-parse", "HEAD")


def test_sha256_repositories(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    git(tmp_path, "commit", "-qm", "one", "--allow-empty")
    assert git_commit(str(tmp_path)) == git(tmp_path, "rev-parse", "HEAD")


def test_what_was_made_by_hand_is_a_repository(by_hand: Path) -> None:
    assert found(by_hand) == COMMIT


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main", "packed-refs"])
@pytest.mark.parametrize(
    "what", ["fifo", "folder", "link", "device", "huge", "empty", "binary", "unreadable"]
)
def test_files_that_git_does_not_make(by_hand: Path, tmp_path: Path, name: str, what: str) -> None:
    (by_hand / "refs/heads/main").rename(tmp_path / "real")
    path = by_hand / name
    path.unlink(missing_ok=True)
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        (tmp_path / "packed").write_text(f"{COMMIT} refs/heads/main\n")
        path.symlink_to(tmp_path / ("packed" if name == "packed-refs" else "real"))
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "huge":
        with path.open("wb") as file:
            file.write(f"{COMMIT} refs/heads/main\n".encode())
            file.truncate(64 << 30)
    elif what == "binary":
        path.write_bytes(b"\0\xff" * 20)
    else:
        path.write_text("")
        path.chmod(0o000 if what == "unreadable" else 0o644)
    assert found(by_hand) is None


@pytest.mark.parametrize(
    "reference",
    [
        "../../outside",
        "refs/../../outside",
        "refs/heads/../../../outside",
        "/etc/hostname",
        "refs//heads/main",
        "refs/heads/main\0",
        "refs",
        "HEAD",
        "refs/.hidden",
        "refs/heads/" + "x" * 300,
    ],
)
def test_references_that_leave_the_repository(by_hand: Path, reference: str) -> None:
    (by_hand.parent.parent / "outside").write_text(COMMIT)
    (by_hand.parent / "outside").write_text(COMMIT)
    (by_hand / "refs" / ".hidden").write_text(COMMIT)
    (by_hand / "HEAD").write_text(f"ref: {reference}\n")
    assert found(by_hand) is None


def test_references_in_a_circle(by_hand: Path) -> None:
    (by_hand / "refs/heads/main").write_text("ref: refs/heads/other\n")
    (by_hand / "refs/heads/other").write_text("ref: refs/heads/main\n")
    assert found(by_hand) is None


@pytest.mark.parametrize("linked", [".git", ".git/refs", ".git/refs/heads"])
def test_folders_that_are_links(by_hand: Path, tmp_path: Path, linked: str) -> None:
    path = by_hand.parent / linked
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert found(by_hand) is None


def test_a_pointer_to_somebody_elses_repository(repository: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.mkdir()
    (sent / ".git").write_text(f"gitdir: {repository}/.git\n")
    assert git_commit(str(sent)) is None
    git(repository, "worktree", "add", "-q", "../beside")
    (sent / ".git").write_text((repository.parent / "beside/.git").read_text())
    assert git_commit(str(sent)) is None


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert git_commit(str(tmp_path / "gone")) is None


def test_names_in_packed_references_are_compared_whole(by_hand: Path) -> None:
    (by_hand / "refs/heads/main").unlink()
    (by_hand / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'1' * 40} refs/heads/mainline\n{'2' * 40} xrefs/heads/main\n"
        f"{COMMIT} refs/heads/main\n^{'3' * 40}\n"
    )
    assert found(by_hand) == COMMIT


SAVING = """
    import os, platform, sys
    import ann_ckpt
    from ann_ckpt.demo import DemoNetwork
    started = []
    events = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"}
    sys.addaudithook(lambda event, arguments: started.append((event, arguments)) if event in events else None)
    os.environ["PATH"] = f".:{os.environ['PATH']}"
    platform._uname_cache = None  # whatever asked before
    net = DemoNetwork(seed=1)
    for target in ("out.h5", "out.npz", "run.ckpt"):
        ann_ckpt.save(target, network=net)
    ann_ckpt.convert("out.npz", "converted.h5", isolate=False)
    ann_ckpt.load("out.h5", network=net)
    ann_ckpt.verify("out.h5")
    assert not started, started
    ann_ckpt.convert("out.npz", "again.h5")  # the reader of old files, in a process of its own
    # Python 3.13 may start it with posix_spawn, which is an event of its own then.
    assert {os.fsdecode(arguments[0]) for _, arguments in started} == {sys.executable}, started
    assert sum(event == "subprocess.Popen" for event, _ in started) == 1, started
    print(ann_ckpt.open("out.h5").provenance.get("git"))
"""


def python(source: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        cwd=folder,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_program_is_started_by_what_the_working_folder_holds(repository: Path) -> None:
    ran = repository.parent / "ran"
    hook = repository / "hook.sh"
    hook.write_text(f"#!/bin/sh\necho ran >> {ran}\ncat\n")
    hook.chmod(0o755)
    for program in ("git", "uname"):  # the working folder may be on the search path
        shutil.copy(hook, repository / program)
    git(repository, "config", "filter.x.clean", str(hook))
    (repository / ".gitattributes").write_text("* filter=x\n")
    os.utime(repository / "f", (1, 1))
    git(repository, "config", "core.fsmonitor", str(hook))
    index = repository / ".git/index"
    before = index.read_bytes(), index.stat().st_mtime_ns
    commit = python(SAVING, repository)
    assert not ran.exists()
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before
    assert commit == git(repository, "-c", "core.fsmonitor=false", "rev-parse", "HEAD")


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    source = f"""
        import os
        import ann_ckpt  # before: Python 3.13.0 cannot import numpy in a folder that is gone
        gone = {str(tmp_path / "w")!r}
        os.mkdir(gone), os.chdir(gone), os.rmdir(gone)
        from ann_ckpt.demo import DemoNetwork
        net = DemoNetwork(seed=1)
        for name in ("x.h5", "x.npz", "x.data", "run.ckpt"):
            ann_ckpt.save(os.path.join({str(tmp_path)!r}, name), network=net)
        ann_ckpt.load({str(tmp_path / "x.h5")!r}, network=net)
        ann_ckpt.load({str(tmp_path / "run.ckpt")!r}, network=net)
        ann_ckpt.convert({str(tmp_path / "x.npz")!r}, {str(tmp_path / "y.h5")!r}, isolate=True)
        print(ann_ckpt.verify({str(tmp_path / "run.ckpt")!r}).ok)
    """
    assert python(source, tmp_path) == "True"


def test_the_worker_imports_nothing_from_the_working_folder(tmp_path: Path) -> None:
    python(
        "import ann_ckpt, ann_ckpt.demo as d; ann_ckpt.save('n.npz', network=d.DemoNetwork(seed=1))",
        tmp_path,
    )
    sent = tmp_path / "sent"
    for name in ("ann_ckpt", "numpy", "scipy"):
        (sent / name).mkdir(parents=True)
        (sent / name / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    # An interactive session: the first entry of sys.path means the working folder of the moment.
    python(
        f"import os, sys, ann_ckpt, numpy; sys.path[0] = ''; os.chdir({str(sent)!r})\n"
        "ann_ckpt.convert('../n.npz', '../n.h5', isolate=True)",
        tmp_path,
    )
    assert (tmp_path / "n.h5").exists()
    assert not (tmp_path / "ran").exists()
