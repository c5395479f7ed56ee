from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from searched_world import ROWS, World, filled, hits_of, seen_through
from seer import Seer

from tipr.gallery.calibrating import (
    Trials,
    _checked,
    _curve,
    _logistic_weights,
    _trials,
    calibration_error,
    fit,
)
from tipr.gallery.confidence import NOTE, Calibration, CalibrationError, Curve
from tipr.gallery.probes import CAPTIONS, HEIGHT, SHEET, WIDTH, probes
from tipr.gallery.store import MemoryStore


@pytest.fixture(params=[0.3, 1.0, 1.6], ids=["sharp", "middling", "dim"])
def world(request: pytest.FixtureRequest) -> World:
    return seen_through(request.param)


@pytest.fixture
def sharp() -> World:
    return seen_through(0.3)


@pytest.mark.parametrize("rows", [10, 60, ROWS])
def test_probabilities_are_true_of_people_whose_presence_is_known(world: World, rows: int) -> None:
    there, right = world.asked(True, rows)
    gone, never = world.asked(False, rows)
    error, _ = calibration_error(np.concatenate([there, gone]), np.concatenate([right, never]))
    assert error < 0.09


@pytest.mark.parametrize("rows", [10, 60, ROWS])
def test_absent_people_seldom_alarm_also_where_a_filter_leaves_few_rows(
    world: World, rows: int
) -> None:
    gone, _ = world.asked(False, rows)
    assert (gone > world.calibration.likely).mean() < 0.08
    assert (gone > world.calibration.possible).mean() < 0.32


def test_photographs_that_lie_elsewhere_than_rendered_pictures_do_not_matter() -> None:
    world = World(1.0, "photo")
    there, right = world.asked(True)
    gone, never = world.asked(False)
    error, _ = calibration_error(np.concatenate([there, gone]), np.concatenate([right, never]))
    assert error < 0.09


def test_what_is_reported_holds_for_people_that_were_never_probed(world: World) -> None:
    whole = world.calibration.report["whole"]
    there, right = world.asked(True)
    gone, _ = world.asked(False)
    for word in ("likely", "possible"):
        least = getattr(world.calibration, word)
        assert whole[word]["false_alarms"] == pytest.approx((gone > least).mean(), abs=0.09)
        assert whole[word]["found"] == pytest.approx((right & (there > least)).mean(), abs=0.12)
    assert whole["rows"] == ROWS
    assert whole["first"] == pytest.approx(right.mean(), abs=0.12)


def test_looks_of_one_track_count_as_one() -> None:
    world = seen_through(1.0)
    again = np.repeat(world.vectors, 8, axis=0)
    made = fit(filled(again, [f"{row // 8}" for row in range(len(again))]), world.seer)
    assert made.each == 8
    assert made.rows == 8 * ROWS
    query = world.seer.seen(world.inside[:1], "text")[0]
    hits = hits_of(*np.linspace(0.9, 0.3, 20))
    ours = made.judged(query, hits, 8 * ROWS).hits
    np.testing.assert_allclose(ours, world.calibration.judged(query, hits, ROWS).hits, atol=0.15)


def test_rows_without_a_track_are_each_their_own(sharp: World) -> None:
    store = filled(sharp.vectors[:40], ["7"] * 5 + [""] * 35)
    assert fit(store, sharp.seer).each == pytest.approx(40 / 36)


@pytest.mark.parametrize("tracks", [[""] * 29, ["1"] * 100 + [""] * 28])
def test_a_small_gallery_is_told_how_much_is_needed(tracks: list[str]) -> None:
    seer = Seer()
    store = filled(seer.seen(seer.people(len(tracks)), "look"), tracks)
    with pytest.raises(CalibrationError, match=rf"{len(tracks)} pic.* 29 .* 30 .* index more"):
        fit(store, seer)


def test_an_empty_gallery_is_told_too() -> None:
    with pytest.raises(CalibrationError, match="0 pictures"):
        fit(MemoryStore(Seer.width), Seer())


def test_thirty_pictures_are_enough() -> None:
    seer = Seer(0.3)
    report = fit(filled(seer.seen(seer.people(30), "look")), seer).report
    assert [size["rows"] for size in report["sizes"]] == [10, 30]


def test_fitting_leaves_the_store_alone_and_follows_the_probes() -> None:
    seer, steps = Seer(), []
    store = filled(seer.seen(seer.people(40), "look"))
    fit(store, seer, progress=lambda done, total: steps.append((done, total)))
    assert len(store) == 40
    assert store.note(NOTE) is None
    assert steps[-1] == (300, 300) and len(steps) > 3


def test_the_same_seed_fits_the_same() -> None:
    def made(seed: int) -> Calibration:
        seer = Seer()
        return fit(filled(seer.seen(seer.people(30), "look")), seer, seed)

    assert made(3).report == made(3).report
    assert made(3).curve == made(3).curve != made(4).curve


def test_a_present_person_comes_first_only_where_they_stand_out_most() -> None:
    rng = np.random.default_rng(4)
    inside, own = rng.normal(size=(5, 40)), np.array([-9.0, 9, -9, 9, 0.5])
    best = np.array([3.0, 3, 12, 12, 3])
    made = _trials(own, inside, best, 500.0, rng)
    assert list(np.unique(made.rows)) == [10, 500]
    whole = made.where(made.rows == 500)
    for person, (first, theirs) in enumerate(zip(best, own, strict=True)):
        absent = whole.where((whole.person == person) & ~whole.present)
        present = whole.where((whole.person == person) & whole.present)
        assert set(absent.standard) == {first} and not absent.right.any()
        assert set(present.standard) == {max(first, theirs)}
        assert set(present.right) == {theirs > first}
    few = made.where((made.rows == 10) & ~made.present)
    assert all(top in inside[one] for top, one in zip(few.standard, few.person, strict=True))
    assert few.standard.mean() < inside.max(axis=1).mean()


def test_nobody_is_checked_by_what_they_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[set[int]] = []

    def learned(trials: Trials) -> tuple[Curve, float, float]:
        taught.append(set(trials.person))
        return Curve(score=0.0, rows=0.0, offset=float(len(taught))), 0.8, 0.2

    monkeypatch.setattr("tipr.gallery.calibrating._learned", learned)
    person = np.tile(np.arange(10), 3)
    flags = person > 10
    trials = Trials(np.zeros(30), np.full(30, 10.0), flags, flags, person)
    checked = _checked(trials, np.random.default_rng(0))
    for who, p in zip(person, checked.p, strict=True):
        by = round(float(np.log(p / (1 - p)))) - 1
        assert who not in taught[by]
    assert [len(half) for half in taught] == [5, 5]
    np.testing.assert_array_equal(checked.likely, checked.p > 0.8)
    assert checked.possible.all()


def test_the_likeliest_curve_is_found() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40_000, 2)) * (1, 5) + (3, 7)
    right = rng.random(len(x)) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - 0.4 * x[:, 1] - 1)))
    np.testing.assert_allclose(_logistic_weights(x, right), [1.5, -0.4, -1], atol=0.12)


def test_a_perfect_separation_has_a_curve() -> None:
    x = np.arange(20.0)[:, None]
    slope, offset = _logistic_weights(x, x[:, 0] > 9)
    assert slope > 0 and -offset / slope == pytest.approx(9.5)
    assert 0.9 < 1 / (1 + np.exp(-(19 * slope + offset))) < 0.99  # 20 people are no certainty


def test_a_measure_that_counts_the_wrong_way_has_no_say() -> None:
    rng = np.random.default_rng(3)
    standard, rows = rng.normal(size=900), np.repeat([10.0, 100.0, 1000.0], 300)
    right = rng.random(900) < 1 / (1 + np.exp(2 * standard - np.log(rows) + 4))
    nobody = np.zeros(900, int)
    curve = _curve(Trials(standard, rows, right, right, nobody))
    assert (curve.score, curve.rows) == (0, 0)
    assert 1 / (1 + np.exp(-curve.offset)) == pytest.approx(right.mean(), abs=1e-3)


def test_the_calibration_error_is_how_far_bins_are_off() -> None:
    p = np.repeat([0.2, 0.7], 50)
    right = np.concatenate([np.arange(50) < 15, np.arange(50) < 20])
    error, bins = calibration_error(p, right)
    assert error == pytest.approx((0.1 + 0.3) / 2)
    assert sum(one["trials"] for one in bins) == 100
    shuffled = np.random.default_rng(0).permutation(100)
    assert calibration_error(p[shuffled], right[shuffled])[0] == pytest.approx(error)


def test_the_interval_surrounds_the_calibration_error(world: World) -> None:
    report = world.calibration.report
    low, high = report["interval"]
    assert 0 < low < high < 0.2
    assert low - 0.02 < report["calibration_error"] < high
    assert report["people"] == 300


def test_probes_are_three_hundred_different_people_in_little_space() -> None:
    pictures, captions = probes()
    assert len(pictures) == len(captions) == len(set(captions)) == 300
    assert len({picture.tobytes() for picture in pictures}) == 300
    assert {(picture.size, picture.mode) for picture in pictures} == {((WIDTH, HEIGHT), "RGB")}
    assert sum(Path(file).stat().st_size for file in (SHEET, CAPTIONS)) < 1_500_000
    assert min(np.asarray(picture).std() for picture in pictures) > 5  # no cell is empty
