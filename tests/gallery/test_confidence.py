from __future__ import annotations

import json

import numpy as np
import pytest
from searched_world import ROWS, World, hits_of, seen_through
from seer import Seer

from tipr.gallery.confidence import NOTE, Background, Calibration, CalibrationError, Curve, reading
from tipr.gallery.store import MemoryStore


@pytest.fixture
def sharp() -> World:
    return seen_through(0.3)


def test_a_person_who_is_there_is_likely_and_one_who_is_not_is_not_found(sharp: World) -> None:
    words = {}
    for people, name in ((sharp.inside, "there"), (sharp.outside, "gone")):
        queries = sharp.seer.seen(people[:50], "text")
        found = sharp.store.search_many(queries, 5)
        words[name] = [
            sharp.calibration.judged(query, hits, ROWS).verdict
            for query, hits in zip(queries, found, strict=True)
        ]
    assert words["there"].count("likely") > 45
    assert words["gone"].count("nothing found") > 40


def test_a_model_that_sees_nothing_finds_nothing() -> None:
    world = World(30.0)
    there, _ = world.asked(True)
    assert (there > world.calibration.likely).mean() < 0.02
    assert there.mean() < 0.05


def test_probabilities_fall_with_the_score_and_with_the_rows_searched(sharp: World) -> None:
    query = sharp.seer.seen(sharp.inside[:1], "text")[0]
    scores = np.linspace(0.9, -0.2, 12)
    judged = sharp.calibration.judged(query, hits_of(*scores), ROWS)
    assert list(judged.hits) == sorted(judged.hits, reverse=True)
    assert len(set(judged.hits)) == len(scores)
    assert judged.probability == judged.hits[0]
    best = [sharp.calibration.judged(query, hits_of(0.5), n).probability for n in (9, 10, 99, 9999)]
    assert best[0] == best[1] > best[2] > best[3]


def test_the_length_of_the_query_says_nothing(sharp: World) -> None:
    query = sharp.seer.seen(sharp.inside[:1], "text")[0]
    once, thrice = (sharp.calibration.judged(q, hits_of(0.4), ROWS) for q in (query, 3 * query))
    assert once.probability == pytest.approx(thrice.probability, rel=1e-6)


def test_the_best_hit_counts_where_another_order_was_given(sharp: World) -> None:
    query = sharp.seer.seen(sharp.inside[:1], "text")[0]
    judged = sharp.calibration.judged(query, hits_of(0.1, 0.9, 0.2), ROWS)
    assert judged.probability == judged.hits[1] == max(judged.hits)
    assert judged.verdict == "likely"


def test_no_hits_are_nothing_found(sharp: World) -> None:
    judged = sharp.calibration.judged(np.ones(Seer.width), [], 0)
    assert (judged.verdict, judged.probability, judged.hits) == ("nothing found", 0.0, ())


def test_words_begin_above_their_probabilities(sharp: World) -> None:
    made = sharp.calibration
    assert made.likely >= 0.5 and 0.15 <= made.possible <= made.likely
    assert made.word(made.likely) != "likely" and made.word(made.likely + 1e-9) == "likely"
    assert made.word(made.possible) == "nothing found"


def test_a_calibration_is_kept_with_the_store(sharp: World) -> None:
    store = MemoryStore(Seer.width)
    assert reading(store) is None
    store.put_note(NOTE, sharp.calibration.to_json())
    read = reading(store)
    assert read is not None
    assert read.to_json() == sharp.calibration.to_json()
    query, hits = sharp.seer.seen(sharp.inside[:1], "text")[0], hits_of(0.8, 0.3)
    assert read.judged(query, hits, 77) == sharp.calibration.judged(query, hits, 77)
    assert read.model == Seer.fingerprint
    assert read.report == sharp.calibration.report


def test_the_note_is_small_at_any_width() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 1_024))
    kept = Background.of(vectors)
    assert (kept.axes.nbytes + kept.mean.nbytes) * 4 / 3 < 50_000


DAMAGES = {
    "cut": lambda text: text[: len(text) // 2],
    "a list": lambda text: "[]",
    "empty": lambda text: "",
    "without a curve": lambda text: text.replace('"curve"', '"kurve"'),
    "no base64": lambda text: text.replace('"mean": "', '"mean": "?'),
    "too few axes": lambda text: text.replace('"axes": "', '"axes": "AAAA'),
    "a number that is none": lambda text: text.replace('"score": ', '"score": NaN, "old": '),
    "an endless threshold": lambda text: text.replace('"likely": ', '"likely": Infinity, "x": ', 1),
    "no rows": lambda text: text.replace(f'"rows": {ROWS}', '"rows": 0', 1),
    "vectors that are none": lambda text: text.replace('"mean": "', '"mean": "/3//f/9//38A'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_note_is_named_with_the_way_out(sharp: World, damage) -> None:
    store = MemoryStore(Seer.width)
    text = sharp.calibration.to_json()
    store.put_note(NOTE, damage(text))
    assert damage(text) != text
    with pytest.raises(CalibrationError, match=r"'calibration' .* damaged .* tipr calibrate"):
        reading(store)


def test_another_format_is_not_called_damage(sharp: World) -> None:
    facts = json.loads(sharp.calibration.to_json()) | {"format": 2}
    with pytest.raises(CalibrationError, match="format 2, this tipr reads 1"):
        Calibration.from_json(json.dumps(facts))


def test_a_calibration_is_stale_when_the_gallery_has_grown_by_more_than_half(sharp: World) -> None:
    assert not sharp.calibration.stale(900)
    assert sharp.calibration.stale(901)


def test_a_background_is_the_mean_and_spread_of_the_scores() -> None:
    rng = np.random.default_rng(1)
    for width, close in ((8, 2e-3), (64, 0.06)):
        vectors = rng.normal(size=(500, width)) * np.linspace(2, 0.2, width) + 0.5
        queries = rng.normal(size=(7, width))
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        scores = queries @ vectors.T
        truth = (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True)
        found = Background.of(vectors).standard(queries, scores)
        np.testing.assert_allclose(found, truth, atol=3 * close, rtol=close)


def test_vectors_that_are_all_alike_have_a_background_too() -> None:
    same = Background.of(np.ones((30, 32)) / np.sqrt(32))
    assert np.isfinite(same.standard(np.eye(32)[:2], np.ones((2, 3)))).all()


def test_the_curve_is_what_it_says() -> None:
    curve = Curve(score=2.0, rows=-1.0, offset=0.5)
    np.testing.assert_allclose(
        curve(np.array([3.0]), 100), 1 / (1 + np.exp(-(6 - np.log(100) + 0.5)))
    )
