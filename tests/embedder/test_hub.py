"""The hub is asked only for names that begin with hf:, and given only what was named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tipr.embedder import Embedder, find_bundle
from tipr.embedder.card import with_terms
from tipr.embedder.publish import publish

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def shelf(monkeypatch, tmp_path) -> dict[str, Path]:
    """A hub of folders; what is published is copied to `published`."""
    kept: dict[str, Path] = {"published": tmp_path / "published"}

    def download(repo: str, revision: str | None = None, allow_patterns: object = None) -> str:
        assert allow_patterns and not any("bin" in p or "pt" in p for p in allow_patterns)
        if repo not in kept:
            raise OSError(f"404 {repo}\nmore")
        return str(kept[repo])

    def upload(repo_id: str, folder_path: str, **_: object) -> str:
        Path(folder_path).rename(kept["published"])
        return f"https://hub/{repo_id}"

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr(hub, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(hub, "upload_folder", upload)
    return kept


def test_a_model_of_the_hub_is_loaded_by_name_and_found_again(shelf, embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    shelf["acme/small"] = tmp_path / "model"
    loaded = Embedder.load("hf:acme/small", "cpu")
    assert loaded.fingerprint == embedder.fingerprint and loaded.source == "hf:acme/small"


def test_a_name_the_hub_does_not_know_is_said_in_one_line(shelf) -> None:
    with pytest.raises(ValueError, match=r"hf:acme/none could not be fetched \(404 acme/none\);"):
        find_bundle("hf:acme/none")


@pytest.mark.parametrize("name", ["hf:small", "hf:a/b/c", "hf:../x", "hf:"])
def test_a_malformed_name_never_reaches_the_network(shelf, name: str) -> None:
    with pytest.raises(ValueError, match="its form is hf:ORGANISATION/NAME"):
        find_bundle(name)


def test_a_mistyped_folder_never_reaches_the_network(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(ValueError, match="there is no model at runs/best"):
        Embedder.load("runs/best", "cpu")


def test_searching_models_on_disk_imports_no_hub() -> None:
    code = ("import sys; from tipr import Embedder; Embedder.load('small', 'cpu'); "
            "assert 'huggingface_hub' not in sys.modules")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_published_model_states_its_licence_and_the_terms_of_its_data(
    shelf, embedder, tmp_path
) -> None:
    embedder.save(tmp_path / "model")
    before = (tmp_path / "model/README.md").read_text()
    address = publish(tmp_path / "model", "hf:acme/x", "cc-by-nc-4.0", "CUHK-PEDES,\nby request")
    assert address == "https://hub/acme/x"
    card = (shelf["published"] / "README.md").read_text()
    assert "\nlicense: cc-by-nc-4.0\n" in card
    assert "| data and its terms | CUHK-PEDES, by request |" in card
    assert "not stated" not in card
    assert (tmp_path / "model/README.md").read_text() == before
    assert (shelf["published"] / "model.safetensors").is_file()


@pytest.mark.parametrize(("license_", "data"), [("", "x"), ("mit", "  ")])
def test_a_model_is_not_published_without_terms(shelf, embedder, tmp_path, license_, data) -> None:
    embedder.save(tmp_path / "model")
    with pytest.raises(ValueError, match="state both"):
        publish(tmp_path / "model", "hf:acme/x", license_, data)
    assert not shelf["published"].exists()


def test_a_card_of_ones_own_needs_its_lines() -> None:
    with pytest.raises(ValueError, match="add them to its README"):
        with_terms("# my model\n", "mit", "own data")


def test_the_shipped_card_can_be_published(shelf) -> None:
    publish("small", "hf:acme/small", "apache-2.0", "rendered people, no terms")
    assert "\nlicense: apache-2.0\n" in (shelf["published"] / "README.md").read_text()


def test_without_the_extra_the_user_is_told_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'tipr\[hub\]'"):
        find_bundle("hf:acme/small")
