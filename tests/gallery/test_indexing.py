"""Indexing adds what is new, names what it cannot use, and survives being stopped."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from coloured import COLOURS, ColourEmbedder
from PIL import Image

from tipr.gallery import Gallery, Indexing, Record, Searcher, index_folders
from tipr.gallery.indexing import files_of
from tipr.gallery.local import LocalStore


def names(gallery: Gallery) -> list[str]:
    found = (gallery.store.get(id) for id in gallery.store.ids())
    return [record.extra["name"] for record in found if record is not None]


def test_every_picture_is_added_in_order(gallery: Gallery, embedder, photos: Path):
    report = index_folders(gallery, embedder, [photos], how=Indexing(batch=4))
    assert (report.added, report.already, report.skipped) == (6, 0, ())
    assert names(gallery) == ["cam0/0.png", "cam0/2.png", "cam0/4.png",
                              "cam1/1.png", "cam1/3.png", "cam1/5.png"]  # fmt: skip
    assert embedder.calls == [4, 2]
    best = Searcher(embedder, gallery).search("green", k=2)
    assert {hit.record.path for hit in best} == {
        str(photos / n) for n in ("cam1/1.png", "cam0/4.png")
    }


def test_adding_a_folder_twice_adds_nothing_twice(gallery: Gallery, embedder, photos: Path):
    index_folders(gallery, embedder, [photos])
    before = gallery.store.ids()
    embedder.calls.clear()
    report = index_folders(gallery, embedder, [photos, photos / "cam0"])
    assert (report.added, report.already) == (0, 6)
    assert embedder.calls == []
    assert gallery.store.ids() == before


def test_the_same_bytes_under_two_names_count_once(gallery: Gallery, embedder, photos: Path):
    shutil.copy(photos / "cam0/0.png", photos / "cam1/copy.png")
    report = index_folders(gallery, embedder, [photos])
    assert (report.added, report.already) == (6, 1)
    assert "cam0/0.png" in names(gallery)
    assert "cam1/copy.png" not in names(gallery)


def test_a_moved_picture_is_followed_and_not_embedded_again(gallery, embedder, photos: Path):
    index_folders(gallery, embedder, [photos])
    before = gallery.store.ids()
    embedder.calls.clear()
    (photos / "cam0").rename(photos / "door")
    shutil.copy(photos / "door/2.png", photos / "door/copy.png")
    report = index_folders(gallery, embedder, [photos])
    assert (report.added, report.already, report.skipped) == (0, 7, ())
    assert embedder.calls == []
    assert gallery.store.ids() == before
    moved = ["door/0.png", "door/2.png", "door/4.png"]
    assert names(gallery) == [*moved, "cam1/1.png", "cam1/3.png", "cam1/5.png"]
    assert [record.path for record in list(gallery.store.records())[:3]] == [
        str(photos / name) for name in moved
    ]
    best = Searcher(embedder, gallery).search("green", k=2)
    assert all(Path(hit.record.path).is_file() for hit in best)


def test_a_moved_picture_keeps_what_else_is_known_of_it(gallery, embedder, photos: Path):
    index_folders(gallery, embedder, [photos / "cam0"])
    first = next(iter(gallery.store.records()))
    gallery.store.update([Record(first.id, first.path, {**first.extra, "camera": 3})])
    (photos / "cam0/0.png").rename(photos / "cam0/9.png")
    index_folders(gallery, embedder, [photos / "cam0"])
    assert next(iter(gallery.store.records())).extra == {"name": "9.png", "camera": 3}


def test_a_picture_that_may_not_be_looked_for_is_not_moved(gallery, embedder, photos, monkeypatch):
    index_folders(gallery, embedder, [photos / "cam0"])
    shutil.move(photos / "cam0", photos / "door")
    exists = Path.exists

    def locked(self: Path) -> bool:
        if self.parent.name == "cam0":
            raise PermissionError(13, "Permission denied")
        return exists(self)

    monkeypatch.setattr(Path, "exists", locked)
    report = index_folders(gallery, embedder, [photos / "door"])
    assert (report.added, report.already) == (0, 3)
    assert next(iter(gallery.store.records())).path == str(photos / "cam0/0.png")


def test_what_cannot_be_used_is_named_and_the_rest_indexed(gallery, embedder, photos: Path):
    (photos / "notes.txt").write_text("meet at noon")
    (photos / "empty.jpg").touch()
    whole = (photos / "cam0/0.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "red\udcff.jpg").write_bytes(whole)
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(photos / "print.jpg")
    report = index_folders(gallery, embedder, [photos])
    assert (report.added, report.already) == (7, 0)
    assert [(path.name, reason) for path, reason in report.skipped] == [
        ("cut.png", "cut short: the end of the file is missing"),
        ("empty.jpg", "the file is empty"),
        ("moving.gif", "has 2 frames; only still pictures are read"),
        ("notes.txt", "not a picture, or too damaged to tell"),
        ("red\udcff.jpg", "its name is not valid UTF-8; rename it"),
    ]


def test_a_picture_without_a_vector_costs_only_itself(gallery: Gallery, photos: Path):
    Image.new("RGB", (4, 8), COLOURS["grey"]).save(photos / "grey.png")
    report = index_folders(gallery, ColourEmbedder(broken="grey"), [photos])
    assert report.added == 6
    assert report.skipped == ((photos / "grey.png", "the model gave no usable vector for it"),)


def test_a_stopped_run_keeps_its_batches_and_the_next_goes_on(gallery, photos: Path):
    class Stopped(ColourEmbedder):
        def embed_images(self, images):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().embed_images(images)

    with pytest.raises(KeyboardInterrupt):
        index_folders(gallery, Stopped(), [photos], how=Indexing(batch=2))
    assert len(gallery) == 4
    report = index_folders(gallery, ColourEmbedder(), [photos], how=Indexing(batch=2))
    assert (report.added, report.already) == (2, 4)


def test_progress_reaches_the_total(gallery: Gallery, embedder, photos: Path):
    (photos / "notes.txt").write_text("x")
    told: list[tuple[int, int]] = []
    index_folders(
        gallery,
        embedder,
        [photos],
        lambda done, total: told.append((done, total)),
        Indexing(batch=2),
    )
    assert told == sorted(told)
    assert told[-1] == (7, 7)
    assert {total for _, total in told} == {7}


def test_another_model_is_refused_before_any_file_is_read(gallery: Gallery, photos: Path):
    with pytest.raises(ValueError, match="make its vectors anew with this one"):
        index_folders(gallery, ColourEmbedder("cd34"), [photos])


def test_a_missing_or_empty_folder_is_an_error(gallery: Gallery, embedder, photos, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match=r"there are no files in .*nothing; give a folder"):
        index_folders(gallery, embedder, [tmp_path / "nothing"])
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing"):
        index_folders(gallery, embedder, [photos, tmp_path / "missing"])
    with pytest.raises(ValueError, match="at least one folder"):
        index_folders(gallery, embedder, [])
    assert len(gallery) == 0


def test_a_gallery_inside_the_folder_is_not_indexed(photos: Path, embedder: ColourEmbedder):
    gallery = Gallery.create(photos / "people", embedder)
    report = index_folders(gallery, embedder, [photos])
    assert (report.added, report.skipped) == (6, ())


def test_a_model_that_answers_in_another_shape_is_an_error(gallery: Gallery, photos: Path):
    class Narrow(ColourEmbedder):
        def embed_images(self, images):
            return np.ones((len(list(images)), 3), np.float32)

    with pytest.raises(ValueError, match=r"gave vectors \(6, 3\) for 6 pictures; .* \(6, 24\)"):
        index_folders(gallery, Narrow(), [photos])


def test_files_are_listed_once_under_their_first_name_in_their_order(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(photos.parent)
    (photos / "cam0/records.csv").touch()
    (photos / "records.csv").touch()
    listed = files_of(gallery, ["photos/cam1", photos, "./photos/cam0"])
    expected = {
        photos / "cam1/1.png": "1.png", photos / "cam1/3.png": "3.png",
        photos / "cam1/5.png": "5.png", photos / "cam0/0.png": "cam0/0.png",
        photos / "cam0/2.png": "cam0/2.png", photos / "cam0/4.png": "cam0/4.png",
        photos / "cam0/records.csv": "cam0/records.csv",
    }  # fmt: skip
    assert list(listed.items()) == list(expected.items())
    assert listed == expected
    assert len(listed) == 7
    assert photos / "cam1/1.png" in listed
    assert photos / "1.png" not in listed
    assert listed[photos / "cam0/4.png"] == "cam0/4.png"


@pytest.mark.parametrize("folder", ["/", "/srv", ".", "a/../b"])
def test_a_file_is_named_by_where_it_lies_in_its_folder(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, folder: str
):
    """A folder that may not be entered is listed itself."""
    found = [Path(folder), Path(folder, "x", "1 \\2.jpg")]
    monkeypatch.setattr("tipr.gallery.indexing.walked_images", lambda folder: found)
    assert list(files_of(gallery, [folder]).items()) == [
        (path.absolute(), path.relative_to(folder).as_posix()) for path in found
    ]


def test_of_a_listed_file_little_more_than_its_path_is_held(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
):
    def some(folder: Path) -> list[Path]:
        return [folder / f"camera-{n % 10:02d}/20261101_150000_{n:06d}.jpg" for n in range(5000)]

    monkeypatch.setattr("tipr.gallery.indexing.walked_images", some)
    listed = files_of(gallery, [Path("/srv/night")])
    held, left = {}, [listed]
    while left:
        one = left.pop()
        if id(one) not in held and not isinstance(one, type):
            held[id(one)] = sys.getsizeof(one)
            left += gc.get_referents(one)
    assert sum(held.values()) / len(listed) < 3 * len(str(next(iter(listed))))


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from coloured import ColourEmbedder
from tipr.gallery import Gallery, Indexing, index_folders
gallery = Gallery.open_or_create(sys.argv[2], ColourEmbedder())
print("open", flush=True)
told = lambda done, total: print(done, len(gallery), flush=True)
how = Indexing(batch=5, thumbnails=32)
report = index_folders(gallery, ColourEmbedder(), [sys.argv[3]], told, how)
print("done", report.added + report.already, flush=True)
"""


def test_indexing_that_is_killed_again_and_again_loses_nothing_and_repeats_nothing(tmp_path: Path):
    rng = np.random.default_rng(0)
    (tmp_path / "crops").mkdir()
    for number in range(150):
        pixels = rng.integers(60, 255, size=(16, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "crops" / f"{number:03d}.png")
    place = [Path(__file__).parent, tmp_path / "people", tmp_path / "crops"]
    acknowledged, kills = 0, 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, *map(str, place)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(0.02 * (1 + kills % 5))
        process.kill()
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        rows = [int(line.split()[1]) for line in lines if line[0].isdigit() and line.endswith("\n")]
        acknowledged = max([acknowledged, *rows])
        gallery = Gallery.open(tmp_path / "people")
        ids = gallery.store.ids()
        assert acknowledged <= len(ids) == len(set(ids)) == len(gallery)
        assert isinstance(gallery.store, LocalStore)
        assert gallery.store.check() == []
        gallery.close()
        if any(line.startswith("done") for line in lines):
            break
        kills += 1
    assert kills > 2
    with Searcher(ColourEmbedder(), Gallery.open(tmp_path / "people")) as searcher:
        assert len(searcher.gallery) == 150
        assert all(searcher.gallery.store.thumbnail(id) for id in searcher.gallery.store.ids())
