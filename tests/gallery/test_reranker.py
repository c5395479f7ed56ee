"""A reranker orders the best hits again and loses none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from coloured import ColourEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from tipr.gallery import EmbedderLike, Gallery, GalleryError, Record, Searcher, index_folders


class ByName:
    """Scores a picture by a table of file stems; what is not in it cannot be read."""

    def __init__(self, **scores: float) -> None:
        self.table = scores
        self.asked: list[tuple[str, list[str]]] = []

    def scores(self, description: str, images: Sequence[Path]) -> np.ndarray:
        stems = [path.stem for path in images]
        self.asked.append((description, stems))
        return np.array([self.table.get(stem, np.nan) for stem in stems])


@pytest.fixture
def filled(gallery: Gallery) -> Gallery:
    """Pictures a, b, c, d and e, from the most to the least red."""
    lean = np.linspace(1.0, 0.2, 5)[:, None]
    red, rest = np.tile([1.0, 0.0, 0.0], 8), np.tile([0.0, 1.0, 0.0], 8)
    rows = lean * red + (1 - lean) * rest
    gallery.store.add(rows, [Record(name, f"/photos/{name}.jpg") for name in "abcde"])
    return gallery


def names(searcher: Searcher, k: int = 10) -> str:
    return "".join(hit.record.id for hit in searcher.search("red", k))


def test_without_a_reranker_the_dual_encoder_decides(filled, embedder) -> None:
    assert names(Searcher(embedder, filled)) == "abcde"


def test_the_first_are_reordered_and_the_tail_follows_in_its_order(filled, embedder) -> None:
    reranker = ByName(a=0.1, b=0.2, c=0.3, d=0.4, e=0.5)
    assert names(Searcher(embedder, filled, reranker, depth=3)) == "cbade"
    assert reranker.asked == [("red", ["a", "b", "c"])]


@settings(max_examples=20, deadline=None)
@given(depth=st.integers(0, 8), k=st.integers(1, 8), table=st.permutations(range(5)))
def test_asking_for_more_only_adds_behind(tmp_path_factory, depth, k, table) -> None:
    embedder = ColourEmbedder()
    gallery = Gallery.create(tmp_path_factory.mktemp("galleries") / "people", embedder)
    rows = [np.tile([1.0 - place / 5, place / 5, 0.0], 8) for place in range(5)]
    gallery.store.add(rows, [Record(name, f"{name}.jpg") for name in "abcde"])
    reranker = ByName(**dict(zip("abcde", map(float, table), strict=True)))
    with Searcher(embedder, gallery, reranker, depth) as searcher:
        whole = names(searcher, 8)
        assert names(searcher, k) == whole[:k]
    assert whole[depth:] == "abcde"[depth:]
    assert sorted(whole[:depth]) == list("abcde"[:depth])


def test_the_reranker_finds_what_lies_beyond_k(filled, embedder) -> None:
    reranker = ByName(a=0.1, b=0.2, c=0.3, d=0.4, e=0.5)
    assert names(Searcher(embedder, filled, reranker, depth=5), k=1) == "e"


def test_a_score_stays_the_cosine(filled, embedder) -> None:
    plain = {hit.record.id: hit.score for hit in Searcher(embedder, filled).search("red")}
    reranker = ByName(a=0.1, b=0.2, c=0.3, d=0.4, e=0.5)
    hits = Searcher(embedder, filled, reranker).search("red")
    assert {hit.record.id: hit.score for hit in hits} == plain
    assert [hit.score for hit in hits] == sorted(plain.values())


def test_equal_scores_keep_the_order_of_the_dual_encoder(filled, embedder) -> None:
    reranker = ByName(a=0.5, b=0.5, c=0.9, d=0.5, e=0.5)
    assert names(Searcher(embedder, filled, reranker)) == "cabde"


def test_pictures_that_are_gone_come_last_among_the_reranked_and_are_not_lost(
    filled, embedder
) -> None:
    assert names(Searcher(embedder, filled, ByName(b=0.1, d=0.7), depth=4)) == "dbace"
    assert names(Searcher(embedder, filled, ByName(d=0.7), depth=4)) == "dabce"


def test_when_every_picture_is_gone_that_is_said(filled, embedder) -> None:
    says = r"none of the 4 pictures .* could be opened, as /photos/a\.jpg; were they moved\?"
    with pytest.raises(GalleryError, match=says):
        Searcher(embedder, filled, ByName(), depth=4).search("red")


def test_an_empty_gallery_has_nothing_to_rerank(gallery, embedder) -> None:
    reranker = ByName()
    assert Searcher(embedder, gallery, reranker).search("red") == []
    assert reranker.asked == []


def test_depth_and_k_are_checked_whatever_the_reranker(filled, embedder) -> None:
    with pytest.raises(ValueError, match="0 or more; not -1"):
        Searcher(embedder, filled, ByName(), depth=-1)
    with pytest.raises(ValueError, match="k is the number of results, at least 1; this is 0"):
        Searcher(embedder, filled, ByName()).search("red", 0)


def test_a_reranker_that_forgets_a_picture_is_named(filled, embedder, monkeypatch) -> None:
    reranker = ByName()
    monkeypatch.setattr(reranker, "scores", lambda *_: np.zeros(2))
    with pytest.raises(ValueError, match=r"the reranker gave scores \(2,\) for 5 pictures"):
        Searcher(embedder, filled, reranker).search("red")


def test_a_reranker_is_given_the_files_that_were_indexed(gallery, embedder, photos) -> None:
    index_folders(gallery, embedder, [photos])
    reranker = ByName(**{str(number): float(number) for number in range(6)})
    hits = Searcher(embedder, gallery, reranker).search("red", k=3)
    assert [Path(hit.record.path).stem for hit in hits] == ["5", "4", "3"]


def test_open_makes_the_reranker_for_the_galleries_model(gallery, embedder, monkeypatch) -> None:
    made = []
    monkeypatch.setattr("tipr.embedder.Embedder.load", lambda *_: embedder)

    def make(given: EmbedderLike) -> ByName:
        made.append(given)
        return ByName()

    with Searcher.open(gallery.path, reranker=make, depth=7) as searcher:
        assert (made, searcher.depth) == ([embedder], 7)
    with Searcher.open(gallery.path) as searcher:
        assert searcher.reranker is None
