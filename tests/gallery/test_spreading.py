"""Workers give the rows that one process gives, each once, whatever becomes of them."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from coloured import COLOURS, ColourEmbedder
from deadly import Deadly, Noting, dead_on_arrival
from PIL import Image

from tipr.gallery import Gallery, Indexing, index_folders, spreading
from tipr.gallery.indexing import files_of, index_files
from tipr.gallery.spreading import Workers, spread

TWO = Workers(load=ColourEmbedder, count=2)
GREY = "grey.png"

KILLED = """
import os, signal, sys
from coloured import ColourEmbedder
from tipr.gallery import Gallery, Indexing
from tipr.gallery.indexing import files_of, index_files
from tipr.gallery.spreading import Workers, spread

def told(done, total):
    if done >= 4:
        os.kill(os.getpid(), signal.SIGKILL)

folder, photos, address = sys.argv[1:]
gallery = Gallery.open(folder)
workers = Workers(load=ColourEmbedder, count=1, address=address)
spread(gallery, ColourEmbedder(), files_of(gallery, [photos]), workers, told, Indexing(batch=1))
"""

ALONE = """
import sys
from functools import partial
from pathlib import Path
from deadly import Deadly
from coloured import ColourEmbedder
from tipr.gallery import Gallery
from tipr.gallery.indexing import files_of, index_files
from tipr.gallery.spreading import Workers, spread

folder, photos, word = sys.argv[1:]
gallery = Gallery.open(folder)
workers = Workers(load=partial(Deadly, "red", Path(word)), count=1)
print(spread(gallery, ColourEmbedder(), files_of(gallery, [photos]), workers).added)
import ray
print(ray.is_initialized())
try:
    nowhere = Workers(load=ColourEmbedder, count=1, address="127.0.0.1:1")
    spread(gallery, ColourEmbedder(), {}, nowhere)
except ConnectionError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two processes, which this process has joined."""
    ray = pytest.importorskip("ray", reason="pip install 'tipr[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init("local", num_cpus=2, **quiet)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


def rows(gallery: Gallery) -> dict[str, Any]:
    """All that is kept, but for when it was made and in which order."""
    found = {}
    for vectors, records in gallery.store.scan():
        for vector, record in zip(vectors, records, strict=True):
            small = gallery.store.thumbnail(record.id)
            found[record.id] = record.to_json() | {"indexed": vector.tobytes(), "small": small}
    return found


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    place = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=place, capture_output=True, text=True, timeout=120)


def test_the_rows_are_those_of_one_process(cluster, gallery, embedder, photos, tmp_path):
    shutil.copy(photos / "cam0/0.png", photos / "cam1/copy.png")
    lock = Lock()  # cannot be sent to another process

    def facts(path: Path, name: str) -> Mapping[str, Any]:
        with lock:
            return {"camera": name[:4], "extra": {"number": int(path.stem[0] == "0")}}

    how = Indexing(batch=2, describe=facts, thumbnails=32)
    told: list[tuple[int, int]] = []
    report = spread(
        gallery, embedder, files_of(gallery, [photos]), TWO, lambda *now: told.append(now), how
    )
    assert (report.added, report.already, report.skipped) == (6, 1, ())
    assert told == sorted(told)
    assert told[-1] == (7, 7)
    alone = Gallery.create(tmp_path / "alone", embedder)
    index_folders(alone, embedder, [photos], how=how)
    assert rows(gallery) == rows(alone)


def test_what_is_there_is_not_sent_again_and_what_moved_is_followed(
    cluster, gallery, embedder, photos
):
    index_folders(gallery, embedder, [photos])
    before = gallery.store.ids()
    (photos / "cam0").rename(photos / "door")
    deadly = Workers(load=partial(Deadly, "red"), count=1)
    report = spread(gallery, embedder, files_of(gallery, [photos]), deadly)
    assert (report.added, report.already, report.skipped) == (0, 6, ())
    assert gallery.store.ids() == before
    assert all(Path(record.path).is_file() for record in gallery.store.records())


def test_a_worker_that_is_killed_costs_nothing(cluster, gallery, embedder, photos, tmp_path):
    workers = Workers(load=partial(Deadly, "red", tmp_path / "word"), count=2)
    report = spread(gallery, embedder, files_of(gallery, [photos]), workers, how=Indexing(batch=1))
    assert (tmp_path / "word").exists()
    assert (report.added, report.already, report.skipped) == (6, 0, ())
    alone = Gallery.create(tmp_path / "alone", embedder)
    index_folders(alone, embedder, [photos])
    assert rows(gallery) == rows(alone)


def test_a_file_that_kills_is_skipped_by_name(cluster, gallery, embedder, photos, monkeypatch):
    monkeypatch.setattr(spreading, "_IN_A_ROW", 3)  # it takes four deaths, with work between them
    Image.new("RGB", (8, 16), COLOURS["grey"]).save(photos / GREY)
    workers = Workers(load=partial(Deadly, "grey"), count=2)
    told: list[tuple[int, int]] = []
    report = spread(
        gallery, embedder, files_of(gallery, [photos]), workers, lambda *now: told.append(now)
    )
    assert (report.added, report.already) == (6, 0)
    reason = "2 workers died while they read it; look at it, or leave it out"
    assert report.skipped == ((photos / GREY, reason),)
    assert len(gallery) == 6
    assert told[-1] == (7, 7)


def test_what_cannot_be_used_is_named_as_by_one_process(cluster, gallery, photos, tmp_path):
    whole = (photos / "cam0/0.png").read_bytes()
    (photos / "notes.txt").write_text("meet at noon")
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "red\udcff.jpg").write_bytes(whole)
    Image.new("RGB", (4, 8), COLOURS["grey"]).save(photos / GREY)
    names = {**files_of(gallery, [photos]), photos / "gone.png": "gone.png"}

    def facts(path: Path, name: str) -> Mapping[str, Any]:
        if name == "cam0/2.png":
            raise ValueError("nobody knows this one")
        return {}

    blind, how = partial(ColourEmbedder, broken="grey"), Indexing(batch=1, describe=facts)
    report = spread(gallery, blind(), names, Workers(load=blind, count=2), how=how)
    alone = Gallery.create(tmp_path / "alone", blind())
    expected = index_files(alone, blind(), names, how=how)
    assert len(expected.skipped) == 6
    assert report.skipped == expected.skipped
    assert (report.added, report.already) == (5, 0)


def test_a_run_that_was_killed_goes_on(cluster, gallery, embedder, photos):
    ended = run(KILLED, gallery.path, photos, cluster)
    assert ended.returncode == -9, ended.stderr
    assert len(gallery) == 4
    report = spread(gallery, embedder, files_of(gallery, [photos]), TWO)
    assert (report.added, report.already) == (2, 4)
    assert len(set(gallery.store.ids())) == len(gallery) == 6


def test_files_wait_until_a_worker_has_time_for_them(cluster, gallery, embedder, photos, tmp_path):
    taken: list[Path] = []
    told = [(0, 0)]

    class Watched(dict[Path, str]):
        def __iter__(self) -> Iterator[Path]:
            for path in super().__iter__():
                taken.append(path)
                yield path

    for number in range(40):
        shutil.copy(photos / "cam0/0.png", photos / f"{number}.png")
    names = Watched(files_of(gallery, [photos]))
    workers = Workers(load=partial(Noting, tmp_path / "sizes"), count=2)
    how = Indexing(batch=1)
    spread(gallery, embedder, names, workers, lambda done, _: told.append((done, len(taken))), how)
    chunk = 4 * how.batch
    ahead = [now - done for (done, _), (_, now) in itertools.pairwise(told)]
    assert max(ahead) <= 2 * chunk + chunk
    assert len(taken) == 46
    assert (tmp_path / "sizes").read_text() == "1 " * 6  # copies are not embedded


def test_a_cluster_of_ones_own_ends_and_says_nothing(gallery, photos, tmp_path):
    pytest.importorskip("ray", reason="pip install 'tipr[ray]'")
    ended = run(ALONE, gallery.path, photos, tmp_path / "word")
    assert (tmp_path / "word").exists()
    lines = [
        "6",
        "False",
        "no Ray cluster answers at 127.0.0.1:1; start one there: ray start --head",
    ]
    assert ended.stdout.splitlines() == lines
    assert ended.stderr == ""


def test_another_model_on_a_machine_is_refused(cluster, gallery, embedder, photos):
    workers = Workers(load=partial(ColourEmbedder, "cd34"), count=1)
    with pytest.raises(
        ValueError, match=r"the model colours of machine .* is another one than here"
    ):
        spread(gallery, embedder, files_of(gallery, [photos]), workers)
    with pytest.raises(ValueError, match="make its vectors anew"):
        spread(gallery, ColourEmbedder("cd34"), files_of(gallery, [photos]), workers)
    assert len(gallery) == 0


def test_a_machine_without_the_folder_is_named(cluster, gallery, embedder, photos, monkeypatch):
    names = {photos / "elsewhere.png": "elsewhere.png"}
    monkeypatch.setattr(Path, "exists", lambda self: True)  # here, not in the workers
    with pytest.raises(
        ValueError, match=r"machine .* has no .*elsewhere.png, which is here"
    ) as held:
        spread(gallery, embedder, names, TWO)
    assert workers_are_gone(), held


def test_a_folder_that_may_not_be_entered_is_no_missing_one(embedder, tmp_path, monkeypatch):
    def locked(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    worker = spreading._Worker()
    worker.load(ColourEmbedder, embedder.fingerprint, Indexing())
    monkeypatch.setattr(Path, "exists", locked)
    (file,), lost, _ = worker.hashed([spreading.File(tmp_path)])
    assert file.reason.startswith("cannot be opened")
    assert lost is None


def workers_are_gone() -> bool:
    """Also where somebody still looks at the error."""
    import ray

    for _ in range(100):
        if ray.available_resources().get("CPU") == 2:
            return True
        time.sleep(0.1)
    return False


def test_workers_that_die_whatever_they_do_end_the_run(
    cluster, gallery, embedder, photos, monkeypatch
):
    monkeypatch.setattr(spreading, "_IN_A_ROW", 2)
    workers = Workers(load=dead_on_arrival, count=1)
    with pytest.raises(ChildProcessError, match="3 workers died one after the other; if memory"):
        spread(gallery, embedder, files_of(gallery, [photos]), workers)


def test_an_error_of_the_model_is_its_own(cluster, gallery, embedder, photos, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no/such/model"):
        spread(
            gallery, embedder, files_of(gallery, [photos]),
            Workers(load=partial(open, "/no/such/model"), count=1),
        )  # fmt: skip


def test_more_workers_than_the_cluster_has_are_refused(cluster, gallery, embedder, photos):
    names = files_of(gallery, [photos])
    with pytest.raises(ValueError, match="3 workers need 3 CPUs, the Ray cluster has 2; ask"):
        spread(gallery, embedder, names, Workers(load=ColourEmbedder, count=3))
    with pytest.raises(ValueError, match=r"2 workers need 1 GPUs, the Ray cluster has 0"):
        spread(gallery, embedder, names, Workers(load=ColourEmbedder, count=2, gpus=0.5))
    with pytest.raises(ValueError, match="at least 1 worker"):
        Workers(load=ColourEmbedder, count=0)


def test_without_ray_the_way_to_it_is_said(gallery, embedder, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'tipr\[ray\]'"):
        spread(gallery, embedder, files_of(gallery, [photos]), TWO)
