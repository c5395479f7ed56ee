"""A model on disk is whole, names itself, and stays readable by the hub's conventions."""

from __future__ import annotations

import json
from pathlib import Path

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


@pytest.mark.parametrize("name", ["thesis.txt", "sub/notes.md", "pytorch_model.bin"])
def test_a_model_never_takes_the_place_of_something_else(embedder, tmp_path, name: str) -> None:
    place = tmp_path / "home"
    (place / name).parent.mkdir(parents=True)
    (place / name).write_text("precious")
    with pytest.raises(ValueError, match=r"holds other things .*choose a new folder"):
        embedder.save(place)
    assert (place / name).read_text() == "precious"
    embedder.save(tmp_path / "model")
    (tmp_path / "model" / "notes.md").write_text("precious")
    with pytest.raises(ValueError, match=r"holds other things \(notes\.md\)"):
        embedder.save(tmp_path / "model")


def test_a_file_or_a_model_of_another_kind_is_not_replaced(embedder, tmp_path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ValueError, match="holds other things"):
        embedder.save(tmp_path / "file")
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(ValueError, match="holds other things"):
        embedder.save(tmp_path / "clip")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_link_to_a_model_stays_a_link(embedder, tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    embedder.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real/config.json").is_file()


def test_others_may_read_a_model_as_they_may_any_new_file(embedder, tmp_path) -> None:
    (tmp_path / "usual").write_text("")
    embedder.save(tmp_path / "model")
    usual = (tmp_path / "usual").stat().st_mode & 0o777
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "model").iterdir()} == {usual}
    assert (tmp_path / "model").stat().st_mode & 0o111


def test_a_save_that_fails_at_the_last_step_puts_the_old_model_back(
    embedder, tmp_path, monkeypatch
) -> None:
    embedder.save(tmp_path / "model")
    before = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}
    replace = Path.replace

    def second_fails(path: Path, target: Path) -> Path:
        if target.name == "model" and not path.name.endswith("-old"):
            raise OSError(5, "Input/output error")
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", second_fails)
        with pytest.raises(OSError, match="could not be written"):
            embedder.save(tmp_path / "model")
    assert {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()} == before


def test_a_model_left_aside_by_a_crash_is_never_lost(embedder, tmp_path, monkeypatch) -> None:
    embedder.save(tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / ".model-old")

    def fails(path: Path, target: Path) -> Path:
        if path.name.endswith("-old"):
            return replace(path, target)
        raise OSError(5, "Input/output error")

    replace = Path.replace
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        with pytest.raises(OSError, match="could not be written"):
            embedder.save(tmp_path / "model")
    assert Embedder.load(tmp_path / "model", "cpu").fingerprint == embedder.fingerprint


def test_a_name_that_means_two_models_is_refused(embedder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_bundle("small") == find_bundle("shipped:small")
    embedder.save("small")
    with pytest.raises(ValueError, match=r"write \./small or shipped:small"):
        find_bundle("small")
    assert Embedder.load("./small", "cpu").fingerprint == embedder.fingerprint
    shipped = Embedder.load("shipped:small", "cpu")
    assert shipped.fingerprint != embedder.fingerprint and shipped.source == "shipped:small"


def test_a_model_names_itself_so_that_it_is_found_from_anywhere(
    embedder, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    embedder.save("model")
    source = Embedder.load("model", "cpu").source
    assert source == str(tmp_path / "model")


def test_a_run_is_its_best_model(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "run" / "best")
    assert find_bundle(tmp_path / "run") == tmp_path / "run" / "best"
