"""`tipr data check`: what it prints and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rectangles import rectangles

from tipr.cli import app


def ended(*words: object) -> int | str | None:
    """The exit code of the command, run in this process."""
    try:
        app(["data", "check", *map(str, words)])
    except SystemExit as error:
        return error.code
    return 0


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A set with an empty picture, and one whose name is no text."""
    root = rectangles(tmp_path / "set")
    (root / "images" / "4_0.png").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(root / "images") + b"/caf\xe9.png")).write_bytes(b"nobody's")
    return root


def test_a_clean_set_ends_with_0_and_shows_no_progress_in_a_pipe(rectangles_root, capsys) -> None:
    assert ended(rectangles_root, "--deep") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("clean: ") and "decoded" in printed.out
    assert "problem" not in printed.out and printed.err == ""


def test_a_problem_ends_with_1_and_says_what_to_do(rectangles_root, broken, capsys) -> None:
    assert ended(broken, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["clean"], report["layout"]) == (False, "CUHK-PEDES")
    (problem,) = (f for f in report["findings"] if f["severity"] == "problem")
    assert (problem["kind"], problem["count"]) == ("unreadable images", 1)
    assert problem["examples"] == ["4_0.png: the file is empty"]
    assert "Copy these files again" in problem["advice"]


def test_a_mistyped_flag_is_no_answer_about_the_set(rectangles_root, capsys) -> None:
    assert ended(rectangles_root, "--depe") == 2
    assert "clean" not in capsys.readouterr().out


def test_the_real_command_prints_names_that_are_no_text(broken) -> None:
    command = [sys.executable, "-m", "tipr.cli", "data", "check", str(broken)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and done.stderr == ""
    assert "caf\\udce9.png" in done.stdout
    assert "problem: unreadable images (1)" in done.stdout


@pytest.mark.parametrize("deep", [(), ("--deep",)])
def test_json_comes_out_even_where_no_dataset_is_known(tmp_path, capsys, deep) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        assert ended(path, "--json", *deep) == 1
        printed = capsys.readouterr()
        said = json.loads(printed.out)
        assert list(said) == ["error"] and said["error"].startswith(f"{path} ")
        assert printed.err == ""


def test_a_file_that_cannot_be_understood_is_a_report(tmp_path, capsys) -> None:
    (tmp_path / "people.csv").write_text("a.jpg,a red coat,1\n")
    assert ended(tmp_path, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in report["findings"]] == ["entries that lack something"]
    assert ended(tmp_path) == 1
    assert "has no column for the image" in capsys.readouterr().out


def test_an_unknown_folder_is_answered_by_the_reader(tmp_path, capsys) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        ended(tmp_path)
    assert capsys.readouterr().out == ""
