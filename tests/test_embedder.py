from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from rectangles import draw

from tipr.embedder import Embedder, find_bundle


def test_embeddings_are_unit_vectors(embedder) -> None:
    images = embedder.embed_images([draw("red", "blue"), draw("black", "white")])
    texts = embedder.embed_texts(["a red top", "a blue top", "nothing at all"])
    assert images.shape == (2, embedder.width) and texts.shape == (3, embedder.width)
    assert images.dtype == texts.dtype == np.float32
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)


def test_nothing_in_nothing_out(embedder) -> None:
    assert embedder.embed_images([]).shape == (0, embedder.width)
    assert embedder.embed_texts([]).shape == (0, embedder.width)


def test_batches_do_not_matter(embedder) -> None:
    pictures = [draw("red", c) for c in ("blue", "white", "green")]
    whole, single = embedder.embed_images(pictures), embedder.embed_images(pictures, batch_size=1)
    assert np.allclose(whole, single, atol=1e-5)


def test_a_saved_model_embeds_alike(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    again = Embedder.load(tmp_path / "model", "cpu")
    assert again.fingerprint == embedder.fingerprint
    a, b = embedder.embed_texts(["a red top"]), again.embed_texts(["a red top"])
    assert np.allclose(a, b, atol=2e-3)  # half precision on disk
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "bundle.json", "encoder.safetensors", "merges.txt",
    }  # fmt: skip


def test_other_weights_have_another_fingerprint(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    other = Embedder.load(tmp_path / "model", "cpu")
    other.encoder.word.weight.data += 0.5
    assert other.fingerprint != embedder.fingerprint


def test_a_single_string_is_refused(embedder) -> None:
    with pytest.raises(TypeError, match="list of sentences"):
        embedder.embed_texts("a man")


def test_a_missing_model_says_what_there_is(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"there is no model at .*shipped model \(small\)"):
        find_bundle(tmp_path / "none")


@pytest.mark.parametrize("name", ["encoder.safetensors", "bundle.json", "merges.txt"])
def test_a_damaged_model_is_named(embedder, tmp_path, name: str) -> None:
    embedder.save(tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"damaged|merges file"):
        Embedder.load(tmp_path / "model", "cpu")


def test_a_model_of_another_size_is_refused(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model/bundle.json").read_text())
    facts["encoder"]["embedding"] = 32
    (tmp_path / "model/bundle.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="damaged"):
        Embedder.load(tmp_path / "model", "cpu")


def test_importing_tipr_loads_no_torch() -> None:
    code = "import sys, tipr; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_of_another_format_is_named(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model/bundle.json").read_text())
    (tmp_path / "model/bundle.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        Embedder.load(tmp_path / "model", "cpu")


def test_a_failed_save_leaves_the_model_before(embedder, tmp_path, monkeypatch) -> None:
    embedder.save(tmp_path / "model")
    before = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tipr.embedder.save_file", full)
    with pytest.raises(OSError, match="free some disk space"):
        embedder.save(tmp_path / "model")
    assert {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
