"""Who a synthetic person is: every attribute that a picture or a sentence of them depends on.

`sample_identity(seed, index)` draws each attribute from its own stream, so a new attribute leaves
the others as they were. Colours are names, looked up in the palette by those who paint; lengths
are metres or fractions of a limb or of the person's height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.wardrobe import (
    HAT_COLOURS,
    SCARF_COLOURS,
    Draw,
    Weights,
    sample_carried,
    sample_feet,
    sample_lower,
    sample_outer,
    sample_upper,
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One person in one set of clothes; `key` names the streams of their textures and folds."""

    key: str
    sex: str  # male, female
    age: str  # child, young, adult, senior
    build: str  # slim, average, heavy
    height: float  # metres
    skin: int  # 0 (lightest) to 6
    season: str  # warm, cold
    hair: str  # bald, buzz, short, bob, long, ponytail, bun, curly, afro
    hair_c: str
    hair_len: float
    hair_front: float
    bang: float
    pony_y: float
    pony_len: float
    bun_y: float
    beard: bool
    glasses: str  # none, glasses, sunglasses
    mask: bool
    hat: str  # none, cap, beanie, sunhat, hood, headscarf
    hat_c: str
    cap_back: bool
    upper: str  # t-shirt, shirt, blouse, polo shirt, tank top, sweater, hoodie, dress
    upper_c: str
    upper_c2: str  # of the pattern; contrasts with upper_c
    pattern: str  # plain, print, text, horizontal/vertical stripes, plaid, dots, floral, ...
    sleeve: str  # none, short, long
    tuck: bool
    hem: float
    fit: float
    outer: str  # none, jacket, coat, puffer jacket, blazer, cardigan, hoodie, vest, raincoat
    outer_c: str
    open: bool
    coat_len: float
    quilt: bool
    lower: str  # jeans, trousers, leggings, shorts, skirt, dress, joggers
    lower_c: str
    leg: str  # slim, regular, wide
    length: str  # of skirts and dresses: mini, knee, midi, long
    flare: float
    short_len: float
    shoes: str  # sneakers, boots, heels, sandals, flats, dress shoes
    shoe_c: str
    boot_top: float
    bag: str  # none, backpack, shoulder/crossbody/tote/shopping bag, handbag, suitcase, briefcase
    bag_c: str
    bag_side: int  # 1 left, -1 right
    carry: str  # none, phone, cup, bottle, book, umbrella
    carry_c: str
    carry_side: int  # 1 left, -1 right
    phone_mode: str  # ear, text
    scarf: bool
    scarf_c: str
    scarf_tail: bool
    belt: bool
    tie: bool
    gloves: bool


def sample_identity(seed: int, index: int) -> Identity:
    """The person with this index: the same one wherever and in whatever order people are drawn."""
    draw = _Streams(seed, index)
    person = _body(draw)
    person |= _head(draw, person)
    person |= sample_lower(draw, person)
    person |= sample_upper(draw, person)
    person |= sample_outer(draw, person)
    person |= sample_feet(draw, person)
    person |= sample_carried(draw, person)
    person |= _accessories(draw, person)
    return Identity(key=f"{seed}/id/{index}", **person)


class _Streams:
    """`streams("hat")` is the stream of one decision about one person."""

    def __init__(self, seed: int, index: int) -> None:
        self._key = (seed, "id", index)

    def __call__(self, decision: str) -> Rng:
        return Rng(*self._key, decision)


def _body(draw: Draw) -> dict[str, Any]:
    sex = draw("sex").pick(["male", "female"])
    age = draw("age").weighted(
        [("child", 0.06), ("young", 0.38), ("adult", 0.44), ("senior", 0.12)]
    )
    grown = draw("height").normal(1.635 if sex == "female" else 1.765, 0.06)
    small = draw("height").uniform(1.15, 1.45)
    return {
        "sex": sex,
        "age": age,
        "build": draw("build").weighted([("slim", 0.34), ("average", 0.44), ("heavy", 0.22)]),
        "height": small if age == "child" else min(max(grown, 1.45), 2.0),
        "skin": draw("skin").below(7),
        "season": draw("season").pick(["warm", "cold"]),
    }


def _hair(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    women: Weights = [("short", 0.12), ("bob", 0.18), ("long", 0.34), ("ponytail", 0.20),
                      ("bun", 0.10), ("curly", 0.06), ("afro", 0.02)]  # fmt: skip
    men: Weights = [("bald", 0.09), ("buzz", 0.20), ("short", 0.55), ("curly", 0.09),
                    ("afro", 0.02), ("bob", 0.03), ("bun", 0.02)]  # fmt: skip
    old: Weights = [("gray", 0.5), ("white", 0.35), ("dark brown", 0.15)]
    young: Weights = [("black", 0.36), ("dark brown", 0.24), ("brown", 0.18), ("blond", 0.14),
                      ("red", 0.04), ("gray", 0.04)]  # fmt: skip
    style = draw("hair").weighted(women if person["sex"] == "female" else men)
    if person["age"] == "child" and style == "bald":
        style = "short"
    if person["age"] in ("child", "young"):
        young = young[:-1]
    colour = draw("hair_c").weighted(old if person["age"] == "senior" else young)
    if person["skin"] > 4 and colour in ("blond", "red", "brown"):
        colour = "black"
    return {"hair": style, "hair_c": colour}


def _head(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    woman = person["sex"] == "female"
    hats: Weights = [("none", 0.74), ("cap", 0.11), ("beanie", 0.06), ("sunhat", 0.03),
                     ("hood", 0.03), ("headscarf", 0.03 if woman else 0.0)]  # fmt: skip
    hat = draw("hat").weighted(hats)
    bearded = not woman and person["age"] != "child" and draw("beard").chance(0.28)
    return _hair(draw, person) | {
        "hair_len": draw("hair_len").uniform(0.24, 0.42),
        "hair_front": draw("hair_front").uniform(1.75, 2.25),
        "bang": draw("bang").pick([0.0, 0.0, 0.14] if woman else [0.0, 0.04]),
        "pony_y": draw("pony_y").uniform(0.5, 0.85),
        "pony_len": draw("pony_len").uniform(0.18, 0.34),
        "bun_y": draw("bun_y").uniform(0.6, 0.98) if hat == "none" else 0.5,
        "beard": bearded,
        "glasses": draw("glasses").weighted(
            [("none", 0.74), ("glasses", 0.18), ("sunglasses", 0.08)]
        ),
        "mask": draw("mask").chance(0.05),
        "hat": hat,
        "hat_c": draw("hat_c").pick(HAT_COLOURS),
        "cap_back": draw("cap_back").chance(0.12),
    }


def _accessories(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    cold = person["season"] == "cold"
    bare_neck = person["hat"] not in ("hood", "headscarf")
    suited = person["upper"] == "shirt" and person["sex"] == "male" and person["open"]
    suited = suited and person["outer"] in ("blazer", "coat")
    return {
        "scarf": cold and bare_neck and draw("scarf").chance(0.18),
        "scarf_c": draw("scarf_c").pick(SCARF_COLOURS),
        "scarf_tail": draw("scarf_tail").chance(0.6),
        "belt": person["tuck"] and draw("belt").chance(0.6),
        "tie": suited and draw("tie").chance(0.5),
        "gloves": cold and draw("gloves").chance(0.08),
    }
