"""People, their near-duplicates and their families."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tipr.data.synthetic.identity import Identity, sample_identity
from tipr.data.synthetic.levels import LEVELS
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.splits import SPLITS, annotators_of, cameras_of, split_families
from tipr.data.synthetic.twins import Difference, Member, distinct, population, swap, twin
from tipr.data.synthetic.wardrobe import BRIGHTNESS, contrasting

PEOPLE = [sample_identity(7, index) for index in range(400)]


def changed(one: Identity, other: Identity) -> set[str]:
    names = [field.name for field in fields(Identity)]
    return {name for name in names if getattr(one, name) != getattr(other, name)}


def pairs(members: list[Member], *relations: str) -> list[tuple[Identity, Identity, Difference]]:
    """Originals with their near-duplicates of these kinds, and how the two differ."""
    people = {member.id: member.identity for member in members}
    return [
        (people[member.twin_of], member.identity, member.difference)
        for member in members
        if member.twin_of is not None and member.difference and member.relation in relations
    ]


def test_the_same_seed_and_index_give_the_same_person():
    assert sample_identity(7, 33) == sample_identity(7, 33)


def test_people_differ_by_seed_and_by_index():
    assert len({sample_identity(seed, index) for seed in (1, 2) for index in range(50)}) == 100


def test_a_person_does_not_depend_on_who_was_drawn_before():
    alone = sample_identity(7, 399)
    assert PEOPLE[399] == alone


def test_children_are_small_and_have_no_beards():
    children = [person for person in PEOPLE if person.age == "child"]
    assert children
    assert all(1.15 <= child.height <= 1.45 and not child.beard for child in children)


def test_dresses_are_worn_above_and_below_at_once():
    assert all((person.upper == "dress") == (person.lower == "dress") for person in PEOPLE)


def test_scarves_are_not_worn_under_hoods():
    assert not any(person.scarf and person.hat in ("hood", "headscarf") for person in PEOPLE)


def test_the_two_colours_of_a_top_can_be_told_apart():
    assert all(contrasting(person.upper_c, person.upper_c2) for person in PEOPLE)


def test_the_bag_and_the_object_are_in_different_hands():
    assert all(person.bag_side == -person.carry_side for person in PEOPLE)


def test_common_clothes_are_common():
    share = sum(person.lower in ("jeans", "trousers") for person in PEOPLE) / len(PEOPLE)
    assert share > 0.4
    assert sum(person.bag == "backpack" for person in PEOPLE) > 0.12 * len(PEOPLE)


@pytest.mark.parametrize("level", LEVELS)
def test_a_twin_differs_in_exactly_one_attribute(level):
    twins = pairs(population(400, level, seed=3), "twin")
    assert twins
    for original, other, change in twins:
        assert changed(original, other) == {change.attribute}
        assert getattr(original, change.attribute) == change.before
        assert getattr(other, change.attribute) == change.after


def test_a_swap_exchanges_two_distinct_colours_and_nothing_else():
    swaps = pairs(population(800, "hard", seed=3), "swap")
    assert swaps
    for original, other, _ in swaps:
        assert changed(original, other) == {"upper_c", "lower_c"}
        assert (other.upper_c, other.lower_c) == (original.lower_c, original.upper_c)
        assert distinct(original.upper_c, original.lower_c)


def test_twins_share_the_key_of_their_textures():
    related = pairs(population(200, "hard", seed=3), "twin", "swap")
    assert all(original.key == other.key for original, other, _ in related)


def test_nobody_in_a_family_looks_like_another():
    members = population(400, "hard", seed=5)
    assert len({member.identity for member in members}) == len(members)


@pytest.mark.parametrize(("level", "share"), [("easy", 0.2), ("medium", 0.6), ("hard", 1.0)])
def test_each_level_has_its_share_of_people_with_twins(level, share):
    members = population(4000, level, seed=1)
    sizes: dict[int, int] = {}
    for member in members:
        sizes[member.family] = sizes.get(member.family, 0) + 1
    twinned = sum(sizes[member.family] > 1 for member in members) / len(members)
    assert twinned == pytest.approx(share, abs=0.04)


def test_at_the_hard_level_everybody_has_three():
    members = population(40, "hard", seed=1)
    assert [member.family for member in members] == [index // 4 for index in range(40)]


@pytest.mark.parametrize("people", [1, 2, 7, 100])
def test_a_population_has_the_size_asked_for(people):
    members = population(people, "medium", seed=2)
    assert [member.id for member in members] == list(range(people))


def test_a_closed_coat_hides_the_colour_beneath_so_no_twin_changes_it():
    closed = [p for p in PEOPLE if p.outer not in ("none", "vest") and not p.open]
    changes = {twin(person, Rng("t", person.key))[1].attribute for person in closed}
    assert changes.isdisjoint({"upper_c", "pattern", "sleeve"})


def test_colours_too_close_to_tell_apart_are_not_swapped():
    assert not distinct("black", "navy")
    assert not distinct("white", "cream")
    assert distinct("black", "white")
    assert all(swap(person) is None for person in PEOPLE if person.lower == "dress")
    assert all(not distinct(colour, colour) for colour in BRIGHTNESS)


def test_families_are_split_seventy_ten_twenty():
    splits = split_families(range(1000), seed=4)
    counts = [list(splits.values()).count(split) for split in SPLITS]
    assert counts == [700, 100, 200]
    assert sorted(splits) == list(range(1000))


@pytest.mark.parametrize("families", [3, 4, 5, 11])
def test_no_split_is_empty_from_three_families_on(families):
    assert set(split_families(range(families), seed=4).values()) == set(SPLITS)


def test_some_cameras_and_annotators_are_kept_for_testing():
    assert cameras_of("train", 8) == cameras_of("val", 8) == 6
    assert cameras_of("test", 8) == 8
    assert annotators_of("train") < annotators_of("test") == 120
