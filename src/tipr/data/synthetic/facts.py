"""What a picture shows of a person: which attributes can be named without guessing.

An attribute counts as seen when enough pixels of its parts are in the picture, unhidden. The bar
is set in pixels at the size models see (384 lines) and shrinks with the square of the picture's
height; it is compared in integers, so every machine draws the same line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tipr.data.synthetic.identity import Identity

FULL_HEIGHT = 384
FEWEST_PIXELS = 5

# small things that are there or not: the tag that shows each and the pixels needed at full height
SMALL = {
    "mask": ("mask", 25),
    "beard": ("beard", 20),
    "tie": ("tie", 25),
    "belt": ("belt", 25),
    "gloves": ("glove", 30),
}


@dataclass(frozen=True)
class Sight:
    """What the camera gives of a person: visible pixels per tag, side seen, and picture height."""

    visible: Mapping[str, int]
    view: str  # front, front-left, left, back-left, back, ...: where the person faces
    walking: bool
    height: int

    def shows(self, tag: str, pixels: int) -> bool:
        """Whether at least so many pixels (at full height) of the tag can be seen."""
        count = int(self.visible.get(tag, 0))
        enough = count * FULL_HEIGHT * FULL_HEIGHT >= pixels * self.height * self.height
        return enough and count >= FEWEST_PIXELS

    @property
    def frontal(self) -> bool:
        return self.view.startswith("front")


@dataclass(frozen=True)
class Seen:
    """A person together with the attributes of theirs that one picture shows."""

    identity: Identity
    sight: Sight
    attributes: frozenset[str]

    def __contains__(self, attribute: str) -> bool:
        return attribute in self.attributes

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.attributes))


def observe(identity: Identity, sight: Sight) -> Seen:
    """Every attribute that can be read off this picture, the absence of a thing included."""
    found = {"sex", "build", "pose", "view"}
    found |= _head(identity, sight)
    found |= _accessories(identity, sight)
    found |= _top(identity, sight)
    found |= _legs(identity, sight)
    found |= _belongings(identity, sight)
    return Seen(identity, sight, frozenset(found))


def wears_anything(seen: Seen) -> bool:
    """Whether a garment is in sight: without one a picture is not worth describing."""
    return not seen.attributes.isdisjoint({"upper", "outer", "lower"})


def _head(identity: Identity, sight: Sight) -> set[str]:
    found = set()
    face = sight.shows("face", 110)
    if identity.age == "child" or face:
        found.add("age")
    if identity.hair == "bald":
        found |= {"hair"} if face and identity.hat == "none" else set()
    elif sight.shows("hair", 60) and identity.hat not in ("hood", "headscarf"):
        found |= {"hair", "hair_c"}
    if identity.hat == "none":
        found |= {"hat"} if face or "hair" in found else set()
    elif sight.shows("hat", 90):
        found |= {"hat", "hat_c"}
    return found


def _accessories(identity: Identity, sight: Sight) -> set[str]:
    found = {name for name in SMALL if getattr(identity, name) and sight.shows(*SMALL[name])}
    if sight.frontal and sight.shows("face", 110):
        found |= {name for name in ("mask", "beard") if not getattr(identity, name)}
        found |= {"glasses"} if identity.glasses == "none" else set()
    if identity.glasses != "none" and sight.shows(identity.glasses, 10):
        found.add("glasses")
    if identity.scarf and sight.shows("scarf", 90):
        found |= {"scarf", "scarf_c"}
    return found


def _top(identity: Identity, sight: Sight) -> set[str]:
    covered = identity.outer != "none"
    found = {"outer", "outer_c"} if covered and sight.shows("outer", 250) else set()
    if covered:
        shown = sight.shows("inner", 130) or sight.shows("upper", 130)
        shown = shown and (identity.open or identity.outer == "vest")
    else:
        shown = sight.shows("upper", 250)
    if shown:
        found |= {"upper", "upper_c"} | _pattern(identity, sight)
    if "outer" in found and sight.frontal:
        found.add("open")
    if shown and not covered:
        found |= {"outer", "sleeve"}
    if shown and sight.frontal and sight.shows("lower", 200) and identity.upper != "dress":
        found.add("tuck")
    return found


def _pattern(identity: Identity, sight: Sight) -> set[str]:
    """The pattern of a top in sight; a print on the chest only where it is in sight itself."""
    if identity.pattern in ("print", "text"):
        return {"pattern", "upper_c2"} if sight.shows("print", 40) else set()
    if identity.pattern == "plain":
        return {"pattern"} if sight.frontal else set()
    return {"pattern", "upper_c2"}


def _legs(identity: Identity, sight: Sight) -> set[str]:
    found = set()
    dressed = identity.lower == "dress"
    if not dressed and sight.shows("lower", 200):
        found |= {"lower", "lower_c", "leg"}
    bare = identity.lower in ("shorts", "skirt", "dress") and sight.shows("leg", 120)
    shod = sight.shows("shoe", 70)
    if bare:
        found.add("legs")
    if identity.lower in ("skirt", "dress") and (bare or shod) and identity.outer != "coat":
        found.add("length")
    if shod:
        found |= {"shoes", "shoe_c"}
    if shod and identity.shoes == "boots" and (bare or identity.lower == "leggings"):
        found.add("boot_top")
    return found


def _belongings(identity: Identity, sight: Sight) -> set[str]:
    found = set()
    torso = sight.shows("upper", 250) or sight.shows("outer", 250)
    if identity.bag == "none":
        found |= {"bag"} if torso else set()
    elif sight.shows("bag", 120):
        found |= {"bag", "bag_c", "bag_side"}
    elif sight.shows("strap", 60):
        found |= {"bag", "bag_c"}
    if identity.carry == "none":
        found |= {"carry"} if torso and sight.frontal else set()
    elif sight.shows("obj", 60):
        found |= {"carry", "carry_c", "carry_side"}
    return found
