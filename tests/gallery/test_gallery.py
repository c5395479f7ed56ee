"""A gallery is whole or not there, and knows its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from coloured import ColourEmbedder
from PIL import Image

from tipr.gallery import (
    Gallery,
    GalleryError,
    NotAGallery,
    Record,
    Searcher,
    StaleGallery,
    UnreadText,
)


def test_a_gallery_remembers_what_made_it(tmp_path: Path, gallery: Gallery):
    manifest = json.loads(gallery.store.note("manifest") or "")
    created = manifest.pop("created")
    assert created.startswith("20")
    assert manifest == {
        "format": 2,
        "fingerprint": "ab12ab12ab12",
        "model": "colours",
        "width": 24,
        "transform": {"size": [8, 4], "mean": [0.0] * 3, "std": [1.0] * 3},
        "normalisation": "unit length",
        "precision": "float32",
    }


def test_a_reopened_gallery_has_its_rows(tmp_path: Path, gallery: Gallery):
    gallery.store.add([[1.0] * 24], [Record("a", "a.jpg")])
    again = Gallery.open(tmp_path / "people")
    assert len(again) == 1
    assert again.manifest == gallery.manifest


def test_another_model_is_refused_by_both_names(tmp_path: Path, gallery: Gallery):
    other = ColourEmbedder("cd34cd34cd34")
    words = (
        r"people was indexed with model ab12ab12.. \(colours\), this is cd34cd34.. \(colours\); "
        r"pass --model colours, or make its vectors anew with this one: tipr reindex --gallery "
    )
    with pytest.raises(StaleGallery, match=words):
        Gallery.open_or_create(tmp_path / "people", other)
    with pytest.raises(StaleGallery, match=words):
        Searcher(other, gallery)


def test_open_or_create_does_what_is_needed(tmp_path: Path, embedder: ColourEmbedder):
    path = tmp_path / "deep" / "people"
    Gallery.open_or_create(path, embedder).store.add([[1.0] * 24], [Record("a", "a.jpg")])
    assert len(Gallery.open_or_create(path, embedder)) == 1


def test_of_two_that_make_a_gallery_at_once_both_have_it(tmp_path: Path, embedder, monkeypatch):
    path = tmp_path / "people"
    real = Gallery.create.__func__

    def create(cls, where, embedder):
        real(cls, where, embedder).store.add([[1.0] * 24], [Record("a", "a.jpg")])
        return real(cls, where, embedder)

    monkeypatch.setattr(Gallery, "create", classmethod(create))
    assert len(Gallery.open_or_create(path, embedder)) == 1


def test_an_empty_folder_becomes_a_gallery_and_no_other_does(tmp_path: Path, embedder):
    (tmp_path / "empty").mkdir()
    assert len(Gallery.create(tmp_path / "empty", embedder)) == 0
    with pytest.raises(GalleryError, match="is a gallery already"):
        Gallery.create(tmp_path / "empty", embedder)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "1.jpg").touch()
    with pytest.raises(GalleryError, match="exists and is not a gallery"):
        Gallery.open_or_create(tmp_path / "holiday", embedder)
    assert [path.name for path in (tmp_path / "holiday").iterdir()] == ["1.jpg"]


def test_an_empty_folder_becomes_a_gallery_where_no_folder_is_replaced(
    tmp_path: Path, embedder: ColourEmbedder, monkeypatch
):
    replace = Path.replace

    def as_on_windows(self: Path, target: Path) -> Path:
        if target.is_dir():
            raise PermissionError(13, "Access is denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", as_on_windows)
    (tmp_path / "empty").mkdir()
    assert len(Gallery.create(tmp_path / "empty", embedder)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_creation_that_fails_leaves_nothing_behind(tmp_path: Path, embedder, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="No space left"):
        Gallery.create(tmp_path / "people", embedder)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_gallery_says_what_to_type(tmp_path: Path):
    with pytest.raises(NotAGallery, match=r"there is no gallery .*people; .*tipr index PHOTOS"):
        Gallery.open(tmp_path / "people")
    (tmp_path / "file").touch()
    with pytest.raises(NotAGallery, match="is a file, not a gallery"):
        Gallery.open(tmp_path / "file")
    with pytest.raises(NotAGallery, match="is not a gallery; choose another folder, or index"):
        Gallery.open(tmp_path)


@pytest.mark.parametrize("text", [None, "", '{"format": 2, "fing', "[]", '{"format": 2}', "\xff"])
def test_a_half_written_manifest_is_named(tmp_path: Path, gallery: Gallery, text: str | None):
    gallery.store.put_note("manifest", text)
    with pytest.raises(NotAGallery, match=r"manifest of .*people is damaged; remove it and"):
        Gallery.open(tmp_path / "people")


def test_a_gallery_of_another_tipr_is_refused_by_its_format(tmp_path: Path, gallery: Gallery):
    gallery.store.put_note("manifest", '{"format": 3}')
    with pytest.raises(GalleryError, match="has gallery format 3, this tipr reads 2"):
        Gallery.open(tmp_path / "people")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text('{"format": 1}')
    for attempt in (Gallery.open, lambda path: Gallery.create(path, ColourEmbedder())):
        with pytest.raises(GalleryError, match="is a gallery of an earlier tipr; index the pictur"):
            attempt(tmp_path / "old")


def test_a_gallery_may_be_moved(tmp_path: Path, gallery: Gallery):
    gallery.store.add([[1.0] * 24], [Record("a", "a.jpg")])
    (tmp_path / "people").rename(tmp_path / "moved")
    assert len(Gallery.open(tmp_path / "moved")) == 1


@pytest.mark.parametrize("source", ["small", "/models/run 7/bundle"])
def test_a_model_is_remembered_as_it_names_itself(tmp_path, embedder, monkeypatch, source: str):
    (tmp_path / "small").mkdir()  # has nothing to do with the model of that name
    monkeypatch.chdir(tmp_path)
    embedder.source = source
    assert Gallery.create("people", embedder).manifest.model == source
    assert Gallery.open("people").manifest.model == source


def test_searching_finds_the_described_picture(gallery: Gallery, embedder: ColourEmbedder):
    pictures = [Image.new("RGB", (4, 8), colour) for colour in ("red", "green", "blue")]
    names = [Record(name, f"{name}.jpg") for name in ("red", "green", "blue")]
    gallery.store.add(embedder.embed_images(pictures), names)
    with Searcher(embedder, gallery) as searcher:
        hits = searcher.search("a man in a blue coat", k=2)
    assert hits[0].record.path == "blue.jpg"
    assert hits[0].score > hits[1].score


@pytest.mark.parametrize("description", ["", " \n\t"])
def test_an_empty_description_is_refused(gallery: Gallery, embedder, description: str):
    with pytest.raises(ValueError, match="the description is empty"):
        Searcher(embedder, gallery).search(description)


def test_a_description_that_is_not_read_whole_says_from_where_on(gallery, embedder) -> None:
    searcher = Searcher(embedder, gallery)
    with pytest.warns(UnreadText, match="'blue' and what follows was not read"):
        searcher.search("a man in a red coat and a blue hat")
    searcher.search("a man in a red coat and hat")  # warnings are errors here


def test_a_searcher_opens_the_model_that_the_gallery_names(tmp_path, gallery, monkeypatch):
    asked = []

    def load(source: str, device: str, long_texts: str) -> ColourEmbedder:
        asked.append((source, device, long_texts))
        if source == "gone":
            raise ValueError("there is no model at gone")
        return ColourEmbedder("other-model" if source == "another" else "ab12ab12ab12")

    monkeypatch.setattr("tipr.embedder.Embedder.load", load)
    Searcher.open(tmp_path / "people", long_texts="clauses")
    assert asked == [("colours", "cpu", "clauses")]
    with pytest.raises(StaleGallery, match=r"this is other-mo\.\."):
        Searcher.open(tmp_path / "people", model="another")
    with pytest.raises(GalleryError, match="there is no model at gone; pass --model"):
        Searcher.open(tmp_path / "people", model="gone")
