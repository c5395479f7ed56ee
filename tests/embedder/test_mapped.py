"""Weights that processes share: the same vectors, one file in memory, nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from exports import PICTURES, TEXTS

from tipr.data import whole
from tipr.embedder import Embedder
from tipr.embedder.mapped import cache

OTHER = """
import sys
from tipr.embedder import Embedder

embedder = Embedder.load(sys.argv[1], "pytorch:mapped")
embedder.embed_texts(["a red top"])
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def model(embedder, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    embedder.save(tmp_path / "model")
    return tmp_path / "model"


def test_mapped_weights_give_the_same_vectors(model) -> None:
    plain, mapped = (Embedder.load(model, name) for name in ("pytorch", "pytorch:mapped"))
    assert mapped.embed_images(PICTURES).tobytes() == plain.embed_images(PICTURES).tobytes()
    assert mapped.embed_texts(TEXTS).tobytes() == plain.embed_texts(TEXTS).tobytes()
    assert mapped.fingerprint == plain.fingerprint and mapped.runtime.name == "PyTorch"
    assert {weight.dtype for weight in mapped.encoder.parameters()} == {torch.float32}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which pages are shared")
def test_processes_hold_mapped_weights_in_memory_once(model) -> None:
    mine = Embedder.load(model, "pytorch:mapped")
    mine.embed_texts(TEXTS)
    mine.embed_images(PICTURES)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"ready\n"
        size = sum(weight.nbytes for weight in mine.encoder.state_dict().values())
        for process in ("self", other.pid):
            pages = mapped_pages(Path(f"/proc/{process}/smaps"))
            assert pages["Private_Dirty"] == 0 and pages["Rss"] > size / 3
        assert pages["Shared_Clean"] > 0.9 * pages["Rss"]


def mapped_pages(smaps: Path) -> dict[str, int]:
    """Bytes of the mapped weights in a process's memory, by kind."""
    _, _, rest = smaps.read_text().partition("/weights/")
    lines = [line.split() for line in rest.splitlines()[1:20]]
    return {words[0][:-1]: 1024 * int(words[1]) for words in lines if words[-1] == "kB"}


def test_a_weight_that_is_changed_becomes_a_copy(model) -> None:
    first, second = (Embedder.load(model, "pytorch:mapped") for _ in range(2))
    before = second.embed_texts(TEXTS)
    with torch.no_grad():
        for weight in first.encoder.parameters():
            weight.zero_()
    assert np.array_equal(second.embed_texts(TEXTS), before)
    assert np.array_equal(Embedder.load(model, "pytorch:mapped").embed_texts(TEXTS), before)


def test_the_file_is_made_once_and_made_anew_for_other_weights(model, embedder) -> None:
    Embedder.load(model, "pytorch:mapped")
    [made] = cache().iterdir()
    before = made.stat()
    Embedder.load(model, "pytorch:mapped")
    assert made.stat().st_mtime_ns == before.st_mtime_ns
    with torch.no_grad():
        next(embedder.encoder.parameters()).add_(1)
    embedder.save(model)
    found = Embedder.load(model, "pytorch:mapped")
    assert np.allclose(found.embed_texts(TEXTS), embedder.embed_texts(TEXTS), atol=2e-3)
    assert len(list(cache().iterdir())) == 2


def test_where_the_file_cannot_be_written_the_user_is_told_what_to_do(model, monkeypatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole, "put", full)
    with pytest.raises(ValueError, match=r"No space left .*XDG_CACHE_HOME .*--device pytorch"):
        Embedder.load(model, "pytorch:mapped")


def test_a_damaged_file_is_named(model) -> None:
    Embedder.load(model, "pytorch:mapped")
    [made] = cache().iterdir()
    made.write_bytes(made.read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"{made.name} cannot be mapped .*; delete it"):
        Embedder.load(model, "pytorch:mapped")
    made.unlink()
    assert Embedder.load(model, "pytorch:mapped").width == 64
