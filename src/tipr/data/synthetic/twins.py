"""Near-duplicates: people who differ from another in one attribute, or in which colour is where.

People drawn independently are too easy to tell apart. A *twin* is a copy with exactly one
attribute changed, to a value that can be told from the old one; a *swap* exchanges the colours of
the upper and lower garments. Both keep the key of the original, so their textures, folds, poses
and backgrounds are the same. A person and their near-duplicates form a family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tipr.data.synthetic.identity import Identity, sample_identity
from tipr.data.synthetic.levels import LEVELS
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.wardrobe import BRIGHTNESS, JEANS_COLOURS, contrasting, patterns_for

SWAPS = 0.2  # share of the near-duplicates that are swaps, where the clothes allow it

HUES = {
    "black": "dark", "dark gray": "dark", "navy": "dark", "dark denim": "dark",
    "gray": "gray", "light gray": "gray", "white": "white", "cream": "white",
    "red": "red", "dark red": "red", "pink": "pink", "orange": "orange", "yellow": "yellow",
    "green": "green", "dark green": "green", "olive": "green", "light green": "green",
    "blue": "blue", "light blue": "blue", "denim": "blue", "light denim": "blue", "teal": "blue",
    "purple": "purple", "lavender": "purple", "brown": "brown", "beige": "brown", "khaki": "brown",
}  # fmt: skip
NEW_COLOURS = ("black", "white", "red", "blue", "green", "yellow", "gray", "pink", "purple",
               "brown", "orange")  # fmt: skip
NEW_HAIR_COLOURS = ("black", "brown", "blond", "gray", "red")
HAIR_SHADE = {"black": 0, "dark brown": 0, "brown": 1, "red": 2, "blond": 3, "gray": 4, "white": 4}


@dataclass(frozen=True)
class Difference:
    """The attribute in which a person departs from another, and its two values."""

    attribute: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Member:
    """A person of the dataset and their place in it: `twin_of` is the id of the original."""

    id: int
    identity: Identity
    family: int
    twin_of: int | None = None
    relation: str | None = None  # twin, swap
    difference: Difference | None = None


def population(people: int, level: str, seed: int) -> list[Member]:
    """So many people in families, ids from 0; the last family is cut where the number is full."""
    members: list[Member] = []
    family = 0
    while len(members) < people:
        room = people - len(members)
        members += list(_family(seed, family, len(members), level))[:room]
        family += 1
    return members


def _family(seed: int, family: int, first_id: int, level: str) -> Iterator[Member]:
    """An original and, by chance, its near-duplicates, all different from each other."""
    original = sample_identity(seed, family)
    yield Member(first_id, original, family)
    rng = Rng(seed, "family", family)
    count = LEVELS[level].twins
    if not rng.chance(_families_with_twins(level)):
        return
    changed: set[str] = set()
    for number in range(1, count + 1):
        swapped = "swap" not in changed and rng.chance(SWAPS) and swap(original)
        if swapped:
            identity, difference = swapped
            changed.add("swap")
        else:
            identity, difference = twin(original, rng, frozenset(changed))
            changed.add(difference.attribute)
        relation = "swap" if swapped else "twin"
        yield Member(first_id + number, identity, family, first_id, relation, difference)


def _families_with_twins(level: str) -> float:
    """The share of families that must have twins for the level's share of people to have some."""
    twins, people = LEVELS[level].twins, LEVELS[level].twinned
    return people / (1 + twins - twins * people)


def swap(identity: Identity) -> tuple[Identity, Difference] | None:
    """The person with the colours of top and trousers exchanged; None where they do not allow."""
    upper, lower = identity.upper_c, identity.lower_c
    allowed = identity.outer == "none" and identity.lower != "dress"
    allowed = allowed and "denim" not in lower and distinct(upper, lower)
    if not allowed or (identity.pattern != "plain" and not contrasting(lower, identity.upper_c2)):
        return None
    swapped = replace(identity, upper_c=lower, lower_c=upper)
    return swapped, Difference("upper_c+lower_c", [upper, lower], [lower, upper])


def twin(
    identity: Identity, rng: Rng, avoid: frozenset[str] = frozenset()
) -> tuple[Identity, Difference]:
    """The person with one attribute changed, none of those to avoid."""
    options = [(name, weight) for name, weight, _ in CHANGES if name not in avoid]
    values = {name: options_for(identity) for name, _, options_for in CHANGES}
    name = rng.weighted([(name, weight) for name, weight in options if values[name]])
    value = rng.pick(values[name])
    return replace(identity, **{name: value}), Difference(name, getattr(identity, name), value)


def distinct(colour: str, other: str) -> bool:
    """Whether two colours can be told apart at a distance and in words."""
    if HUES[colour] == HUES[other]:
        return False
    dim = BRIGHTNESS[colour] < 0.24 and BRIGHTNESS[other] < 0.24
    greys = {"dark", "gray", "white"}
    near = abs(BRIGHTNESS[colour] - BRIGHTNESS[other]) < 0.25
    return not dim and not (near and {HUES[colour], HUES[other]} <= greys)


def _colours(attribute: str, when: Callable[[Identity], bool]) -> Callable[[Identity], list[str]]:
    """Other colours for an attribute, clearly different ones; none unless it can be seen."""

    def options(identity: Identity) -> list[str]:
        if not when(identity):
            return []
        old = getattr(identity, attribute)
        return [colour for colour in NEW_COLOURS if distinct(colour, old)]

    return options


def _kinds(
    attribute: str, kinds: tuple[Any, ...], when: Callable[[Identity], bool]
) -> Callable[[Identity], list[Any]]:
    """Other values for an attribute, out of those listed."""

    def options(identity: Identity) -> list[Any]:
        old = getattr(identity, attribute)
        return [kind for kind in kinds if kind != old] if when(identity) else []

    return options


def _upper_colours(identity: Identity) -> list[str]:
    if identity.outer != "none" and not identity.open:
        return []
    fits = identity.pattern == "plain"
    options = [colour for colour in NEW_COLOURS if distinct(colour, identity.upper_c)]
    return [colour for colour in options if fits or contrasting(colour, identity.upper_c2)]


def _lower_colours(identity: Identity) -> list[str]:
    """Other colours of what is worn below; jeans stay jeans, in a much lighter or darker wash."""
    old = identity.lower_c
    if identity.lower == "dress":
        return []
    if identity.lower != "jeans":
        return [colour for colour in NEW_COLOURS if distinct(colour, old)]
    return [wash for wash in JEANS_COLOURS if contrasting(wash, old)]


def _hair_colours(identity: Identity) -> list[str]:
    if identity.hair == "bald" or identity.hat in ("hood", "headscarf"):
        return []
    shade = HAIR_SHADE[identity.hair_c]
    return [name for name in NEW_HAIR_COLOURS if abs(HAIR_SHADE[name] - shade) > 1]


def _hair_styles(identity: Identity) -> list[str]:
    if identity.hat != "none":
        return []
    long = ("short", "long", "ponytail", "afro")
    short = ("bald", "short", "long", "curly")
    child = identity.age == "child"
    styles = long if identity.sex == "female" else short[1:] if child else short
    return [style for style in styles if style != identity.hair]


def _patterns(identity: Identity) -> list[str]:
    """Patterns that show from every side, so not prints on the chest."""
    if identity.outer != "none" and not identity.open:
        return []
    options = patterns_for(identity.upper, woman=identity.sex == "female")
    hidden = ("print", "text", identity.pattern)
    return [pattern for pattern, _ in options if pattern not in hidden]


def _bags(identity: Identity) -> list[str]:
    kinds = ("none", "backpack", "shoulder bag", "tote bag", "shopping bag", "suitcase")
    return [kind for kind in kinds if kind != identity.bag]


def _hats(identity: Identity) -> list[str]:
    if identity.hat in ("hood", "headscarf") or identity.hair in ("bun", "afro"):
        return []
    return [kind for kind in ("none", "cap", "beanie", "sunhat") if kind != identity.hat]


def _shoes(identity: Identity) -> list[str]:
    kinds = ["sneakers", "boots", "sandals"]
    return [kind for kind in kinds if kind != identity.shoes]


# attribute, how often, and the values it can take on for a person
CHANGES: tuple[tuple[str, float, Callable[[Identity], list[Any]]], ...] = (
    ("upper_c", 1.6, _upper_colours),
    ("outer_c", 1.6, _colours("outer_c", lambda person: person.outer != "none")),
    ("lower_c", 1.6, _lower_colours),
    ("shoe_c", 0.9, _colours("shoe_c", lambda person: True)),
    ("bag_c", 1.0, _colours("bag_c", lambda person: person.bag != "none")),
    ("hat_c", 0.8, _colours("hat_c", lambda person: person.hat not in ("none", "hood"))),
    ("hair_c", 0.8, _hair_colours),
    ("hair", 0.8, _hair_styles),
    ("pattern", 1.0, _patterns),
    ("sleeve", 0.6, _kinds("sleeve", ("short", "long"), lambda person: person.outer == "none"
                           and person.upper in ("t-shirt", "shirt", "blouse", "dress"))),
    ("open", 0.4, _kinds("open", (True, False), lambda person: person.outer != "none"
                         and person.outer != "vest" and not person.tie)),
    ("length", 0.5, _kinds("length", ("mini", "midi"), lambda person: person.lower
                           in ("skirt", "dress") and person.outer != "coat")),
    ("leg", 0.3, _kinds("leg", ("slim", "wide"), lambda person: person.lower
                        in ("jeans", "trousers") and person.shoes != "boots")),
    ("shoes", 0.5, _shoes),
    ("bag", 1.2, _bags),
    ("bag_side", 0.4, _kinds("bag_side", (1, -1), lambda person: person.carry == "none"
                             and person.bag not in ("none", "backpack"))),
    ("carry", 0.9, _kinds("carry", ("none", "phone", "cup", "book", "umbrella"),
                          lambda person: True)),
    ("hat", 1.0, _hats),
    ("glasses", 0.7, _kinds("glasses", ("none", "glasses", "sunglasses"), lambda person: True)),
    ("scarf", 0.6, _kinds("scarf", (True, False), lambda person: person.hat
                          not in ("hood", "headscarf") and person.season == "cold")),
    ("beard", 0.4, _kinds("beard", (True, False), lambda person: person.sex == "male"
                          and person.age != "child" and not person.mask)),
)  # fmt: skip
