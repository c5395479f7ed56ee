"""Every example runs as its first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rectangles import draw

EXAMPLES = Path(__file__).parents[2] / "examples"


def python(*words: object, cwd: Path) -> str:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_examples_are_short() -> None:
    files = sorted(EXAMPLES.glob("*.py"))
    assert len(files) == 3
    assert all(len(file.read_text().splitlines()) < 60 for file in files)


def test_a_folder_is_searched(tmp_path) -> None:
    (tmp_path / "crops").mkdir()
    for top in ("red", "blue"):
        draw(top, "black").save(tmp_path / "crops" / f"{top}.png")
    out = python(EXAMPLES / "search_a_folder.py", "crops", "a red top", cwd=tmp_path)
    assert out.startswith("2 added") and len(out.splitlines()) == 3


def test_a_checkpoint_is_evaluated(rectangles_root, tmp_path) -> None:
    out = python(EXAMPLES / "evaluate_a_checkpoint.py", "small", rectangles_root, cwd=tmp_path)
    assert "text-to-image R@1" in out and "6 people" in out


@pytest.mark.parametrize("experiment", ["margin_tiny"])
def test_a_method_of_ones_own_is_trained(rectangles_root, tmp_path, experiment: str) -> None:
    name = f"{EXAMPLES / 'add_a_method.py'}:{experiment}"
    words = ("-m", "tipr.cli", "train", name, "--data", rectangles_root, "--out", "run")
    out = python(*words, "--set", "optim.epochs=1", "--device", "cpu", cwd=tmp_path)
    assert out.strip() == str(Path("run") / "best")
