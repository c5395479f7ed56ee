"""Another model's vectors take the place of the old ones in one step, or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import pytest
from coloured import COLOURS, ColourEmbedder
from PIL import Image

from tipr.gallery import (
    Gallery,
    GalleryError,
    Indexing,
    Record,
    Searcher,
    StaleGallery,
    StoreError,
    index_folders,
)
from tipr.gallery.confidence import NOTE
from tipr.gallery.crops import hashed
from tipr.gallery.editing import edit
from tipr.gallery.filters import Among
from tipr.gallery.reindexing import DRAFT, LOCK, reindex


class Mirrored(ColourEmbedder):
    """Another model: what it sees is the other way round."""

    def __init__(self, stop_after: int = 1000) -> None:
        super().__init__("cd34cd34cd34")
        self.source, self.left = "mirrored", stop_after

    def embed_images(self, images):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return -super().embed_images(images)

    def embed_texts(self, texts):
        return -super().embed_texts(texts)


@pytest.fixture
def indexed(gallery: Gallery, embedder: ColourEmbedder, photos: Path) -> Gallery:
    index_folders(gallery, embedder, [photos], how=Indexing(thumbnails=64))
    gallery.store.put_note("retention", "30 days")
    gallery.store.put_note("calibration", "of the old model")
    return gallery


def test_every_row_has_a_new_vector_and_its_old_record(indexed: Gallery, photos: Path):
    before = {record.id: record for record in indexed.store.records()}
    searcher = Searcher(ColourEmbedder(), indexed)
    done = reindex(indexed, Mirrored())
    assert (done.rows, done.small, done.lost) == (6, 0, [])
    again = Gallery.open(indexed.name)
    assert again.manifest.fingerprint == "cd34cd34cd34"
    assert again.manifest.model == "mirrored"
    for record in again.store.records():
        old = before[record.id]
        assert (record.path, record.extra) == (old.path, old.extra)
        assert record.model == "cd34cd34cd34"
        assert again.store.thumbnail(record.id) is not None
    assert {hit.record.path for hit in Searcher(Mirrored(), again).search("green", 2)} == {
        str(photos / "cam1/1.png"), str(photos / "cam0/4.png")
    }  # fmt: skip
    assert again.store.note("retention") == "30 days"
    assert again.store.note("calibration") is None
    with pytest.raises(StaleGallery):
        searcher.search("green")
    assert not (Path(indexed.name) / DRAFT).exists()


def test_until_the_switch_the_old_model_answers_and_a_stopped_run_goes_on(
    indexed: Gallery, monkeypatch
):
    monkeypatch.setattr("tipr.gallery.reindexing._BATCH", 2)
    with pytest.raises(KeyboardInterrupt):
        reindex(indexed, Mirrored(stop_after=2))
    assert len(Searcher(ColourEmbedder(), Gallery.open(indexed.name)).search("green")) == 6
    model = Mirrored()
    reindex(indexed, model)
    assert model.calls == [2]
    assert len(Searcher(Mirrored(), Gallery.open(indexed.name)).search("green")) == 6


def test_a_draft_of_a_third_model_is_not_gone_on_with(indexed: Gallery, monkeypatch):
    monkeypatch.setattr("tipr.gallery.reindexing._BATCH", 2)
    third = Mirrored(stop_after=2)
    third.fingerprint = "ef56"
    with pytest.raises(KeyboardInterrupt):
        reindex(indexed, third)
    model = Mirrored()
    reindex(indexed, model)
    assert model.calls == [2, 2, 2]


def test_what_others_change_meanwhile_is_followed(indexed: Gallery, photos: Path):
    rival = Gallery.open(indexed.name)
    ids = rival.store.ids()

    class Interrupted(Mirrored):
        def embed_images(self, images):
            if not self.calls:
                rival.store.remove(ids[:1])
                edit(rival.store, Among("id", (ids[1],)), {"camera": "lobby"})
                shutil.copy(photos / "cam0/2.png", photos.parent / "new.png")
                with (photos.parent / "new.png").open("ab") as file:
                    file.write(b" ")
                record = Record("new", str(photos.parent / "new.png"))
                rival.store.add(ColourEmbedder().embed_texts(["red"]), [record])
            return super().embed_images(images)

    done = reindex(indexed, Interrupted())
    assert done.rows == 6
    again = Gallery.open(indexed.name)
    assert again.store.ids() == [*ids[1:], "new"]
    assert again.store.ids(Among("camera", ("lobby",))) == [ids[1]]
    assert {record.model for record in again.store.records()} == {"cd34cd34cd34"}
    assert len(rival.store.ids()) == 6


def test_a_picture_that_is_gone_is_read_from_its_thumbnail(indexed: Gallery, photos: Path):
    (photos / "cam0/0.png").unlink()
    done = reindex(indexed, Mirrored())
    assert (done.rows, done.small) == (6, 1)


def test_a_file_that_was_replaced_is_not_taken_for_the_picture_that_was_indexed(
    indexed: Gallery, photos: Path
):
    place = photos / "cam0/0.png"
    old = hashed(place).record.id
    before = Mirrored().embed_images([Image.open(place)])[0]
    shutil.copy(photos / "cam1/1.png", place)
    done = reindex(indexed, Mirrored())
    assert (done.rows, done.small, done.lost) == (6, 1, [])
    assert indexed.store.vectors([old])[0] @ before > 0.98


def test_a_file_that_was_replaced_is_lost_where_there_is_no_thumbnail(
    gallery: Gallery, embedder: ColourEmbedder, photos: Path
):
    index_folders(gallery, embedder, [photos])
    shutil.copy(photos / "cam1/1.png", photos / "cam0/0.png")
    with pytest.raises(
        GalleryError, match=r"0\.png: another picture lies there now\).*--drop-lost"
    ):
        reindex(gallery, Mirrored())
    assert gallery.manifest.fingerprint == embedder.fingerprint


@pytest.mark.parametrize("id", ["red", "A" * 32, "a" * 31, "a" * 64])
def test_an_id_that_is_no_hash_says_nothing_about_the_file(gallery: Gallery, photos: Path, id: str):
    record = Record(id, str(photos / "cam0/0.png"))
    gallery.store.add(ColourEmbedder().embed_texts(["red"]), [record])
    done = reindex(gallery, Mirrored())
    assert (done.rows, done.small) == (1, 0)


def test_a_picture_inside_an_archive_is_read_whatever_its_id(gallery: Gallery, photos: Path):
    shard = photos.parent / "shard.tar"
    with tarfile.open(shard, "w") as archive:
        archive.add(photos / "cam0/0.png", "0.png")
    gallery.store.add(ColourEmbedder().embed_texts(["red"]), [Record("ab" * 16, f"{shard}/0.png")])
    done = reindex(gallery, Mirrored())
    assert (done.rows, done.small, done.lost) == (1, 0, [])


def test_big_pictures_are_decoded_reduced(gallery: Gallery, photos: Path):
    sizes = []

    class Measuring(Mirrored):
        def embed_images(self, images):
            images = list(images)
            sizes.extend(image.size for image in images)
            return super().embed_images(images)

    Image.new("RGB", (640, 1280), COLOURS["red"]).save(photos / "big.jpg")
    record = Record("big", str(photos / "big.jpg"))
    gallery.store.add(ColourEmbedder().embed_texts(["red"]), [record])
    reindex(gallery, Measuring())
    height, width = ColourEmbedder().transform.size
    assert sizes == [(2 * width, 2 * height)]


def test_rows_without_a_picture_stop_the_switch_unless_they_may_go(
    gallery: Gallery, embedder: ColourEmbedder, photos: Path
):
    index_folders(gallery, embedder, [photos])
    (photos / "cam0/0.png").unlink()
    with pytest.raises(GalleryError, match=r"1 rows have no picture .*0.png.*--drop-lost"):
        reindex(gallery, Mirrored())
    assert len(Searcher(ColourEmbedder(), gallery).search("green")) == 6
    assert reindex(gallery, Mirrored(), drop_lost=True).rows == 5


def test_the_same_model_has_nothing_to_do(gallery: Gallery):
    with pytest.raises(GalleryError, match="is indexed with this model already"):
        reindex(gallery, ColourEmbedder())


def test_two_models_do_not_index_a_gallery_anew_at_once(indexed: Gallery):
    class Rival(Mirrored):
        def embed_images(self, images):
            other = Mirrored()
            other.fingerprint = "ef56"
            with pytest.raises(GalleryError, match="is being indexed anew by another process"):
                reindex(Gallery.open(indexed.name), other)
            return super().embed_images(images)

    assert reindex(indexed, Rival()).rows == 6


@pytest.mark.parametrize("reason", ["unable to open", "may only be read", "not a database"])
def test_a_gallery_that_cannot_be_written_is_not_said_to_be_in_use(
    indexed: Gallery, monkeypatch: pytest.MonkeyPatch, reason: str
):
    lock = Path(indexed.name) / LOCK
    if reason == "unable to open":
        lock.mkdir()
    elif reason == "not a database":
        lock.write_bytes(b"something else" * 100)
    else:
        monkeypatch.setattr("tipr.gallery.reindexing.os.access", lambda path, mode: path != lock)
    with pytest.raises(GalleryError, match=rf"{LOCK} cannot be written \(.*{reason}.*\); let this"):
        reindex(indexed, Mirrored())
    assert not (Path(indexed.name) / DRAFT).exists()


def test_an_error_inside_is_not_taken_for_another_process(indexed: Gallery):
    class Failing(Mirrored):
        def embed_images(self, images):
            raise sqlite3.OperationalError("no such table")

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        reindex(indexed, Failing())
    assert reindex(indexed, Mirrored()).rows == 6


def test_what_was_fitted_to_the_old_vectors_is_not_kept_with_the_new(indexed: Gallery):
    fitting = Gallery.open(indexed.name)
    reindex(indexed, Mirrored())
    with pytest.raises(StoreError, match="was indexed anew by another model meanwhile"):
        fitting.store.put_note(NOTE, "fitted to the old vectors")
    assert indexed.store.note(NOTE) is None
    indexed.store.put_note(NOTE, "fitted to the new vectors")
    assert Gallery.open(indexed.name).store.note(NOTE) == "fitted to the new vectors"


def test_who_was_adding_vectors_of_the_old_model_is_stopped(indexed: Gallery):
    adding = Gallery.open(indexed.name)
    reindex(indexed, Mirrored())
    with pytest.raises(StoreError, match="was indexed anew by another model meanwhile"):
        adding.store.add(np.ones((1, 24)), [Record("late")])
    assert len(Gallery.open(indexed.name)) == 6
    assert indexed.store.add(np.ones((1, 24)), [Record("of the new model")]) == 1
