"""Noun phrases for a person and for what they wear, in the order English puts adjectives.

Size, length and fit come first, then colour, then pattern or material, then the noun: "a long
light brown striped coat". Every phrase names only attributes that the picture shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from tipr.data.synthetic import lexicon
from tipr.data.synthetic.annotators import Voice
from tipr.data.synthetic.facts import Seen
from tipr.data.synthetic.text import Text, about, with_article


@dataclass(frozen=True)
class Garment:
    """A thing worn, in parts; `tail` follows the noun and `facts` are what the parts mention."""

    noun: str
    colour: str
    facts: frozenset[str]
    before: str = ""
    style: str = ""
    tail: str = ""

    @property
    def plural(self) -> bool:
        last = self.noun.split()[-1]
        return last.endswith("s") and not last.endswith("ss")

    def phrase(self) -> Text:
        """The garment with its article: "a red shirt", "blue jeans"."""
        parts = (self.before, self.colour, self.style, self.noun)
        words = " ".join(part for part in parts if part)
        return Text((words if self.plural else with_article(words)) + self.tail, self.facts)

    def statement(self, his: str) -> Text:
        """A clause about the garment's colour: "her jeans are blue"."""
        noun = f"{self.before} {self.noun}".strip()
        verb = "are" if self.plural else "is"
        return Text(f"{his} {noun} {verb} {self.colour}{self.tail}", self.facts)


def colour(voice: Voice, name: str) -> str:
    return voice.word(f"colour {name}", lexicon.COLOURS[name])


def noun(voice: Voice, concept: str, options: tuple[str, ...]) -> tuple[str, str]:
    """The adjective that precedes the colour (or nothing) and the noun."""
    before, _, head = voice.word(concept, options).rpartition("|")
    return before, head


def hair(seen: Seen, voice: Voice) -> Text:
    """Hair as it can be seen from here: a bun or a ponytail is behind the head."""
    style = seen.identity.hair
    if style == "bald":
        return about(voice.word("bald", lexicon.HAIR["bald"]), "hair")
    if style in ("bun", "ponytail") and seen.sight.frontal:
        style = "tied"
    shade = voice.word("hair colour", lexicon.HAIR_COLOURS[seen.identity.hair_c])
    words = voice.word(f"hair {style}", lexicon.HAIR[style]).format(c=shade)
    if words.startswith("a "):
        words = with_article(words[2:])
    return about(words, "hair", "hair_c")


def top(seen: Seen, voice: Voice) -> Text:
    """All that is worn on the trunk: an outer garment, what shows under it, or the top alone."""
    if "outer_c" not in seen:
        return upper(seen, voice).phrase()
    over = outer(seen, voice).phrase()
    if "upper" not in seen or voice.rng.chance(0.1):
        return over
    under = upper(seen, voice).phrase()
    frames = ("{o} over {u}", "{o} over {u}", "{u} under {o}", "{o} layered over {u}",
              "{u} beneath {o}", "{o} on top of {u}", "{u} covered by {o}",
              "{u} and {o} over it")  # fmt: skip
    words = voice.rng.pick(frames)
    return Text(words.format(o=over.words, u=under.words), over.facts | under.facts)


def upper(seen: Seen, voice: Voice) -> Garment:
    """A shirt, sweater or dress with its sleeves and pattern."""
    identity, rng = seen.identity, voice.rng
    facts = {"upper", "upper_c"}
    before, head = noun(voice, f"upper {identity.upper}", lexicon.UPPER[identity.upper])
    shade, style, tail = colour(voice, identity.upper_c), "", ""
    if "pattern" in seen:
        shade, style, tail = _patterned(seen, voice, shade)
        facts |= {"pattern"} if style or tail or " and " in shade else set()
        facts |= {"upper_c2"} if tail or " and " in shade else set()
    sleeves = _sleeves(seen, voice, head)
    if sleeves:
        facts.add("sleeve")
        before, style = (sleeves, style) if rng.chance(0.75) or style else (before, sleeves)
    if identity.upper == "dress" and "length" in seen and rng.chance(0.5):
        facts.add("length")
        before = f"{_dress_length(voice, identity.length)} {before}".strip()
    return Garment(head, shade, frozenset(facts), before, style, tail)


def _dress_length(voice: Voice, length: str) -> str:
    options = {
        "mini": ("short", "mini", "thigh-length"),
        "knee": ("knee-length",),
        "midi": ("mid-length", "midi", "calf-length"),
        "long": ("long", "ankle-length", "floor-length", "maxi"),
    }
    return voice.word(f"length {length}", options[length])


def _sleeves(seen: Seen, voice: Voice, head: str) -> str:
    """Sleeves are worth a word where both kinds exist."""
    kinds = ("shirt", "blouse", "t-shirt", "polo shirt", "dress")
    if "sleeve" not in seen or seen.identity.upper not in kinds or "sleeve" in head:
        return ""
    chance = {"short": 0.3, "long": 0.45, "none": 0.5}[seen.identity.sleeve]
    options = {
        "short": ("short-sleeved", "short-sleeve"),
        "long": ("long-sleeved", "long-sleeve", "full-sleeved"),
        "none": ("sleeveless",),
    }
    return voice.word("sleeve", options[seen.identity.sleeve]) if voice.rng.chance(chance) else ""


def _patterned(seen: Seen, voice: Voice, shade: str) -> tuple[str, str, str]:
    """Colour, style and tail of a patterned top: "blue and white", "striped", ""."""
    identity, rng = seen.identity, voice.rng
    pattern = identity.pattern
    if pattern == "plain":
        return shade, voice.word("plain", lexicon.PATTERNS["plain"]) if rng.chance(0.07) else "", ""
    second = colour(voice, identity.upper_c2)
    if pattern in ("print", "text"):
        return _printed(voice, pattern, shade, second)
    style = voice.word(f"pattern {pattern}", lexicon.PATTERNS[pattern])
    if rng.chance(0.55):
        return f"{shade} and {second}", style, ""
    tails = {
        "horizontal stripes": ("with {c} stripes", "with {c} horizontal stripes",
                               "with stripes in {c}", "with {c} bands"),
        "vertical stripes": ("with {c} stripes", "with thin {c} stripes",
                             "with vertical {c} stripes"),
        "dots": ("with {c} polka dots", "with {c} dots", "with {c} spots"),
        "floral": ("with {c} flowers", "with a pattern of {c} flowers", "with {c} blossoms"),
        "plaid": ("with a {c} check", "with {c} checks", "with crossed {c} lines"),
        "color block": ("with {c} panels", "with a {c} lower half", "with {c} blocks"),
    }  # fmt: skip
    if rng.chance(0.6):
        return shade, "", " " + _filled(voice.word(f"tail {pattern}", tails[pattern]), second)
    return shade, style, ""


def _printed(voice: Voice, pattern: str, shade: str, second: str) -> tuple[str, str, str]:
    tails = {
        "text": ("with {c} lettering on the front", "with {c} text", "with {c} letters",
                 "with {c} writing across the chest", "with a {c} slogan"),
        "print": ("with a {c} logo on the chest", "with a {c} design on the front",
                  "with a {c} graphic", "with a {c} print", "with a {c} emblem",
                  "with a {c} picture on it", "with a {c} motif"),
    }  # fmt: skip
    if voice.rng.chance(0.2):
        return shade, voice.word("printed", ("graphic", "printed", "logo")), ""
    return shade, "", " " + _filled(voice.word(f"tail {pattern}", tails[pattern]), second)


def _filled(words: str, shade: str) -> str:
    """The words with the colour in the blank and the right article before it."""
    return words.replace("a {c}", with_article(shade)).replace("{c}", shade)


def outer(seen: Seen, voice: Voice) -> Garment:
    """A coat or jacket, and whether it is open where that can be seen."""
    identity, rng = seen.identity, voice.rng
    before, head = noun(voice, f"outer {identity.outer}", lexicon.OUTER[identity.outer])
    facts = {"outer", "outer_c"}
    if "open" in seen and rng.chance(0.16):
        facts.add("open")
        before = f"{_closure(voice, identity.outer, is_open=identity.open)} {before}".strip()
    return Garment(head, colour(voice, identity.outer_c), frozenset(facts), before)


def _closure(voice: Voice, kind: str, *, is_open: bool) -> str:
    buttons = kind in ("coat", "blazer", "cardigan")
    if is_open:
        return voice.word("open", ("open", "unbuttoned" if buttons else "unzipped", "open"))
    return voice.word("closed", ("closed", "buttoned-up" if buttons else "zipped", "fastened"))


def lower(seen: Seen, voice: Voice) -> Garment:
    """Trousers, shorts or a skirt with their cut."""
    identity, rng = seen.identity, voice.rng
    facts = {"lower", "lower_c"}
    before, head = noun(voice, f"lower {identity.lower}", lexicon.LOWER[identity.lower])
    shade = colour(voice, identity.lower_c)
    fits = {
        "slim": ("skinny", "slim", "tight", "fitted", "slim-fit", "narrow"),
        "wide": ("loose", "baggy", "wide-leg", "loose-fitting", "roomy"),
    }
    cut = fits.get(identity.leg)
    if cut and identity.lower in ("jeans", "trousers") and rng.chance(0.35):
        facts.add("leg")
        before = voice.word(f"fit {identity.leg}", cut)
    if identity.lower == "skirt" and "length" in seen and rng.chance(0.6):
        facts.add("length")
        before = _dress_length(voice, identity.length)
    return Garment(head, shade, frozenset(facts), before)


def shoes(seen: Seen, voice: Voice) -> Garment:
    """Shoes, and the height of boots where bare or tight legs show it."""
    identity, rng = seen.identity, voice.rng
    facts = {"shoes", "shoe_c"}
    before, head = noun(voice, f"shoes {identity.shoes}", lexicon.SHOES[identity.shoes])
    if "boot_top" in seen and identity.boot_top < 0.68 and rng.chance(0.6):
        facts.add("boot_top")
        before, head = voice.word("tall boots", ("knee-high", "tall", "high")), "boots"
    return Garment(head, colour(voice, identity.shoe_c), frozenset(facts), before)


def small_thing(seen: Seen, voice: Voice, name: str, his: str) -> Text:
    """Hats, glasses, masks, scarves, ties, belts, gloves and beards, with their articles."""
    identity = seen.identity
    if name == "hat":
        return _hat(seen, voice)
    if name == "scarf":
        words = (
            f"{colour(voice, identity.scarf_c)} {voice.word('scarf', lexicon.ACCESSORIES[name])}"
        )
        where = f" around {his} neck" if voice.rng.chance(0.35) else ""
        return about(with_article(words) + where, "scarf", "scarf_c")
    kind = identity.glasses if name == "glasses" else name
    return about(voice.word(kind, lexicon.ACCESSORIES[kind]), name)


def _hat(seen: Seen, voice: Voice) -> Text:
    identity = seen.identity
    if identity.hat == "hood":
        hoods = ("a hood over the head", "a raised hood", "a hood pulled up", "a hood")
        return about(voice.word("hood", hoods), "hat")
    before, head = noun(voice, f"hat {identity.hat}", lexicon.HATS[identity.hat])
    words = f"{before} {colour(voice, identity.hat_c)} {head}".strip()
    return about(with_article(words), "hat", "hat_c")


def bag(seen: Seen, voice: Voice) -> Text:
    """The bag with its colour and article."""
    kind = seen.identity.bag
    before, head = noun(voice, f"bag {kind}", lexicon.BAGS[kind])
    words = f"{before} {colour(voice, seen.identity.bag_c)} {head}".strip()
    return about(with_article(words), "bag", "bag_c")
