"""What is found in sentences, and what is left in peace."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipr.data.check.captions import caption_hits
from tipr.data.check.kinds import KINDS
from tipr.data.readers.entries import Entry


def entry(file: str, person: int | str, *captions: str) -> Entry:
    return Entry(0, file, captions, person, "train")


def hits_of(*captions: str) -> list[tuple[str, str]]:
    hits = caption_hits([entry("a.jpg", 1, *captions)], lambda text: None)
    return [(hit.kind, hit.example) for hit in hits]


CODE = [
    "A man in <b>red</b> shoes", "A man<br/>in red", "the man &amp; his bag", "don&#39;t",
    '{"caption": "a man"}', "['a man', 'a woman']", 'A man in red"]', r"A man.\nHe wears red",
    r"a caf\u00e9 waiter", r"caf\xe9", "see https://example.org/1.jpg", "from www.example.org now",
    "```a man```", "A man in None shirt", "a man in a nan coat", "nan", "None", "null", "undefined",
    "N/A", "a man<|endoftext|>",
]  # fmt: skip
PLAIN = [
    "A man in red shoes, his left < his right.", "None of her clothes are red.",
    "none of it is blue", "the pattern is undefined", "a void, or null, pattern", "his nana walks",
    'a "red" coat: long', "AT&T on the bag", "a man & a woman", "it's 5' 6\" tall", "(a bag)",
    "the man/woman wears [unclear] shoes", "a T-shirt with \"NO\"", "caf\u00e9 apron",
    "www is on it",
]  # fmt: skip


@pytest.mark.parametrize("caption", CODE)
def test_remnants_of_code_are_found(caption) -> None:
    assert [kind for kind, _ in hits_of(caption)] == ["code fragments"]


@pytest.mark.parametrize("caption", PLAIN)
def test_plain_sentences_are_left_in_peace(caption) -> None:
    assert hits_of(caption) == []


@pytest.mark.parametrize(
    "word",
    ["\u7ea2\u8272", "\u043a\u0440\u0430\u0441\u043d\u044b\u0439", "\u0623\u062d\u0645\u0631"],
)
def test_other_scripts_are_shown_as_they_are(word) -> None:
    assert hits_of(f"a {word} coat") == [
        ("non-Latin letters", f'a.jpg, caption 1: "a {word} coat"')
    ]


def test_invisible_characters_are_written_out() -> None:
    assert hits_of("a red\u200b coat") == [
        ("control characters", 'a.jpg, caption 1: "a red\\u200b coat"')
    ]
    assert hits_of("a red\x07 coat")[0][1] == 'a.jpg, caption 1: "a red\\x07 coat"'
    assert hits_of("a r\ufffdd coat")[0][0] == "control characters"


def test_only_what_stands_around_a_finding_is_shown() -> None:
    ((_, example),) = hits_of("x" * 500 + " <b> " + "y" * 500)
    assert example == f'a.jpg, caption 1: "...{"x" * 23} <b> {"y" * 23}..."'


def test_the_first_lost_word_is_named() -> None:
    hits = caption_hits([entry("a.jpg", 1, "one two")], lambda text: "two")
    assert [(h.kind, h.example) for h in hits] == [
        ("over-long captions", 'a.jpg, caption 1: read up to "two", which is lost')
    ]


def test_repetition_is_told_by_how_far_it_reaches() -> None:
    rows = [
        entry("a.jpg", 1, "A red coat", "a  RED coat"),
        entry("b.jpg", 1, "a blue coat"),
        entry("c.jpg", 1, "A blue coat"),
        entry("d.jpg", 1, "a green coat"),
        entry("e.jpg", 2, "a green coat"),
        entry("f.jpg", 2, "a green coat"),
    ]
    hits = {hit.kind: (hit.count, hit.example) for hit in caption_hits(rows, lambda text: None)}
    assert hits == {
        "captions repeated within an image": (1, 'a.jpg, caption 2: "a  RED coat"'),
        "captions repeated for a person": (1, 'b.jpg and c.jpg: "a blue coat"'),
        "captions shared by several people": (3, '"a green coat": people 1, 2'),
    }


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["a", "b", "c", "d"])), max_size=12))
def test_sharing_agrees_with_counting_every_pair(told) -> None:
    rows = [entry(f"{i}.jpg", person, text) for i, (person, text) in enumerate(told)]
    found = Counter[str]()
    for hit in caption_hits(rows, lambda text: None):
        found[hit.kind] += hit.count
    people = {text: {p for p, t in told if t == text} for _, text in told}
    shared = sum(len(people[text]) > 1 for _, text in told)
    again = sum(len(people[text]) == 1 for _, text in told) - sum(
        len(p) == 1 for p in people.values()
    )
    assert found["captions shared by several people"] == shared
    assert found["captions repeated for a person"] == again


@given(st.text(max_size=200))
def test_no_text_breaks_the_doctor_and_every_example_can_be_printed(text) -> None:
    for kind, example in hits_of(text):
        assert kind in KINDS and example.isprintable()
