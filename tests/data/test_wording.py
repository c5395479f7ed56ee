from __future__ import annotations

import re
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tipr.data.augment import Augmentation, PublishedAugmentation
from tipr.data.pool import ImagePool
from tipr.data.wording import mirrored, reworded, shuffled, thinned

STAY = [
    # a single clause or sentence behind the first has nothing to change places with
    "The man wears a red shirt, blue jeans and white shoes. He carries a backpack on his back.",
    # adjectives between commas are one thing's
    "The woman has long, dark hair, a long, black coat.",
    "She wears a red dress with a long, white belt, and shoes.",
    # what follows may be told of all, or of the thing before it
    "The man wears a suit, a tie, all black.",
    "He has a coat, a red scarf, with white stripes on it.",
    "She has a shirt, a jacket over it, a hat.",
    "A man in shorts. He has a hat. He wears a scarf under it.",
    "She has a skirt. It is short. They are black. Underneath is a shirt.",
    # something else is told of before the sentence's subject
    "Wearing a coat, a hat, a woman with a bag walks.",
    "In red, a man is bald, his hat is blue.",
    # a deed may be another's
    "A woman is talking, holding a child, wearing a red coat.",
    "A man with another man. He wears a hat. He has a bag.",
    "A man and a woman, he wears a hat. She has a bag. She walks.",
    # the first sentence names nobody
    "It is sunny. The man walks. He has a hat. He has a bag.",
    # deeds and things that hide in a list
    "The man wears a hat, a tee, jeans and hauls a red suitcase.",
    "The man wears a hat, a tee, jeans while carrying a bag.",
    "The man wears a hat, a tee, jeans while holding umbrella.",
    # things of things
    "The man has a shirt with a pocket, a stripe, a logo.",
    "a man in red",
    "",
]
MOVE = {
    "A man in a coat. He wears a hat. His bag is red. The man walks": {
        f"A man in a coat. {'. '.join(order)}"
        for order in permutations(["He wears a hat", "His bag is red", "The man walks"])
    },
    # a sentence that points back holds the one before it
    "A lady. She has a hat. Her bag is big. She sits. It is red.": {
        "A lady. She has a hat. Her bag is big. She sits. It is red.",
        "A lady. Her bag is big. She has a hat. She sits. It is red.",
    },
    # the "and" stays in its place
    "The man is wearing red and white shoes, a black coat, blue jeans, and a cap.": {
        f"The man is wearing red and white shoes, {a}, {b}, and {c}."
        for a, b, c in permutations(["a black coat", "blue jeans", "a cap"])
    },
    "A woman wearing a coat, carrying a bag, and holding a phone.": {
        "A woman wearing a coat, carrying a bag, and holding a phone.",
        "A woman wearing a coat, holding a phone, and carrying a bag.",
    },
    "His shirt is red, his pants are black; and his shoes are white!": {
        "His shirt is red, his pants are black; and his shoes are white!",
        "His shirt is red, his shoes are white; and his pants are black!",
    },
    "He wears a hat, carries a bag, and is bald.": {
        "He wears a hat, carries a bag, and is bald.",
        "He wears a hat, is bald, and carries a bag.",
    },
    # "with long sleeves" may belong to the boots; the hat and the scarf are free
    "She has a bag, a hat, a scarf, and boots, with long sleeves.": {
        "She has a bag, a hat, a scarf, and boots, with long sleeves.",
        "She has a bag, a scarf, a hat, and boots, with long sleeves.",
    },
}


def told(caption: str) -> set[str]:
    torch.manual_seed(0)
    return {shuffled(caption) for _ in range(100)}


@pytest.mark.parametrize("caption", STAY)
def test_what_may_belong_together_stays_together(caption: str) -> None:
    assert told(caption) == {caption}


@pytest.mark.parametrize("caption", MOVE)
def test_what_stands_alone_is_told_in_every_order(caption: str) -> None:
    assert told(caption) == MOVE[caption]


WORDS = ("A", "man", "he", "his", "a", "hat", "coat", "long", "red", "is", "wearing", "it", "with")
SIGNS = (" ", ". ", ", ", ", and ", "; ", ",", " and ", "!", "\u3002", "\n")


@given(st.lists(st.sampled_from(WORDS + SIGNS), max_size=40).map("".join) | st.text(max_size=60))
def test_no_word_is_lost_and_no_sign_moves(caption: str) -> None:
    after = shuffled(caption)
    sign = r"\s*[.,;!?]+\s*(?:and\s+)?"
    assert sorted(re.findall(r"\S", after)) == sorted(re.findall(r"\S", caption))
    assert re.findall(sign, after) == re.findall(sign, caption)
    assert re.split(sign, after)[0] == re.split(sign, caption)[0]


def test_dropping_words_never_leaves_an_empty_sentence() -> None:
    assert thinned("a man in red", 1.0) == "a man in red"


def test_denials_are_never_dropped_nor_what_they_deny() -> None:
    assert thinned("a man with No hat, white shoes", 1.0) == "No hat,"
    assert thinned("he does not carry a bag and walks", 1.0) == "not carry a bag"
    assert thinned("no logo on the shirt", 1.0) == "no logo"
    assert thinned("she isn't smiling. A red coat", 1.0) == "isn't smiling."


def test_words_are_dropped_as_often_as_asked() -> None:
    torch.manual_seed(0)
    left = sum(len(thinned("red " * 50, 0.05).split()) for _ in range(200)) / 10_000
    assert 0.94 < left < 0.96


@given(st.text(alphabet="ab leftright", max_size=40))
def test_mirroring_twice_gives_the_sentence_back(text: str) -> None:
    assert mirrored(mirrored(text)) == text


def test_sides_are_exchanged_as_words() -> None:
    before = "a bag in the Left hand, right of him, upright"
    assert mirrored(before) == "a bag in the right hand, left of him, upright"


def test_nothing_is_drawn_for_what_is_off() -> None:
    torch.manual_seed(0)
    assert reworded("A man. He sits. He is on the left", False, 0.0, 0.0).endswith("left")
    assert reworded("on the left", True, 0.0, 0.0) == "on the right"
    following = torch.rand(())
    torch.manual_seed(0)
    assert following == torch.rand(())


def test_captions_are_shuffled_as_often_as_asked() -> None:
    torch.manual_seed(0)
    caption = "A man. " + "He sits. He runs. " * 20
    changed = sum(reworded(caption, False, 0.0, 0.3) != caption for _ in range(1000))
    assert 250 < changed < 350


ALL = [Augmentation(drop_words=0), PublishedAugmentation(), ImagePool()]


@pytest.mark.parametrize("images", ALL, ids=lambda images: type(images).__name__)
def test_wording_goes_with_any_augmentation_of_pictures(images) -> None:
    caption = "A man. He stands on the left. He is bald"
    assert images.caption(caption, False) == caption
    assert replace(images, drop_words=1.0).caption("no hat, red", False) == "no hat,"
    often = replace(images, shuffle_clauses=1.0)
    torch.manual_seed(0)
    assert len({often.caption(caption, False) for _ in range(40)}) == 2
    for wrong in ({"drop_words": 1.5}, {"shuffle_clauses": -0.1}):
        with pytest.raises(ValueError, match=rf"augmentation\.{next(iter(wrong))} is a share"):
            replace(images, **wrong)


def test_sides_are_exchanged_unless_the_published_quirk_is_wanted() -> None:
    sides = [images.caption("on the left", True) for images in ALL]
    assert sides == ["on the right", "on the left", "on the right"]
    assert ImagePool(mirror=False).caption("on the left", True) == "on the left"
    assert PublishedAugmentation(mirror=True).caption("on the left", True) == "on the right"
