"""Single sentences that long captions add: cuts, sleeves, fastenings, and what is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tipr.data.synthetic import phrases
from tipr.data.synthetic.annotators import Voice
from tipr.data.synthetic.facts import Seen
from tipr.data.synthetic.people_words import Reference
from tipr.data.synthetic.sentences import Clause, other_clause, personal_clause
from tipr.data.synthetic.text import Text, about

REMARKS = (
    "the overall look is casual", "the outfit looks comfortable", "nothing else stands out",
    "the clothes seem ordinary", "the whole outfit is simple", "few other details can be seen",
    "the style is relaxed", "the appearance is neat overall", "the clothes suit a day out",
    "it is an everyday outfit", "the colors go together well", "the picture shows one main figure",
    "little else can be made out", "there is nothing unusual about the outfit",
)  # fmt: skip

Detail = Callable[[Seen, Voice, Reference], Clause | None]


def details(seen: Seen, voice: Voice, person: Reference, told: frozenset[str]) -> Iterator[Clause]:
    """Sentences about what is seen and not yet told, in random order; then empty remarks."""
    for detail in voice.rng.shuffled(DETAILS):
        clause = detail(seen, voice, person)
        if clause and not told.issuperset(clause.text.facts):
            told = told | clause.text.facts
            yield clause
    for remark in voice.rng.shuffled(REMARKS):
        yield other_clause(about(remark))


def _sleeves(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    if "sleeve" not in seen or seen.identity.sleeve == "none":
        return None
    length = seen.identity.sleeve
    arms = "bare" if length == "short" else "covered"
    frames = (f"the sleeves are {length}", f"the {{n}} has {length} sleeves",
              f"{person.his} forearms are {arms}",
              f"{length} sleeves cover {person.his} arms" if length == "long" else
              "the sleeves end above the elbow")  # fmt: skip
    words = voice.rng.pick(frames)
    facts = ("sleeve", "upper") if "{n}" in words else ("sleeve",)
    return other_clause(about(words.format(n=_plain_noun(seen.identity.upper)), *facts))


def _plain_noun(name: str) -> str:
    return {"tank top": "top", "polo shirt": "polo", "puffer jacket": "jacket"}.get(name, name)


def _fastening(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    if "open" not in seen:
        return None
    loose = ("open", "worn open", "unfastened", "left open in front", "undone")
    shut = ("closed", "fastened", "done up", "closed all the way up")
    state = voice.word("fastening", loose if seen.identity.open else shut)
    return other_clause(
        about(f"the {_plain_noun(seen.identity.outer)} is {state}", "outer", "open")
    )


def _cut(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    if "leg" not in seen or seen.identity.lower not in ("jeans", "trousers"):
        return None
    cuts = {
        "slim": ("have a slim fit", "have narrow legs", "fit tightly", "are cut slim",
                 "hug the legs", "taper toward the ankles"),
        "regular": ("have a straight cut", "have a regular fit", "have straight legs",
                    "fit normally", "fall straight down"),
        "wide": ("have wide legs", "have a loose cut", "are baggy", "flap around the legs",
                 "fit loosely", "are generously cut"),
    }  # fmt: skip
    garment = phrases.lower(seen, voice)
    cut = voice.word(f"cut {seen.identity.leg}", cuts[seen.identity.leg])
    return other_clause(about(f"the {garment.noun} {cut}", "lower", "leg"))


def _hem(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    if "length" not in seen or seen.identity.lower not in ("skirt", "dress"):
        return None
    ends = {
        "mini": ("ends well above the knees", "is quite short", "stops at mid-thigh"),
        "knee": ("reaches the knees", "ends at the knee", "goes down to the knees"),
        "midi": ("falls below the knees", "ends at mid-calf", "covers the knees"),
        "long": ("reaches the ankles", "almost touches the ground", "is very long"),
    }
    end = voice.word(f"hem {seen.identity.length}", ends[seen.identity.length])
    garment = "upper" if seen.identity.lower == "dress" else "lower"
    if garment not in seen:
        return None
    return other_clause(about(f"the {seen.identity.lower} {end}", garment, "length"))


def _figure(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    figures = {
        "slim": ("a slim build", "a slender figure", "a thin frame", "a lean physique"),
        "average": ("an average build", "a medium build", "a normal figure"),
        "heavy": ("a heavy build", "a stocky figure", "a large frame", "a broad physique"),
    }
    figure = voice.word("figure", figures[seen.identity.build])
    verb = voice.rng.pick(("[has]", "[appears] to have", "[seems] to have"))
    return personal_clause(person, about(f"{verb} {figure}", "build"))


def _missing(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    """What the person does without, where its absence can be seen."""
    lacks: list[Text] = []
    if "hat" in seen and seen.identity.hat == "none":
        lacks += [about("[is] not wearing a hat", "hat"), about("[is] bareheaded", "hat"),
                  about("[has] nothing on the head", "hat")]  # fmt: skip
    if "bag" in seen and seen.identity.bag == "none":
        lacks += [about("[is] not carrying a bag", "bag"), about("[has] no bag", "bag"),
                  about("[travels] without luggage", "bag")]  # fmt: skip
    if "glasses" in seen and seen.identity.glasses == "none":
        lacks += [about("[wears] no glasses", "glasses"), about("[is] without glasses", "glasses")]
    if "carry" in seen and seen.identity.carry == "none" and seen.identity.bag == "none":
        lacks += [about("[is] empty-handed", "carry"), about("[holds] nothing", "carry")]
    if "outer" in seen and seen.identity.outer == "none":
        lacks.append(about("[does] not wear a coat or jacket", "outer"))
    return personal_clause(person, voice.rng.pick(lacks)) if lacks else None


def _bare_legs(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    if "legs" not in seen:
        return None
    frames = (f"{person.his} legs are bare", f"{person.his} legs can be seen",
              f"{person.his} lower legs are uncovered")  # fmt: skip
    return other_clause(about(voice.rng.pick(frames), "legs"))


def _tucked(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    if "tuck" not in seen or not seen.identity.tuck:
        return None
    frames = (
        "the {n} is tucked in",
        "the {n} is tucked in at the waist",
        "the {n} is neatly tucked",
    )
    words = voice.rng.pick(frames).format(n=_plain_noun(seen.identity.upper))
    return other_clause(about(words, "upper", "tuck"))


def _plain(seen: Seen, voice: Voice, person: Reference) -> Clause | None:
    if "pattern" not in seen or seen.identity.pattern != "plain":
        return None
    frames = ("the {n} has no pattern", "the {n} is plain", "there is no print on the {n}")
    words = voice.rng.pick(frames).format(n=_plain_noun(seen.identity.upper))
    return other_clause(about(words, "upper", "pattern"))


DETAILS: tuple[Detail, ...] = (
    _sleeves, _fastening, _cut, _hem, _figure, _missing, _missing, _bare_legs, _tucked,
    _plain,
)  # fmt: skip
