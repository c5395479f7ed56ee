"""Queries of words, pictures and marked hits: their vectors, what they find, what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bag import Bag, every_set, picture, unit

from tipr.gallery import MemoryStore, Record, Store
from tipr.gallery.filters import Among
from tipr.gallery.meaning import (
    ANYBODY,
    ENOUGH,
    MeaningError,
    Strengths,
    Wanted,
    compiled,
    search,
)

HOW = Strengths()


@pytest.fixture
def bag() -> Bag:
    return Bag()


@pytest.fixture
def store(bag: Bag) -> MemoryStore:
    return every_set(bag)


def text(description: str, bag: Bag, store: Store) -> np.ndarray:
    return compiled(Wanted(description=description), bag, store).vectors


def best(wanted: Wanted | str, bag: Bag, store: Store, k: int = 1, **more) -> list[str]:
    wanted = Wanted(description=wanted) if isinstance(wanted, str) else wanted
    return [hit.record.id for hit in search(store, compiled(wanted, bag, store), k, **more)]


def spread(store: Store, vector: np.ndarray) -> float:
    return float((store.vectors(store.ids()).astype(np.float64) @ vector).std())


def test_a_plain_sentence_is_the_models_own_vector_and_the_store_is_not_looked_at(bag: Bag) -> None:
    found = compiled(Wanted(description="a red  coat"), bag, None)  # ty: ignore[invalid-argument-type]
    np.testing.assert_allclose(found.vectors, bag.embed_texts(["a red coat"]), atol=1e-7)
    assert found.vectors.dtype == np.float32
    assert bag.read[0] == "a red coat"


def test_clauses_joined_by_and_are_read_as_one_sentence(bag: Bag, store: Store) -> None:
    vectors = text("red coat. AND a hat, AND a bag.", bag, store)
    assert bag.read == ["red coat, a hat, a bag."]
    np.testing.assert_allclose(vectors, bag.embed_texts(list(bag.read)), atol=1e-7)
    assert best("coat AND hat", bag, store) == ["coat+hat"]


def test_a_weight_adds_its_clause_once_more(bag: Bag, store: Store) -> None:
    whole, hat, coat = bag.embed_texts(["coat, hat", "hat", "coat"]).astype(np.float64)
    expected = whole + HOW.emphasis * (2 * hat - 0.5 * coat)
    np.testing.assert_allclose(
        text("coat ^0.5 AND hat ^3", bag, store), [unit(expected)], atol=1e-6
    )
    heavy, plain = text("coat AND hat ^2", bag, store)[0], text("coat AND hat ^1", bag, store)[0]
    assert heavy[1] > plain[1]
    assert heavy[0] < plain[0]
    np.testing.assert_allclose(text("hat ^5", bag, store), [hat], atol=1e-6)


def test_what_is_denied_is_taken_away_by_operator_and_in_plain_english(
    bag: Bag, store: Store
) -> None:
    red, hat = bag.embed_texts(["red coat", "a hat"]).astype(np.float64)
    expected = unit([red - HOW.denied * hat])
    for told in ("red coat NOT a hat", "red coat without a hat", "red coat AND NOT a hat"):
        np.testing.assert_allclose(text(told, bag, store), expected, atol=1e-6)
    order = best("red coat NOT hat", bag, store, len(store))
    assert order.index("coat+red") < order.index("coat+hat+red")
    doubled = unit([red - 2 * HOW.denied * hat])
    np.testing.assert_allclose(text("red coat NOT a hat ^2", bag, store), doubled, atol=1e-6)


def test_many_denials_share_what_is_taken_away(bag: Bag, store: Store) -> None:
    coat, hat, lost = bag.embed_texts(["coat", "hat", "bag"]).astype(np.float64)
    expected = unit([coat - HOW.denied * (hat + lost) / 2])
    np.testing.assert_allclose(text("coat NOT (hat OR bag)", bag, store), expected, atol=1e-6)
    both, red = bag.embed_texts(["coat, red", "red"]).astype(np.float64)
    heavy = unit([unit([both + HOW.emphasis * 8 * red])[0] - HOW.denied * hat])
    np.testing.assert_allclose(text("coat AND red ^9 NOT hat", bag, store), heavy, atol=1e-6)


def test_nothing_but_a_denial_is_taken_from_anybody(bag: Bag, store: Store) -> None:
    anybody, hat = bag.embed_texts([ANYBODY, "hat"]).astype(np.float64)
    expected = unit([anybody - HOW.denied_alone * hat])
    np.testing.assert_allclose(text("no hat", bag, store), expected, atol=1e-6)
    assert not any("hat" in id for id in best("NOT hat", bag, store, 20))


def test_an_or_finds_the_best_of_any_alternative(new_store: Callable[[int], Store]) -> None:
    rng, bag = np.random.default_rng(0), Bag()
    rows = unit(rng.normal(size=(300, bag.width)))
    rows[100:150] = rows[:50]  # twins score alike
    kept = new_store(bag.width)
    kept.add(rows, [Record(str(n), camera="ab"[n % 2]) for n in range(300)])
    query = compiled(Wanted(description="red coat OR blue dress NOT hat OR bag"), bag, kept)
    assert query.vectors.shape == (3, bag.width)
    scores = (rows.astype(np.float64) @ query.vectors.T.astype(np.float64)).max(axis=1)
    for k in (1, 10, 120, 400):
        for where, rest in (
            (None, np.arange(300)),
            (Among("camera", ("b",)), np.arange(1, 300, 2)),
        ):
            expected = rest[np.argsort(-scores[rest].round(6), kind="stable")][:k]
            found = search(kept, query, k, where, exact=True)
            assert [hit.record.id for hit in found] == [str(row) for row in expected]
            assert [hit.score for hit in found] == pytest.approx(scores[expected], abs=1e-5)


def test_ties_between_alternatives_keep_the_order_of_the_store(bag: Bag) -> None:
    kept = MemoryStore(bag.width)
    vectors = bag.embed_texts(["red", "blue", "red", "blue"])
    kept.add(vectors, [Record(name) for name in ("z", "b", "a", "c")])
    for told in ("red OR blue", "blue OR red"):
        query = compiled(Wanted(description=told), bag, kept)
        assert np.ptp([hit.score for hit in search(kept, query, 4)]) == 0
        assert best(told, bag, kept, 4) == ["z", "b", "a", "c"]
        assert best(told, bag, kept, 3) == ["z", "b", "a"]


def test_exact_and_the_filter_reach_the_store(bag: Bag, store: Store) -> None:
    asked = []

    class Watched:
        def search_many(self, queries, k, where=None, *, exact=False):
            asked.append((len(queries), k, where, exact))
            return store.search_many(queries, k, where, exact=exact)

    query, where = compiled(Wanted(description="red"), bag, store), Among("id", ("red", "coat"))
    found = search(Watched(), query, 5, where, exact=True)  # ty: ignore[invalid-argument-type]
    assert [hit.record.id for hit in found] == ["red", "coat"]
    assert asked == [(1, 5, where, True)]


def test_an_example_alone_is_searched_as_it_is(bag: Bag, store: Store, tmp_path: Path) -> None:
    found = compiled(Wanted(images=(picture("hat", "red"),)), bag, store)
    np.testing.assert_allclose(found.vectors, store.vectors(["hat+red"]), atol=1e-6)
    picture("hat", "red").save(tmp_path / "one.png")
    both = Wanted(images=(tmp_path / "one.png", picture("hat", "blue")))
    mean = unit([store.vectors(["hat+red", "hat+blue"]).mean(axis=0)])
    np.testing.assert_allclose(compiled(both, bag, store).vectors, mean, atol=1e-6)
    assert bag.read == []


@pytest.mark.parametrize("faint", [1.0, 0.05])
def test_an_example_and_a_sentence_are_both_heard_however_faint_sentences_are(
    store: Store, faint: float
) -> None:
    bag = Bag(faint)
    wanted = Wanted(description="hat", images=(picture("coat", "red"),))
    sentence = bag.embed_texts(["hat"])[0].astype(np.float64)
    example = bag.embed_images(wanted.images)[0] - store.vectors(store.ids()).mean(axis=0)  # ty: ignore
    parts = sentence / spread(store, sentence) + HOW.example * example / spread(store, example)
    np.testing.assert_allclose(compiled(wanted, bag, store).vectors, [unit(parts)], atol=1e-5)
    assert best(wanted, bag, store) == ["coat+hat+red"]


def test_a_denial_is_taken_from_an_example(bag: Bag, store: Store) -> None:
    wanted = Wanted(description="NOT hat", images=(picture("coat", "hat"),))
    assert best(wanted, bag, store) == ["coat"]
    assert ANYBODY not in bag.read


def test_right_hits_are_added_and_wrong_ones_taken_away(bag: Bag, store: Store) -> None:
    wanted = Wanted(description="coat", more_like=("coat+red", "coat+hat+red", "coat+red"),
                    less_like=("coat+bag",))  # fmt: skip
    sentence = bag.embed_texts(["coat"])[0].astype(np.float64)
    right = store.vectors(["coat+red", "coat+hat+red"]).astype(np.float64).mean(axis=0)
    wrong = store.vectors(["coat+bag"])[0].astype(np.float64)
    total = (sentence / spread(store, sentence) + HOW.more * right / spread(store, right)
             - HOW.less * wrong / spread(store, wrong))  # fmt: skip
    found = compiled(wanted, bag, store)
    np.testing.assert_allclose(found.vectors, [unit(total)], atol=1e-5)
    assert found.understood.more_like == ("coat+red", "coat+hat+red")
    assert best(wanted, bag, store)[0] in ("coat+red", "coat+hat+red")


def test_wrong_hits_alone_count_little_and_are_taken_from_anybody_without_words(
    bag: Bag, store: Store
) -> None:
    wrong = store.vectors(["hat"])[0].astype(np.float64)
    for told in ("coat", ""):
        base = bag.embed_texts([told or ANYBODY])[0].astype(np.float64)
        total = base / spread(store, base) - HOW.less_alone * wrong / spread(store, wrong)
        found = compiled(Wanted(description=told, less_like=("hat",)), bag, store)
        np.testing.assert_allclose(found.vectors, [unit(total)], atol=1e-5)


def test_right_hits_alone_are_searched_as_they_are(bag: Bag, store: Store) -> None:
    assert best(Wanted(more_like=("coat+hat",)), bag, store) == ["coat+hat"]
    assert bag.read == []


def test_examples_and_feedback_join_every_alternative(bag: Bag, store: Store) -> None:
    wanted = Wanted(description="hat OR bag", images=(picture("red"),), more_like=("coat",))
    each = [replace(wanted, description=told) for told in ("hat", "bag")]
    parted = [compiled(one, bag, store) for one in each]
    expected = np.concatenate([one.vectors for one in parted])
    np.testing.assert_allclose(compiled(wanted, bag, store).vectors, expected, atol=1e-7)


@pytest.mark.parametrize("rows", [0, 1, ENOUGH - 1])
def test_a_gallery_of_few_rows_tells_nothing_and_parts_are_added_as_they_are(
    bag: Bag, store: Store, rows: int
) -> None:
    few, ids = MemoryStore(bag.width), store.ids()[:rows]
    if rows:
        few.add(store.vectors(ids), [Record(id) for id in ids])
    wanted = Wanted(description="coat", images=(picture("hat"),))
    expected = bag.embed_texts(["coat"]) + HOW.example * bag.embed_images(wanted.images)  # ty: ignore
    np.testing.assert_allclose(compiled(wanted, bag, few).vectors, unit(expected), atol=1e-6)


def test_other_strengths_are_obeyed(bag: Bag, store: Store) -> None:
    wanted = Wanted(description="coat NOT hat")
    found = compiled(wanted, bag, store, Strengths(denied=0.0)).vectors
    np.testing.assert_allclose(found, bag.embed_texts(["coat"]), atol=1e-7)


def test_mistakes_name_what_is_wrong_and_say_what_to_do(
    bag: Bag, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "note.png").write_text("no picture")
    for wanted, message in (
        (Wanted(), "nothing is asked for; say what the person looks like"),
        (Wanted(description="  "), "nothing is asked for"),
        (Wanted(description="red AND"), "character 8"),
        (Wanted(more_like=("coat", "gone")), "no picture gone in this gallery.*id of a hit"),
        (Wanted(description="coat", less_like=("lost",)), "no picture lost"),
        (Wanted(more_like=("coat",), less_like=("coat",)), "coat is marked as right and as wrong"),
        (Wanted(images=(tmp_path / "note.png",)), r"note\.png.*give another"),
        (Wanted(images=(tmp_path / "none.png",)), r"none\.png.*give another"),
        (Wanted(description=f"NOT {ANYBODY}"), "cancel each other out"),
    ):
        with pytest.raises(MeaningError, match=message):
            compiled(wanted, bag, store)


def test_an_example_that_the_model_makes_nothing_of_is_refused(bag: Bag, store: Store) -> None:
    bag.embed_images = lambda images: np.full((1, bag.width), np.nan, np.float32)
    with pytest.raises(MeaningError, match="cannot make sense"):
        compiled(Wanted(images=(picture("hat"),)), bag, store)
