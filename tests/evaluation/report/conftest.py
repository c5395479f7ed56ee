"""A dataset of noise, and the report of an untrained model on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import people

from tipr.data.pairs import Dataset
from tipr.embedder import Embedder
from tipr.evaluation.report import write_report


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset("rectangles", (), people(tmp_path, range(10, 16)), people(tmp_path, range(8)))


@pytest.fixture
def written(tmp_path: Path, embedder: Embedder, dataset: Dataset) -> str:
    write_report(tmp_path / "new" / "report.html", embedder, dataset,
                 made_with={"commit": "abc", "hardware": "a <slow> machine"})  # fmt: skip
    return (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
