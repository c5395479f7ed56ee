"""The hub is asked only for names that begin with hf:, and given only what was named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tipr.embedder import Embedder, find_bundle
from tipr.embedder.card import with_terms
from tipr.embedder.hub import downloaded
from tipr.embedder.publish import publish

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def shelf(monkeypatch, tmp_path) -> dict[str, Path]:
    """A hub of folders; what is published is copied to `published`."""
    kept: dict[str, Path] = {"published": tmp_path / "published"}

    def download(repo: str, revision: str | None, allow_patterns: list[str]) -> str:
        """Fetches as the hub does: what the patterns allow, into the folder of the revision."""
        name = f"{repo}@{revision}" if revision else repo
        if name not in kept:
            raise OSError(f"404 {name}\nmore")
        fetched = tmp_path / "fetched" / name
        for file in kept[name].iterdir():
            if any(file.match(pattern) for pattern in allow_patterns):
                fetched.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, fetched)
        return str(fetched)

    def create(repo: str, private: bool, exist_ok: bool) -> None:
        kept["private" if private else "public"] = Path(repo)

    def upload(repo_id: str, folder_path: str, **_: object) -> str:
        Path(folder_path).rename(kept["published"])
        return f"https://hub/{repo_id}"

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr(hub, "create_repo", create)
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
    assert "| licence of the weights | cc-by-nc-4.0 |" in card and "private" in shelf
    assert (tmp_path / "model/README.md").read_text() == before
    assert (shelf["published"] / "model.safetensors").is_file()


@pytest.mark.parametrize(("license_", "data"), [("", "x"), ("mit", "  ")])
def test_a_model_is_not_published_without_terms(shelf, embedder, tmp_path, license_, data) -> None:
    embedder.save(tmp_path / "model")
    with pytest.raises(ValueError, match="state both"):
        publish(tmp_path / "model", "hf:acme/x", license_, data)
    assert not shelf["published"].exists()


def test_a_card_of_ones_own_needs_its_lines() -> None:
    with pytest.raises(ValueError, match="add one to its README"):
        with_terms("# my model\n", "mit", "own data")


def test_the_shipped_card_can_be_published(shelf) -> None:
    publish("small", "hf:acme/small", "apache-2.0", "rendered people, no terms")
    assert "\nlicense: apache-2.0\n" in (shelf["published"] / "README.md").read_text()


def test_without_the_extra_the_user_is_told_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'tipr\[hub\]'"):
        find_bundle("hf:acme/small")


def test_a_revision_is_fetched_as_named(shelf, embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    shelf["acme/small@v2"] = tmp_path / "model"
    assert Embedder.load("hf:acme/small@v2", "cpu").fingerprint == embedder.fingerprint


def test_weights_that_are_only_pickled_are_fetched_where_there_is_nothing_better(
    shelf, tmp_path
) -> None:
    both, old = tmp_path / "both", tmp_path / "old"
    for folder, names in (
        (both, ["config.json", "model.safetensors", "pytorch_model.bin"]),
        (old, ["config.json", "pytorch_model.bin", "flax_model.msgpack"]),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"{}")
    shelf |= {"acme/both": both, "acme/old": old}
    assert {p.name for p in downloaded("hf:acme/both").iterdir()} == {
        "config.json", "model.safetensors",
    }  # fmt: skip
    assert {p.name for p in downloaded("hf:acme/old").iterdir()} == {
        "config.json", "pytorch_model.bin",
    }  # fmt: skip


def test_nothing_but_the_models_own_files_is_published(shelf, embedder, tmp_path) -> None:
    model = tmp_path / "model"
    embedder.save(model)
    (model / ".env").write_text("SECRET=1")
    (model / ".git").mkdir()
    (model / ".git/config").write_text("")
    (model / "pictures").symlink_to(tmp_path)
    publish(model, "hf:acme/x", "mit", "own")
    assert {p.name for p in shelf["published"].iterdir()} == {
        "config.json", "model.safetensors", "merges.txt", "README.md",
    }  # fmt: skip


def test_a_model_is_public_only_when_asked_for(shelf, embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    publish(tmp_path / "model", "hf:acme/x", "mit", "own", private=False)
    assert "public" in shelf and "private" not in shelf


def test_a_damaged_model_is_not_published(shelf, embedder, tmp_path) -> None:
    embedder.save(tmp_path / "model")
    (tmp_path / "model/model.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="damaged"):
        publish(tmp_path / "model", "hf:acme/x", "mit", "own")
    assert "private" not in shelf and not shelf["published"].exists()


@pytest.mark.parametrize("license_", ["mit\nevil: true", "two words", "-", "mit: x"])
def test_a_licence_is_one_identifier(shelf, embedder, tmp_path, license_: str) -> None:
    embedder.save(tmp_path / "model")
    with pytest.raises(ValueError, match="no identifier of a licence"):
        publish(tmp_path / "model", "hf:acme/x", license_, "own")


def test_another_licence_replaces_the_one_that_was_stated(shelf) -> None:
    publish("shipped:small", "hf:acme/small", "cc-by-nc-4.0", "rendered people")
    card = (shelf["published"] / "README.md").read_text()
    assert card.count("cc-by-nc-4.0") == 2 and "apache-2.0" not in card


def test_the_hub_gives_graphs_where_an_engine_can_run_them(tmp_path_factory, monkeypatch) -> None:
    from exports import contents, exported_model
    from huggingface_hub.utils import filter_repo_objects

    held = contents(exported_model(tmp_path_factory))
    wanted: list[list[str]] = []
    monkeypatch.setattr(
        hub, "snapshot_download",
        lambda *_, allow_patterns, **__: wanted.append(allow_patterns) or str(given),
    )  # fmt: skip
    given = exported_model(tmp_path_factory)
    find_bundle("hf:acme/small")
    assert set(filter_repo_objects(held, allow_patterns=wanted[0])) == set(held)
    monkeypatch.setattr("tipr.embedder.hub.missing", lambda _: True)
    find_bundle("hf:acme/small")
    fetched = set(filter_repo_objects(held, allow_patterns=wanted[1]))
    assert fetched == {name for name in held if not name.endswith(".onnx")}
