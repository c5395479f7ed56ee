"""Captions: true to what can be seen, varied, grammatical, reproducible."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from statistics import mean

import pytest

from tipr.data.synthetic.annotators import annotator, in_dialect
from tipr.data.synthetic.captions import Caption, describe
from tipr.data.synthetic.deeds import Deed
from tipr.data.synthetic.facts import Sight, observe
from tipr.data.synthetic.identity import Identity, sample_identity
from tipr.data.synthetic.lexicon import BRITISH, spelled
from tipr.data.synthetic.phrases import Garment
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.tags import TAGS
from tipr.data.synthetic.text import about, agreed, with_article

VIEWS = ("front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right")
FULL = {  # pixels of each tag in an average picture of 384 lines
    "upper": 6000, "outer": 7000, "inner": 900, "lower": 6000, "hair": 900, "face": 700,
    "skin": 800, "shoe": 900, "bag": 1800, "strap": 300, "obj": 250, "scarf": 700, "belt": 100,
    "glove": 100, "tie": 150, "print": 500, "hat": 800, "mask": 120, "beard": 90, "glasses": 50,
    "sunglasses": 90, "leg": 1200,
}  # fmt: skip
HIDDEN_BEHIND = ("face", "beard", "glasses", "sunglasses", "mask", "print", "tie", "inner")
# the tags of which one at least must show before an attribute may be named
SHOWN_BY = {
    "hair": ("hair", "face"), "hair_c": ("hair",), "hat": ("hat", "hair", "face"),
    "hat_c": ("hat",), "beard": ("beard",), "mask": ("mask",), "scarf": ("scarf",),
    "scarf_c": ("scarf",), "tie": ("tie",), "belt": ("belt",), "gloves": ("glove",),
    "glasses": ("glasses", "sunglasses", "face"), "upper": ("upper", "inner"),
    "upper_c": ("upper", "inner"), "pattern": ("upper", "inner"), "upper_c2": ("upper", "inner"),
    "outer": ("outer", "upper"), "outer_c": ("outer",), "open": ("outer",), "lower": ("lower",),
    "lower_c": ("lower",), "shoes": ("shoe",), "shoe_c": ("shoe",), "legs": ("leg",),
    "bag": ("bag", "strap", "upper", "outer"), "bag_c": ("bag", "strap"), "bag_side": ("bag",),
    "carry": ("obj", "upper", "outer"), "carry_c": ("obj",), "carry_side": ("obj",),
}  # fmt: skip


def sight(index: int, chance_hidden: float = 0.12) -> Sight:
    """A made-up picture: some tags hidden, the rest of random size."""
    rng = Rng("sight", index)
    view, height = rng.pick(VIEWS), int(rng.uniform(64, 384))
    scale = (height / 384) ** 2
    visible = {
        tag: 0 if rng.chance(chance_hidden) else int(pixels * scale * rng.uniform(0.2, 1.6))
        for tag, pixels in FULL.items()
    }
    if view.startswith("back"):
        visible |= dict.fromkeys(HIDDEN_BEHIND, 0)
    return Sight(visible, view, rng.chance(0.72), height)


def caption(index: int, mode: str) -> Caption:
    return describe(
        sample_identity(3, index % 500),
        sight(index),
        writer=annotator(3, index % 120),
        mode=mode,
        rng=Rng(3, "caption", index, mode),
    )


@pytest.fixture(scope="module")
def short() -> list[Caption]:
    return [caption(index, "short") for index in range(2500)]


@pytest.fixture(scope="module")
def long() -> list[Caption]:
    return [caption(index, "long") for index in range(2500)]


@pytest.fixture(scope="module")
def everything(short, long) -> list[Caption]:
    return short + long


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:[-'][a-z]+)*", text.lower())


def offenders(pattern: str, captions: list[Caption]) -> list[str]:
    return [item.text for item in captions if re.search(pattern, item.text)]


def worn(**attributes) -> Identity:
    return replace(sample_identity(3, 0), **attributes)


def test_the_tags_counted_here_are_those_of_the_renderer():
    assert set(FULL) <= set(TAGS)


@pytest.mark.parametrize("mode", ["short", "long"])
def test_captions_mention_only_what_is_visible(mode):
    for index in range(600):
        identity, picture = sample_identity(3, index % 500), sight(index, 0.3)
        said = describe(
            identity, picture, writer=annotator(3, index % 120), mode=mode, rng=Rng(index)
        )
        assert set(said.facts) <= set(observe(identity, picture))
        for fact in set(said.facts) & set(SHOWN_BY):
            assert any(picture.visible[tag] >= 5 for tag in SHOWN_BY[fact]), (fact, said.text)


def test_each_thing_named_is_among_the_facts(everything):
    nouns = {
        "bag": r"\b(backpack|rucksack|suitcase|briefcase|tote|handbag)\b",
        "hat": r"\b(beanie|cap|headscarf|hijab)\b",
        "scarf": r"\b(muffler|neck scarf)\b",
        "lower": r"\b(jeans|slacks|leggings|joggers|skirt|shorts)\b",
        "carry": r"\b(umbrella|smartphone|notebook|bottle)\b(?! green)",
        "beard": r"\b(beard|stubble|whiskers)\b",
    }
    for fact, pattern in nouns.items():
        for item in everything:
            assert fact in item.facts or not re.search(pattern, item.text), (fact, item.text)


def test_a_person_in_nothing_visible_gets_no_garment():
    said = describe(
        worn(), Sight({"face": 900}, "front", True, 384), writer=annotator(3, 1), mode="short",
        rng=Rng(1),
    )  # fmt: skip
    assert not set(said.facts) & {"upper", "outer", "lower", "shoes", "bag", "carry"}


def test_a_print_is_told_only_where_the_chest_is_seen():
    identity = worn(outer="none", upper="t-shirt", pattern="print")
    back = Sight({"upper": 9000, "print": 0}, "back", True, 384)
    front = Sight({"upper": 9000, "print": 900}, "front", True, 384)
    assert "pattern" not in observe(identity, back)
    assert "pattern" in observe(identity, front)


def test_small_pictures_need_fewer_pixels_but_never_fewer_than_five():
    assert Sight({"beard": 5}, "front", True, 96).shows("beard", 20)
    assert not Sight({"beard": 5}, "front", True, 384).shows("beard", 20)
    assert not Sight({"beard": 4}, "front", True, 64).shows("beard", 20)


def test_short_captions_have_about_twenty_three_words(short):
    assert mean(len(item.text.split()) for item in short) == pytest.approx(23, abs=2)


def test_long_captions_have_between_thirty_seven_and_eighty_words(long):
    lengths = [len(item.text.split()) for item in long]
    assert min(lengths) >= 37
    assert max(lengths) <= 80
    assert mean(lengths) == pytest.approx(45, abs=3)


def test_the_vocabulary_has_more_than_six_hundred_words(everything):
    counts = Counter(word for item in everything for word in words(item.text))
    assert sum(count >= 3 for count in counts.values()) > 600


def test_captions_hardly_ever_repeat(everything):
    assert len({item.text for item in everything}) > 0.99 * len(everything)


def test_openings_vary(everything):
    openings = Counter(tuple(words(item.text)[:3]) for item in everything)
    assert openings.most_common(1)[0][1] < 0.06 * len(everything)


def test_the_article_fits_the_sound_that_follows(everything):
    assert not offenders(r"\b[Aa] (?!one)[aeio][a-z]", everything)
    assert not offenders(r"\b[Aa]n [^aeiou]", everything)


def test_a_caption_has_at_most_one_clause_on_pose(everything):
    pose = (
        r"\b(walk(s|ing)?|strid\w+|stroll\w+|stand(s|ing)?(?! out)|waiting|facing|faces|heading)\b"
    )
    for item in everything:
        assert len(re.findall(pose, item.text)) <= 1, item.text


def test_participles_are_not_joined_to_finite_verbs(everything):
    stray = r"(?<!is )(?<!are )(?<!also )\bwearing [^.;]* and (carries|holds|carry|pulls|drags)\b"
    assert not offenders(stray, everything)
    assert not offenders(r"\bwho wears? [^.;]* and (carrying|holding|wearing)\b", everything)


def test_size_and_fit_come_before_colour(everything):
    colours = "black|white|gray|grey|red|pink|orange|yellow|green|blue|purple|brown|beige|khaki"
    sizes = "large|small|long|short|big|skinny|loose|baggy|tight|open|closed|knee-length|puffy"
    assert not offenders(rf"\b({colours}) ({sizes}) ", everything)


def test_statements_about_colour_stay_apart_from_things_worn(everything):
    colours = "red|blue|black|white|brown|green"
    assert not offenders(rf"\b(is|are) ({colours}) and [a-z ]*(shoes|boots|trainers)\.", everything)


def test_sentences_are_clean(everything):
    assert not offenders(r"[\[\]{}|]|  | ,|\.\.|[^ -~]", everything)
    assert not offenders(r"\. [a-z]|^[a-z]|[^.]$", everything)
    assert not offenders(r"\b(\w+) \1\b", everything)


def test_they_takes_plural_verbs(everything):
    assert not offenders(
        r"\b[Tt]hey( also| additionally)? (is|has|wears|carries|holds)\b", everything
    )
    assert offenders(r"\bThey (are|have|wear|carry|hold)\b", everything)


def test_race_is_never_named(everything):
    race = r"\b(asian|african|caucasian|hispanic|latino|european|indian|arab|race|ethnic\w*)\b"
    assert not [item.text for item in everything if re.search(race, item.text.lower())]


def test_the_same_key_gives_the_same_caption():
    assert caption(17, "long") == caption(17, "long")


def test_two_captions_of_one_picture_differ():
    identity, picture = sample_identity(3, 5), sight(5)
    texts = {
        describe(identity, picture, writer=annotator(3, n), mode="short", rng=Rng(n)).text
        for n in range(20)
    }
    assert len(texts) > 18


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="short or long"):
        caption(1, "medium")


def test_british_writers_spell_and_speak_british():
    assert spelled("a gray colored woolen coat", british=True) == "a grey coloured woollen coat"
    assert "sneakers" not in in_dialect(("sneakers", "trainers"), True)
    assert "trainers" not in in_dialect(("sneakers", "trainers"), False)
    assert {"jumper", "trousers", "trainers", "waistcoat", "rucksack"} <= BRITISH


def test_both_sides_of_the_ocean_are_heard(everything):
    heard = {word for item in everything for word in words(item.text)}
    pairs = [("sweater", "jumper"), ("pants", "trousers"), ("sneakers", "trainers"),
             ("backpack", "rucksack"), ("purse", "handbag"), ("gray", "grey")]  # fmt: skip
    assert all(set(pair) <= heard for pair in pairs)


def test_annotators_have_favourites():
    writer = annotator(3, 4)
    assert writer.favourite("x", ("a", "b", "c")) == writer.favourite("x", ("a", "b", "c"))
    assert len({annotator(3, n).favourite("x", tuple("abcdef")) for n in range(40)}) == 6


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("orange design", "an orange design"),
        ("umbrella", "an umbrella"),
        ("one-piece dress", "a one-piece dress"),
        ("t-shirt", "a t-shirt"),
        ("off-white coat", "an off-white coat"),
    ],
)
def test_articles(phrase, expected):
    assert with_article(phrase) == expected


def test_verbs_agree_with_the_subject():
    assert agreed("they [carries] it and [is] [has] [clutches]", plural=True) == (
        "they carry it and are have clutch"
    )
    assert agreed("she [carries] it", plural=False) == "she carries it"


def test_a_garment_is_plural_by_its_noun():
    jeans = Garment("denim jeans", "blue", frozenset({"lower"}), before="skinny")
    dress = Garment("dress", "orange", frozenset({"upper"}))
    assert jeans.phrase().words == "skinny blue denim jeans"
    assert jeans.statement("her").words == "her skinny denim jeans are blue"
    assert dress.phrase().words == "an orange dress"


def test_deeds_carry_the_facts_of_what_fills_them():
    deed = Deed(about("[carries] a bag", "bag"), about("carrying a bag", "bag"))
    assert (deed.finite + " and " + about("a cup", "carry")).facts == {"bag", "carry"}
