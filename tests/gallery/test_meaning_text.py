"""What descriptions are read as: operators, weights, quotes, and what plain English denies."""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipr.gallery.meaning_text import LONGEST, Alternatives, Clause, MeaningError, alternatives
from tipr.gallery.negation import affirmed


def shown(found: Alternatives) -> str:
    """As "red coat^2 & -hat | blue dress"."""

    def told(clause: Clause) -> str:
        weight = "" if clause.weight == 1 else f"^{clause.weight:g}"
        return f"{'-' * clause.negated}{clause.text}{weight}"

    return " | ".join(" & ".join(map(told, every)) for every in found)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("a man in a red coat, and blue jeans", "a man in a red coat, and blue jeans"),
        ("  a\tred\n coat ", "a red coat"),
        ("red coat AND backpack", "red coat & backpack"),
        ("red coat AND NOT hat", "red coat & -hat"),
        ("red coat NOT hat", "red coat & -hat"),
        ("NOT hat", "-hat"),
        ("NOT NOT hat", "hat"),
        ("red coat OR blue dress AND hat", "red coat | blue dress & hat"),
        ("(red coat OR blue dress) AND hat", "red coat & hat | blue dress & hat"),
        ("(red OR blue) coat", "red coat | blue coat"),
        ("a coat (red OR blue) NOT hat", "a coat red & -hat | a coat blue & -hat"),
        ("NOT (hat OR bag)", "-hat & -bag"),
        ("NOT (hat AND bag)", "-hat | -bag"),
        ("coat OR hat OR coat", "coat | hat"),
        ("red coat ^2", "red coat^2"),
        ("red coat^2 AND hat ^ .5", "red coat^2 & hat^0.5"),
        ("(coat ^2 AND hat)^1.5", "coat^3 & hat^1.5"),
        ("red ^2 (coat OR hat)", "red^2 & coat | red^2 & hat"),
        ("NOT hat ^2", "-hat^2"),
        ('"ROCK AND ROLL (live)" shirt AND hat', "ROCK AND ROLL (live) shirt & hat"),
        ('"a man without a hat"', "a man without a hat"),
        ("\u201cNOT\u201d a hat", "NOT a hat"),
        ("red and blue or not", "red and blue or not"),
        ("ANDROID NOTE ORANGE", "ANDROID NOTE ORANGE"),
        ("a man without a bag AND red coat", "a man & -a bag & red coat"),
        ("NOT without a hat", "a hat"),
        ("coat, no hat OR dress", "coat & -hat | dress"),
        ("no hat", "-hat"),
        ("...", "..."),
        ("\u7ea2\u8272\u5916\u5957 AND \u5e3d\u5b50", "\u7ea2\u8272\u5916\u5957 & \u5e3d\u5b50"),
        ("   ", ""),
    ],
)
def test_a_description_is_read_as(description: str, expected: str) -> None:
    assert shown(alternatives(description)) == expected


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("red AND", r"clause is missing before the end \(character 8, after 'red AND'\)"),
        ("AND red", r'clause is missing before "AND" \(character 1\)'),
        ("red OR OR blue", r'clause is missing before "OR" \(character 8'),
        ("red NOT", r"clause is missing before the end"),
        ("red coat ()", r'clause is missing before "\)" \(character 11'),
        ("^2 coat", r"clause is missing before \^ \(character 1\)"),
        ("coat ^2 ^3", r"clause is missing before \^ \(character 9"),
        ("a (red coat", r'"\(" is not closed \(character 3, after \'a \'\)'),
        ("red) coat", r'"\)" closes nothing \(character 4'),
        ('a "red coat', r"quote is not closed \(character 3"),
        ('coat AND ""', r"nothing between the quotes \(character 10"),
        ("coat ^big", r'number above 0 and at most 10, not "big" \(character 6'),
        ("coat ^", r'number above 0 and at most 10, not ""'),
        ("coat ^0", "number above 0"),
        ("coat ^-1", "number above 0"),
        ("coat ^nan", "number above 0"),
        ("coat ^inf", "number above 0"),
        ("(" * 30 + "coat" + ")" * 30, "more than 20 parentheses"),
        ("a" * (LONGEST + 1), f"at most {LONGEST}"),
    ],
)
def test_a_mistake_is_told_with_its_place(description: str, message: str) -> None:
    with pytest.raises(MeaningError, match=message):
        alternatives(description)


def test_mistakes_come_with_an_example_that_is_right() -> None:
    with pytest.raises(MeaningError) as told:
        alternatives("red AND")
    example = str(told.value).split("as in: ")[1].split(". Words")[0]
    assert (
        shown(alternatives(example))
        == "red coat^2 & backpack & -hat | red coat^2 & suitcase & -hat"
    )


def test_groups_side_by_side_do_not_stand_in_one_another() -> None:
    assert shown(alternatives(" AND ".join(["(coat)"] * 30))) == " & ".join(["coat"] * 30)


def test_32_alternatives_are_searched_and_no_more() -> None:
    assert len(alternatives(" AND ".join(f"(a{n} OR b{n})" for n in range(5)))) == 32
    assert len(alternatives(" OR ".join(f"a{n}" for n in range(32)))) == 32
    for many in (" AND ".join(f"(a{n} OR b{n})" for n in range(40)),
                 " OR ".join(f"a{n}" for n in range(33)),
                 f"NOT ({' OR '.join(f'(a{n} AND b{n})' for n in range(6))})"):  # fmt: skip
        with pytest.raises(MeaningError, match="at most 32 are searched"):
            alternatives(many)


LETTERS = "abcd"


def either(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(parts, st.sampled_from(["AND", "OR", "AND NOT"]), parts)
    return joined.map(lambda p: f"({p[0]} {p[1]} {p[2]})") | parts.map(lambda p: f"NOT {p}")


@given(st.recursive(st.sampled_from(LETTERS), either, max_leaves=5))
def test_alternatives_mean_what_logic_says(description: str) -> None:
    python = description.replace("AND", "and").replace("OR", "or").replace("NOT", "not")
    for values in product([False, True], repeat=len(LETTERS)):
        true = dict(zip(LETTERS, values, strict=True))
        expected = eval(python, {}, true)
        found = any(all(true[c.text] != c.negated for c in every)
                    for every in alternatives(description))  # fmt: skip
        assert found == expected


@given(st.text(alphabet="ab \"()^2ANDORNOT,.'", max_size=40) | st.text(max_size=60))
def test_anything_is_understood_or_refused(description: str) -> None:
    try:
        found = alternatives(description)
    except MeaningError:
        return
    assert all(clause.text.strip() for every in found for clause in every)
    assert bool(found) == bool(description.strip())


@pytest.mark.parametrize(
    "description",
    ["NOT " * 900 + "hat", "without " + "a b, " * 780, "without a b, " * 300, "he " * 1300,
     "no " * 1300, ", " * 1900,
     "without " + "a " * 1900, "without a, b or " * 240, "a AND " * 600 + "a"],
)  # fmt: skip
def test_long_descriptions_are_read_at_once(description: str) -> None:
    start = time.process_time()
    assert alternatives(description)
    assert time.process_time() - start < 0.3  # it takes 0.02 s, and minutes if it were exponential


@pytest.mark.parametrize(
    ("sentence", "rest", "denied"),
    [
        ("a man in a red coat not wearing a hat", "a man in a red coat", ["a hat"]),
        ("a woman who is not wearing a hat, in a dress", "a woman, in a dress", ["a hat"]),
        ("a man without a bag", "a man", ["a bag"]),
        ("Without a hat, a man walks", "a man walks", ["a hat"]),
        ("a woman with no hat and a red coat", "a woman with a red coat", ["hat"]),
        ("He wears a coat and no hat", "He wears a coat", ["hat"]),
        ("He wears no hat and a coat", "He wears a coat", ["hat"]),
        ("wearing no jacket but a red sweater", "a red sweater", ["jacket"]),
        ("She carries no bag. She wears jeans.", "She wears jeans.", ["bag"]),
        ("There is no print on the t-shirt.", "", ["print on the t-shirt"]),
        ("a man without a hat in a red coat", "a man in a red coat", ["a hat"]),
        ("a man without a hat and in a red coat", "a man in a red coat", ["a hat"]),
        ("a man without a bag in his left hand, in jeans", "a man, in jeans",
         ["a bag in his left hand"]),
        ("no hat, no bag", "", ["hat", "bag"]),
        ("a man, no hat, red coat", "a man, red coat", ["hat"]),
        ("a man not wearing a hat or glasses", "a man", ["a hat", "glasses"]),
        ("a man without a hat and a bag", "a man", ["a hat", "a bag"]),
        ("a man without a hat, scarf or bag, in black jeans", "a man, in black jeans",
         ["a hat", "scarf", "bag"]),
        ("not wearing a hat or carrying a bag", "", ["a hat", "carrying a bag"]),
        ("no black or white hat", "", ["black or white hat"]),
        ("neither a hat nor a bag, blue jeans", "blue jeans", ["a hat", "a bag"]),
        ("a boy wearing no hat or glasses and blue jeans", "a boy wearing blue jeans",
         ["hat", "glasses"]),
        ("a person with no bag wearing blue jeans", "a person wearing blue jeans", ["bag"]),
        ("a woman who isn't carrying a bag and isn't wearing glasses", "a woman",
         ["a bag", "glasses"]),
        ("a man who hasn\u2019t got a bag, with a red hat", "a man, with a red hat", ["a bag"]),
        ("a man with a bag that does not wear a hat", "a man with a bag", ["a hat"]),
        ("a man without a bag but with a red hat", "a man with a red hat", ["a bag"]),
        ("a coat that is not red", "a coat", ["red"]),
        ("a woman lacking a bag", "a woman", ["a bag"]),
        ("A man. He is not wearing a hat. He carries a bag.", "A man. He carries a bag.",
         ["a hat"]),
        ("a man NOT wearing A Hat", "a man", ["A Hat"]),
    ],
)  # fmt: skip
def test_what_a_sentence_denies_is_taken_out_of_it(
    sentence: str, rest: str, denied: list[str]
) -> None:
    assert affirmed(sentence) == (rest, tuple(denied))


@pytest.mark.parametrize(
    "sentence",
    ["a sleeveless top", "a knot in her hair", "not only a hat but a scarf", "number no 7",
     "the face is not visible", "no longer young", "is he not", "without", "a man\u2019s hat"],
)  # fmt: skip
def test_a_sentence_that_denies_nothing_stays_as_it_is(sentence: str) -> None:
    assert affirmed(sentence) == (sentence, ())


def test_not_before_a_plain_clause_leaves_what_the_clause_itself_denies_denied():
    told = alternatives("red coat NOT a hat, without a bag")
    assert [(c.text, c.negated) for c in told[0]] == [
        ("red coat", False), ("a hat", True), ("a bag", True)
    ]  # fmt: skip
    assert len(told) == 1
    assert alternatives("NOT without a hat") == alternatives("a hat")
