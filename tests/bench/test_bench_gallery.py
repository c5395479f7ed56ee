"""The benchmark of galleries: made-up vectors with a modality gap, honest ratios, a table."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tipr.bench.gallery import measure
from tipr.bench.gallery_table import table
from tipr.bench.gallery_vectors import people
from tipr.cli import app


def test_pictures_lie_in_one_cone_sentences_in_another_and_people_together():
    made = people(2000, 64, cameras=10)
    sentences = made.sentences(100, 1)
    centre, words = made.pictures.mean(axis=0), sentences.mean(axis=0)
    gap = centre @ words / np.linalg.norm(centre) / np.linalg.norm(words)
    assert 0 < gap < 0.5
    same = made.person[:, None] == made.person[None]
    alike = made.pictures @ made.pictures.T
    assert alike[same].mean() > alike[~same].mean() + 0.1
    assert np.allclose(np.linalg.norm(made.pictures, axis=1), 1, atol=1e-5)
    assert (people(2000, 64, cameras=10).pictures == made.pictures).all()
    assert not (made.sentences(100, 2) == sentences).all()


def test_what_is_measured_is_found_and_told():
    facts = measure([600], width=32)
    [one] = facts["sizes"]
    assert [timing["what"] for timing in one["timings"]] == [
        "k = 10", "k = 100", "k = 10, filter of 10 %", "k = 10, filter of 1 %",
        "k = 10, filter of 0.1 %", "k = 10, 64 at once",
    ]  # fmt: skip
    assert all(timing["recall"] == 1 for timing in one["timings"])
    for timing in one["timings"]:
        assert timing["ratio"] == pytest.approx(timing["p50"] / timing["scan"])
    text = table(json.loads(json.dumps(facts)))
    assert text.count("\n| 600 |") == 7
    assert facts["hardware"] in text


def test_the_verb_prints_json(capsys: pytest.CaptureFixture[str]):
    app(["bench", "gallery", "--rows", "300", "--width", "16", "--json"])
    assert json.loads(capsys.readouterr().out)["sizes"][0]["rows"] == 300
