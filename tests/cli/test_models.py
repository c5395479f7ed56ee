"""`tipr import`, `tipr push` and what long descriptions become, at the terminal."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from foreign import openai_clip
from rectangles import draw
from terminal import tipr

from tipr.data.bpe import ClipPairs
from tipr.data.text import Tokenizer
from tipr.embedder import Embedder

WORDS = Tokenizer(ClipPairs([("r", "e"), ("re", "d</w>")]))
LONG = "a man in a red coat with a blue hat and a green bag under his left arm, walking a brown dog"


class Deleting:
    """What a malicious checkpoint would run when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A run folder as IRRA leaves it, small: best.pth beside configs.yaml."""
    run = tmp_path / "irra"
    run.mkdir()
    weights = openai_clip(vocabulary=WORDS.vocabulary, grid=1)
    weights["visual.positional_embedding"] = torch.randn(8 * 4 + 1, 64) * 0.05
    model = {f"base_model.{name}": value.half() for name, value in weights.items()}
    model |= {"classifier.weight": torch.zeros(9, 64), "classifier.bias": torch.zeros(9)}
    torch.save({"model": model, "optimizer": {"state": {}}, "epoch": 3}, run / "best.pth")
    (run / "configs.yaml").write_text("img_size:\n- 128\n- 64\nstride_size: 16\ntext_length: 20\n")
    WORDS.save(run)
    return run


def test_a_checkpoint_of_the_field_evaluates_and_searches(
    checkpoint, rectangles_root, tmp_path
) -> None:
    model = tmp_path / "model"
    told = json.loads(tipr("import", checkpoint, "--out", model, "--json").stdout)
    assert told["fingerprint"] == Embedder.load(model, "cpu").fingerprint
    assert {"classifier.weight", "classifier.bias"} <= set(told["scaffolding"])
    assert told["unknown"] == []
    said = tipr("import", checkpoint, "--out", model).stdout
    assert "pictures of 128 x 64, sentences of up to 20 tokens" in said
    assert "were only for training and stay behind: " in said
    scores = tipr("eval", model, "--data", rectangles_root, "--json", "--device", "cpu")
    assert json.loads(scores.stdout)["t2i"]["queries"] > 0
    (tmp_path / "crops").mkdir()
    draw("red", "blue").save(tmp_path / "crops/one.png")
    tipr("index", tmp_path / "crops", "--gallery", tmp_path / "people", "--model", model)
    found = tipr("search", "a red top", "--gallery", tmp_path / "people").stdout
    assert "one.png" in found


def test_an_unsafe_checkpoint_is_refused_and_nothing_of_it_runs(tmp_path) -> None:
    torch.save({"model": Deleting(tmp_path / "ran")}, tmp_path / "best.pth")
    done = tipr("import", tmp_path / "best.pth", "--out", tmp_path / "model", code=1)
    assert "best.pth" in done.stderr and "mkdir" in done.stderr
    assert not (tmp_path / "ran").exists() and not (tmp_path / "model").exists()


def test_what_is_no_model_is_named(tmp_path) -> None:
    done = tipr("import", tmp_path / "none.pt", "--out", tmp_path / "model", code=1)
    assert "none.pt" in done.stderr
    (tmp_path / "page.pt").write_text("<html>404</html>")
    done = tipr("import", tmp_path / "page.pt", "--out", tmp_path / "model", code=1)
    assert "page.pt" in done.stderr


def test_publishing_asks_for_the_terms(tmp_path) -> None:
    done = tipr("push", "small", "hf:acme/small", code=2)
    assert "--license" in done.stderr + done.stdout


@pytest.fixture
def gallery(embedder, tmp_path: Path) -> Path:
    embedder.save(tmp_path / "model")
    (tmp_path / "crops").mkdir()
    draw("red", "blue").save(tmp_path / "crops/one.png")
    tipr("index", tmp_path / "crops", "--gallery", tmp_path / "people",
         "--model", tmp_path / "model")  # fmt: skip
    return tmp_path / "people"


def test_a_description_that_is_too_long_is_said_and_can_be_read_by_clauses(gallery) -> None:
    cut = tipr("search", LONG, "--gallery", gallery)
    assert "and what follows was not read" in cut.stderr and "one.png" in cut.stdout
    facts = json.loads(tipr("search", LONG, "--gallery", gallery, "--json").stdout)
    assert facts["unread"] in LONG.split()
    parted = tipr("search", LONG, "--gallery", gallery, "--long-texts", "clauses", "--json")
    assert json.loads(parted.stdout)["unread"] is None and not parted.stderr


def test_captions_that_are_not_read_whole_are_counted(embedder, rectangles_root, tmp_path) -> None:
    embedder.tokenizer.length = 5
    embedder.save(tmp_path / "model")
    base = ("eval", tmp_path / "model", "--data", rectangles_root, "--device", "cpu", "--json")
    done = tipr(*base)
    facts = json.loads(done.stdout)
    assert facts["unread_captions"] == facts["t2i"]["queries"]
    facts = json.loads(tipr(*base, "--long-texts", "clauses").stdout)
    assert facts["unread_captions"] == 0
