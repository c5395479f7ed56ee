"""A model on disk is whole, names itself, and stays readable by the hub's conventions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rectangles import draw
from safetensors.torch import load_file

from tipr.embedder import Embedder, find_bundle

FILES = {"config.json", "model.safetensors", "merges.txt", "README.md"}


def test_a_saved_model_embeds_alike(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    again = Embedder.load(tmp_path / "model", "cpu")
    assert again.fingerprint == embedder.fingerprint
    a, b = embedder.embed_texts(["a red top"]), again.embed_texts(["a red top"])
    assert np.allclose(a, b, atol=2e-3)  # half precision on disk
    a, b = (e.embed_images([draw("red", "blue")]) for e in (embedder, again))
    assert np.allclose(a, b, atol=2e-3)
    assert {p.name for p in (tmp_path / "model").iterdir()} == FILES


def test_a_model_is_laid_out_as_the_hub_expects(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model/config.json").read_text())
    assert facts["model_type"] == "tipr" and facts["encoder"]["kind"] == "compact"
    assert set(load_file(tmp_path / "model/model.safetensors")) == set(
        embedder.encoder.state_dict()
    )
    card = (tmp_path / "model/README.md").read_text()
    assert card.startswith("---\nlibrary_name: tipr\n")
    assert "no result is evidence of who somebody is" in card


def test_other_weights_have_another_fingerprint(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    other = Embedder.load(tmp_path / "model", "cpu")
    other.encoder.word.weight.data += 0.5
    assert other.fingerprint != embedder.fingerprint


def test_the_shipped_model_keeps_its_fingerprint() -> None:
    """A gallery names it: were it to change, every gallery would have to be made anew."""
    assert Embedder.load("small", "cpu").fingerprint == "fb70be1d4aa46315"


def test_a_missing_model_says_what_there_is(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"there is no model at .*shipped model \(small\)"):
        find_bundle(tmp_path / "none")


def test_a_folder_of_something_else_is_told_how_to_be_imported(tmp_path) -> None:
    (tmp_path / "ViT-B-16.pt").write_bytes(b"weights")
    with pytest.raises(ValueError, match=r"is no model of tipr; .*tipr import"):
        find_bundle(tmp_path)


def test_a_model_of_another_library_is_told_how_to_be_imported(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(ValueError, match=r"another kind \(clip\).*tipr import"):
        Embedder.load(tmp_path, "cpu")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "merges.txt"])
@pytest.mark.parametrize("bytes_", [b"", b"{}", b"[1]", b"\xff\xfe\x00"])
def test_a_damaged_model_is_named(embedder, tmp_path, name: str, bytes_: bytes) -> None:
    embedder.save(tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(bytes_)
    with pytest.raises(ValueError, match=r"model.*(damaged|kind)|merges\.txt"):
        Embedder.load(tmp_path / "model", "cpu")


def test_a_model_of_another_size_is_refused(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model/config.json").read_text())
    facts["encoder"]["embedding"] = 32
    (tmp_path / "model/config.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="damaged"):
        Embedder.load(tmp_path / "model", "cpu")


def test_a_model_of_another_format_is_named(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model/config.json").read_text())
    (tmp_path / "model/config.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        Embedder.load(tmp_path / "model", "cpu")


def test_a_failed_save_leaves_the_model_before(embedder, tmp_path, monkeypatch) -> None:
    embedder.save(tmp_path / "model")
    before = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tipr.embedder.bundle.save_file", full)
    with pytest.raises(OSError, match="free some disk space"):
        embedder.save(tmp_path / "model")
    assert {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
