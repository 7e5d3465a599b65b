"""The blocks of the page on reading over a network run, against a real S3 server."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt.cli.main import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "remote.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
TAKING = {
    "info": "FILE",
    "ls": "FILE",
    "tree": "FILE",
    "show": "FILE metadata",
    "plot": "FILE populations/in/v",
    "report": "STORE -o page.html",
    "verify": "STORE@first",
    "diff": "FILE STORE@first",
    "export": "FILE one.h5",
    "params init": "FILE",
    "params extract": "FILE",
    "params table": "FILE",
    "params validate": "p.json --checkpoint FILE",
    "params schema": "--checkpoint FILE",
    "log": "STORE",
    "watch": "STORE --once",
    "add": "new.ckpt STORE@first",
    "prune": "STORE --dry-run --keep-last 1",
    "gc": "STORE --dry-run",
    "push": "run.ckpt STORE",
    "pull": "STORE@first copy.ckpt",
}
REFUSING = {
    "runs": "FOLDER",
    "unlock": "STORE --yes",
    "convert": "FILE one.h5",
    "params diff": "p.json FILE",
}
ON_THIS_MACHINE = {"demo", "batch-script", "verify-resume", "params", "help", "completion"}


def test_the_page_says_of_each_command_whether_it_takes_addresses():
    table, _, rest = PAGE.read_text().partition("| | what takes addresses |")[2].partition("\n\n")
    refusing = rest.partition("\n\n")[0]
    for name in TAKING:
        assert f"`{name}`" in table or f"`{name.removeprefix('params ')}`" in table, name
    for name in REFUSING:
        assert f"`{name}`" in refusing, name
        assert f"`{name}`" not in table, name
    known = {name for section in COMMANDS.values() for name in section}
    assert known - ON_THIS_MACHINE <= TAKING.keys() | REFUSING.keys()


@pytest.mark.parametrize(("name", "given"), (TAKING | REFUSING).items())
def test_a_command_takes_addresses_if_the_page_says_so(
    name, given, bucket, folder, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.ckpt").symlink_to(folder / "run.ckpt")
    (tmp_path / "p.json").write_text("{}")
    for word, address in (("FILE", "net.h5"), ("STORE", "run.ckpt"), ("FOLDER", "")):
        given = given.replace(word, f"{bucket}/{address}".replace(" ", "\0"))
    answer = run(*name.split(), *(part.replace("\0", " ") for part in given.split()))
    assert (answer.status == 0) is (name in TAKING), answer.err
    assert ("the scheme 's3' is not supported here" in answer.err) is (name in REFUSING)


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_a_block_of_the_page_runs(block, bucket, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "run.ckpt", tmp_path / "run.ckpt")
    monkeypatch.chdir(tmp_path)
    assert PAGE.name == "remote.md"
    code = BLOCKS[block].replace("s3://bucket", bucket)
    exec(compile(code, "remote.md", "exec"), {"ann_ckpt": ann_ckpt})
