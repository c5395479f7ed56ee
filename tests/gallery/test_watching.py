"""What is put into a watched folder is soon in the gallery, once it is whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coloured import COLOURS, ColourEmbedder
from PIL import Image

from tipr.gallery import Gallery, Indexing
from tipr.gallery.watching import watch_folders


class Watched:
    """A gallery that is kept up with a folder by a thread."""

    def __init__(self, gallery: Gallery, folder: Path, how: Indexing | None = None) -> None:
        self.stop, self.skipped, self.reports = threading.Event(), [], 0
        self.gallery, self.failure = gallery, None
        self.thread = threading.Thread(target=self._run, args=(folder, how))
        self.thread.start()

    def _run(self, folder: Path, how: Indexing | None) -> None:
        try:
            for report in watch_folders(
                self.gallery, ColourEmbedder(), [folder], how=how, settle=0.3, stop=self.stop
            ):
                self.reports += 1
                self.skipped += report.skipped
        except BaseException as error:
            self.failure = error

    def names(self) -> set[str]:
        return {record.extra["name"] for record in self.gallery.store.records()}


@pytest.fixture
def watched(gallery: Gallery, photos: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def start(how: Indexing | None = None) -> Watched:
        made.append(Watched(gallery, photos, how))
        soon(lambda: made[-1].reports > 0 or made[-1].failure)
        return made[-1]

    yield start
    for one in made:
        one.stop.set()
        one.thread.join()
        assert one.failure is None


def soon(happens: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < end, "it did not happen in twenty seconds"
        time.sleep(0.05)


def picture(colour: str) -> Image.Image:
    return Image.new("RGB", (40, 80), COLOURS[colour])


def test_what_is_there_and_what_comes_is_indexed(watched, photos: Path):
    one = watched()
    assert len(one.names()) == 6
    (photos / "new").mkdir()
    picture("grey").save(photos / "new" / "late.png")
    (photos / ".hidden.png").write_bytes((photos / "new" / "late.png").read_bytes() + b" ")
    soon(lambda: "new/late.png" in one.names())
    assert len(one.names()) == 7


def test_a_file_that_is_still_written_waits_until_it_is_whole(watched, photos: Path):
    one = watched()
    picture("grey").save(photos.parent / "whole.bmp")
    whole = (photos.parent / "whole.bmp").read_bytes()
    with (photos / "slow.bmp").open("wb", buffering=0) as file:
        for start in range(0, len(whole), 1000):
            file.write(whole[start : start + 1000])
            time.sleep(0.1)
    soon(lambda: "slow.bmp" in one.names())
    assert one.skipped == []


def test_a_damaged_file_is_tried_again_when_it_changes(watched, photos: Path):
    one = watched()
    (photos / "late.png").write_bytes(b"\x89PNG nothing")
    soon(lambda: one.skipped)
    picture("grey").save(photos / "late.png")
    soon(lambda: "late.png" in one.names())


def test_a_folder_that_is_not_there_is_said(gallery: Gallery, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        next(watch_folders(gallery, ColourEmbedder(), [tmp_path / "nowhere"]))


def test_an_empty_folder_is_watched_too(gallery: Gallery, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    stop = threading.Event()
    reports = watch_folders(gallery, ColourEmbedder(), [tmp_path / "empty"], stop=stop)
    assert next(reports).added == 0
    stop.set()
    assert list(reports) == []
