"""What a person does, carries and faces, each as a finite verb phrase and as a participle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tipr.data.synthetic import lexicon
from tipr.data.synthetic import lexicon_actions as deeds
from tipr.data.synthetic.annotators import Voice
from tipr.data.synthetic.facts import Seen, Sight
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.people_words import Reference
from tipr.data.synthetic.phrases import bag, colour, noun
from tipr.data.synthetic.text import Text, about, with_article


@dataclass(frozen=True)
class Deed:
    """One action: "[carries] a bag" and "carrying a bag"."""

    finite: Text
    participle: Text


def bag_deed(seen: Seen, voice: Voice, person: Reference) -> Deed:
    """How the bag is carried; only its straps where the bag itself is hidden."""
    identity = seen.identity
    options = deeds.BAG_ACTIONS[identity.bag]
    if "bag_side" not in seen:
        options = deeds.STRAP_ACTIONS["backpack" if identity.bag == "backpack" else "other"]
    blanks = {"b": bag(seen, voice), "his": person.his, "side": side(identity, "bag_side")}
    return _filled(voice.rng.pick(options), blanks)


def object_deed(seen: Seen, voice: Voice, person: Reference) -> Deed:
    """What is done with the thing in the hand; phones and cups go without their colour."""
    identity = seen.identity
    before, head = noun(voice, f"carry {identity.carry}", lexicon.CARRIED[identity.carry])
    facts = {"carry"}
    shade = ""
    if identity.carry not in ("phone", "cup") and voice.rng.chance(0.75):
        shade = colour(voice, identity.carry_c)
        facts.add("carry_c")
    words = " ".join(part for part in (before, shade, head) if part)
    blanks = {
        "o": Text(with_article(words), frozenset(facts)),
        "n": Text(head, frozenset({"carry"})),
        "his": person.his,
        "him": person.him,
        "side": side(identity, "carry_side"),
    }
    return _filled(voice.rng.pick(_object_actions(seen)), blanks)


def _object_actions(seen: Seen) -> tuple[deeds.Action, ...]:
    if seen.identity.carry == "phone":
        at_ear = seen.identity.phone_mode == "ear"
        return deeds.PHONE_AT_THE_EAR if at_ear else deeds.PHONE_IN_VIEW
    return deeds.UMBRELLA_ACTIONS if seen.identity.carry == "umbrella" else deeds.OBJECT_ACTIONS


def pose_deed(seen: Seen, voice: Voice, person: Reference) -> Deed:
    """Walking or standing, or which way the person faces: one clause for both, never two."""
    sight, rng = seen.sight, voice.rng
    side_seen = facing(sight)
    choices = [(deeds.WALKING if sight.walking else deeds.STANDING, {"pose"}, 0.45)]
    choices.append((deeds.FACING[side_seen], {"view"}, 0.2 if sight.walking else 0.55))
    if sight.walking:
        choices.append((deeds.WALKING_BY_VIEW[side_seen], {"pose", "view"}, 0.35))
    options, facts = rng.weighted(
        [((options, facts), weight) for options, facts, weight in choices]
    )
    blanks = {"his": person.his, "way": "left" if "left" in sight.view else "right"}
    return _filled(rng.pick(options), blanks, facts)


def facing(sight: Sight) -> str:
    """The side of a person that the camera sees: front, back or side."""
    return sight.view.split("-")[0] if sight.view.startswith(("front", "back")) else "side"


def side(identity: Identity, attribute: str) -> Text:
    """Left or right, as the person would say."""
    return about("left" if getattr(identity, attribute) > 0 else "right", attribute)


def _filled(action: deeds.Action, blanks: dict[str, Text | str], facts: Iterable[str] = ()) -> Deed:
    """Both forms of an action with their blanks filled; what fills a blank brings its facts."""
    finite, participle = (_form(Text(words, frozenset(facts)), blanks) for words in action)
    return Deed(finite, participle)


def _form(form: Text, blanks: dict[str, Text | str]) -> Text:
    words, facts = form.words, set(form.facts)
    for name, filling in blanks.items():
        blank = "{" + name + "}"
        if blank in words:
            facts |= filling.facts if isinstance(filling, Text) else set()
            words = words.replace(blank, filling if isinstance(filling, str) else filling.words)
    return Text(words, frozenset(facts))
