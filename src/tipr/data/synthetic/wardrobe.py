"""What synthetic people wear and carry: which garments, in which colours, how often.

Weights follow the street: black, white, blue and grey tops, jeans and backpacks are common. Each
function draws one part of a person's clothes from what is already known about the person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tipr.data.synthetic.rng import Rng

Draw = Callable[[str], Rng]  # the stream of one decision about one person
Weights = list[tuple[str, float]]

# brightness of each clothing colour, 0 (black) to 1: two colours of one garment must differ in it
BRIGHTNESS = {
    "black": 0.12, "white": 0.91, "gray": 0.51, "dark gray": 0.30, "light gray": 0.74,
    "red": 0.34, "dark red": 0.21, "pink": 0.71, "orange": 0.50, "yellow": 0.65, "green": 0.32,
    "dark green": 0.20, "olive": 0.34, "light green": 0.66, "blue": 0.40, "navy": 0.19,
    "light blue": 0.70, "teal": 0.37, "purple": 0.39, "lavender": 0.73, "brown": 0.27,
    "beige": 0.70, "khaki": 0.54, "cream": 0.87, "denim": 0.36, "light denim": 0.60,
    "dark denim": 0.22,
}  # fmt: skip
CONTRAST = 0.18
HAT_COLOURS = ["black", "white", "red", "blue", "navy", "gray", "beige", "green", "pink", "yellow"]
BAG_COLOURS = ["black", "brown", "red", "blue", "gray", "beige", "pink", "green", "white", "navy",
               "yellow", "purple"]  # fmt: skip
CARRY_COLOURS = ["white", "black", "red", "blue", "brown", "green", "yellow"]
SCARF_COLOURS = ["red", "gray", "beige", "blue", "white", "green", "yellow", "purple"]
JEANS_COLOURS = ["denim", "light denim", "dark denim", "black"]


def clothing_colours(*, woman: bool) -> Weights:
    """Colours of tops and outer garments with the weight of each on the street."""
    return [
        ("black", 1.7), ("white", 1.4), ("gray", 1.0), ("dark gray", 0.5), ("light gray", 0.4),
        ("red", 0.8), ("dark red", 0.4), ("pink", 0.6 if woman else 0.15), ("orange", 0.4),
        ("yellow", 0.5), ("green", 0.5), ("dark green", 0.4), ("olive", 0.3),
        ("light green", 0.2), ("blue", 1.0), ("navy", 0.8), ("light blue", 0.6), ("teal", 0.3),
        ("purple", 0.4), ("lavender", 0.2), ("brown", 0.4), ("beige", 0.4), ("cream", 0.3),
    ]  # fmt: skip


def sample_lower(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    """Trousers, skirts and dresses with their cut."""
    woman, warm = person["sex"] == "female", person["season"] == "warm"
    hers: Weights = [("jeans", 0.30), ("trousers", 0.16), ("leggings", 0.12),
                     ("shorts", 0.12 if warm else 0.0), ("skirt", 0.14),
                     ("dress", 0.14 if warm else 0.08), ("joggers", 0.05)]  # fmt: skip
    his: Weights = [("jeans", 0.40), ("trousers", 0.30), ("joggers", 0.10),
                    ("shorts", 0.20 if warm else 0.0)]  # fmt: skip
    lower = draw("lower").weighted(hers if woman else his)
    colours: Weights = [
        ("black", 1.8), ("gray", 0.6), ("dark gray", 0.6), ("navy", 0.7), ("khaki", 0.6),
        ("beige", 0.4), ("brown", 0.4), ("olive", 0.3), ("white", 0.35), ("red", 0.2),
        ("blue", 0.3), ("pink", 0.25 if woman else 0.0), ("green", 0.15), ("light gray", 0.2),
        ("purple", 0.1 if woman else 0.02), ("yellow", 0.1 if woman else 0.0),
    ]  # fmt: skip
    jeans = draw("lower_c").pick([*JEANS_COLOURS, "denim"])
    return {
        "lower": lower,
        "lower_c": jeans if lower == "jeans" else draw("lower_c").weighted(colours),
        "leg": draw("leg").weighted([("slim", 0.42), ("regular", 0.42), ("wide", 0.16)]),
        "length": draw("length").weighted(
            [("mini", 0.3), ("knee", 0.4), ("midi", 0.15), ("long", 0.15)]
        ),
        "flare": draw("flare").uniform(0.015, 0.11),
        "short_len": draw("short_len").uniform(0.30, 0.47),
    }


def _upper_kind(draw: Draw, person: dict[str, Any]) -> str:
    woman = person["sex"] == "female"
    if person["lower"] == "dress":
        return "dress"
    if person["season"] == "cold":
        return draw("upper").weighted(
            [("sweater", 0.30), ("hoodie", 0.20), ("shirt", 0.22), ("t-shirt", 0.20),
             ("blouse", 0.08 if woman else 0.0)]
        )  # fmt: skip
    return draw("upper").weighted(
        [("t-shirt", 0.42), ("shirt", 0.08 if woman else 0.22), ("blouse", 0.18 if woman else 0.0),
         ("polo shirt", 0.03 if woman else 0.10), ("tank top", 0.10 if woman else 0.04),
         ("sweater", 0.04), ("hoodie", 0.05)]
    )  # fmt: skip


def _sleeve(draw: Draw, upper: str, *, warm: bool) -> str:
    fixed = {"tank top": "none", "sweater": "long", "hoodie": "long"}.get(upper)
    if fixed:
        return fixed
    if upper == "dress":
        return draw("sleeve").weighted([("none", 0.4), ("short", 0.4), ("long", 0.2)])
    if upper in ("shirt", "blouse"):
        return draw("sleeve").weighted([("long", 0.65), ("short", 0.35)])
    long = 0.2 if warm else 0.8
    return draw("sleeve").weighted([("short", 1 - long), ("long", long)])


def patterns_for(upper: str, *, woman: bool) -> Weights:
    """Patterns that this garment comes in, with their weights."""
    prints = upper in ("t-shirt", "hoodie", "sweater")
    options: Weights = [
        ("plain", 0.50),
        ("print", 0.14 if prints or upper == "tank top" else 0.0),
        ("text", 0.06 if prints else 0.0),
        ("horizontal stripes", 0.12),
        ("vertical stripes", 0.04 if upper in ("shirt", "blouse", "dress") else 0.0),
        ("plaid", 0.14 if upper in ("shirt", "dress") else 0.0),
        ("dots", 0.05 if woman else 0.01),
        ("floral", 0.08 if upper in ("dress", "blouse") else 0.0),
        ("color block", 0.06 if prints or upper == "polo shirt" else 0.0),
    ]
    return [(pattern, weight) for pattern, weight in options if weight > 0]


def contrasting(colour: str, other: str) -> bool:
    """Whether two colours of one garment can be told apart at a distance."""
    return abs(BRIGHTNESS[colour] - BRIGHTNESS[other]) >= CONTRAST


def sample_upper(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    """The top: a dress where the lower garment is one."""
    woman = person["sex"] == "female"
    upper = _upper_kind(draw, person)
    colours = clothing_colours(woman=woman)
    colour = draw("upper_c").weighted(colours)
    second = draw("upper_c2").weighted(colours)
    if not contrasting(colour, second):
        second = "white" if BRIGHTNESS[colour] < 0.55 else "black"
    tucked = draw("tuck").chance(0.45 if upper in ("shirt", "blouse") else 0.08)
    return {
        "upper": upper,
        "upper_c": colour,
        "upper_c2": second,
        "pattern": draw("pattern").weighted(patterns_for(upper, woman=woman)),
        "sleeve": _sleeve(draw, upper, warm=person["season"] == "warm"),
        "tuck": tucked,
        "hem": draw("hem").uniform(0.478, 0.515),
        "fit": draw("fit").uniform(0.8, 1.35),
    }


def sample_outer(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    """What is worn over the top, in another colour than it."""
    woman, warm = person["sex"] == "female", person["season"] == "warm"
    kinds: Weights = [("jacket", 0.28), ("coat", 0.18), ("puffer jacket", 0.18), ("blazer", 0.12),
                      ("cardigan", 0.10), ("hoodie", 0.0 if person["upper"] == "hoodie" else 0.10),
                      ("vest", 0.06), ("raincoat", 0.02)]  # fmt: skip
    worn = draw("outer").chance(0.10 if warm else 0.78)
    outer = draw("outer kind").weighted(kinds) if worn else "none"
    colour = draw("outer_c").weighted(clothing_colours(woman=woman))
    if colour == person["upper_c"]:
        colour = draw("outer_c other").pick(["black", "navy", "beige", "red", "dark gray"])
    if colour == person["upper_c"]:
        colour = "brown"
    loose = outer in ("blazer", "cardigan", "vest")
    return {
        "outer": outer,
        "outer_c": colour,
        "open": worn and draw("open").chance(0.6 if loose else 0.45),
        "coat_len": draw("coat_len").uniform(0.22, 0.36),
        "quilt": True,
    }


def sample_feet(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    """Shoes and their colour."""
    woman, warm = person["sex"] == "female", person["season"] == "warm"
    child = person["age"] == "child"
    hers: Weights = [("sneakers", 0.40), ("boots", 0.18), ("heels", 0.16),
                     ("sandals", 0.12 if warm else 0.0), ("flats", 0.14)]  # fmt: skip
    his: Weights = [("sneakers", 0.60), ("boots", 0.14), ("dress shoes", 0.0 if child else 0.20),
                    ("sandals", 0.07 if warm else 0.0)]  # fmt: skip
    shoes = draw("shoes").weighted(hers if woman and not child else his)
    sporty = shoes == "sneakers"
    colours: Weights = [("black", 1.4), ("white", 1.2 if sporty else 0.3),
                        ("brown", 0.1 if sporty else 0.8), ("gray", 0.4), ("red", 0.3),
                        ("blue", 0.3), ("pink", 0.2 if woman else 0.0), ("beige", 0.3)]  # fmt: skip
    return {
        "shoes": shoes,
        "shoe_c": draw("shoe_c").weighted(colours),
        "boot_top": draw("boot_top").uniform(0.62, 0.88),
    }


def sample_carried(draw: Draw, person: dict[str, Any]) -> dict[str, Any]:
    """The bag on one side and, in the other hand, an object."""
    woman = person["sex"] == "female"
    bags: Weights = [("none", 0.36), ("backpack", 0.22), ("shoulder bag", 0.12),
                     ("crossbody bag", 0.08), ("handbag", 0.10 if woman else 0.01),
                     ("tote bag", 0.05), ("shopping bag", 0.06), ("suitcase", 0.03),
                     ("briefcase", 0.01 if woman else 0.06)]  # fmt: skip
    things: Weights = [("none", 0.74), ("phone", 0.10), ("cup", 0.05), ("bottle", 0.04),
                       ("book", 0.05), ("umbrella", 0.02)]  # fmt: skip
    side = draw("bag_side").pick([1, -1])
    carry = draw("carry").weighted(things)
    return {
        "bag": draw("bag").weighted(bags),
        "bag_c": draw("bag_c").pick(BAG_COLOURS),
        "bag_side": side,
        "carry": carry,
        "carry_c": "black" if carry == "phone" else draw("carry_c").pick(CARRY_COLOURS),
        "carry_side": -side,
        "phone_mode": draw("phone_mode").pick(["ear", "text"]),
    }
