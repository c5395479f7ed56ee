"""Sentences about a person that say only what a picture shows, each in one annotator's words.

`describe` chooses what to tell by how striking it is, within a budget of words, then how to order
and phrase it. Two captions of one picture differ; the same key gives the same caption for ever.
`Caption.facts` names the attributes mentioned, fields of `Identity` for the most part.
"""

from __future__ import annotations

from dataclasses import dataclass

from tipr.data.synthetic import phrases
from tipr.data.synthetic.annotators import Annotator, Voice
from tipr.data.synthetic.deeds import Deed, bag_deed, object_deed, pose_deed
from tipr.data.synthetic.details import details
from tipr.data.synthetic.facts import Seen, Sight, observe
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.lexicon import spelled
from tipr.data.synthetic.openings import Plan, opening
from tipr.data.synthetic.people_words import refer
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.sentences import Clause, personal_clause
from tipr.data.synthetic.text import Text

MODES = ("short", "long")
SHORTEST_LONG, LONGEST = 37, 80
SMALL_THINGS = ("hat", "glasses", "mask", "scarf", "tie", "belt", "gloves")
ABSENT = ("none", False)

# how striking each topic is; the noise added to it makes captions of one picture differ
SALIENCE = {
    "top": 1.1, "lower": 1.0, "shoes": 0.72, "hair": 0.6, "beard": 0.5, "hat": 0.95,
    "glasses": 0.75, "mask": 0.85, "scarf": 0.85, "tie": 0.8, "belt": 0.2, "gloves": 0.3,
    "bag": 0.9, "carry": 0.9, "pose": 0.35,
}  # fmt: skip
NOISE = 0.35


@dataclass(frozen=True)
class Caption:
    """A description, who wrote it in which length, and the attributes it mentions, sorted."""

    text: str
    annotator: int
    mode: str
    facts: tuple[str, ...]


def describe(
    identity: Identity, sight: Sight, *, writer: Annotator, mode: str, rng: Rng
) -> Caption:
    """One caption, `short` (about 23 words) or `long` (37 to 80)."""
    if mode not in MODES:
        raise ValueError(f"captions are {' or '.join(MODES)}, not {mode!r}")
    voice = Voice(writer, rng)
    seen = observe(identity, sight)
    budget = max(rng.normal(23.0, 6.5), 11.0) if mode == "short" else rng.normal(45.0, 5.0)
    plan = _planned(seen, voice, budget)
    clauses = _composed(plan, voice)
    if mode == "long":
        clauses = _lengthened(clauses, plan, voice, budget)
    text = spelled(" ".join(clause.sentence() for clause in clauses), british=writer.british)
    facts = frozenset().union(*(clause.text.facts for clause in clauses))
    return Caption(_mistyped(text, voice), writer.number, mode, tuple(sorted(facts)))


def _planned(seen: Seen, voice: Voice, budget: float) -> Plan:
    """Phrase every topic in sight, then keep the most striking ones that fit the budget."""
    plan = Plan(seen=seen, person=refer(seen, voice))
    topics = {name: SALIENCE[name] + voice.rng.uniform(-NOISE, NOISE) for name in _topics(seen)}
    used = len(plan.person.first) + 3.0
    garments = [name for name in ("top", "lower", "shoes") if name in topics]
    if garments:  # no caption without one
        topics[max(garments, key=topics.__getitem__)] += 2.0
    for name in sorted(topics, key=lambda topic: -topics[topic]):
        if SALIENCE[name] < NOISE and not voice.rng.chance(SALIENCE[name] * 2):
            continue
        plan.topics[name] = _phrased(name, plan, voice)
        cost = len(plan.text(name)) + 1.0
        if used + 0.5 * cost > budget and len(plan.topics) > 1:
            del plan.topics[name]
        else:
            used += cost
    return plan


def _topics(seen: Seen) -> list[str]:
    """What there is to tell of this picture; the lack of a thing is told elsewhere."""
    identity = seen.identity
    names = [
        name
        for name in (*SMALL_THINGS, "beard", "bag", "carry")
        if name in seen and getattr(identity, name) not in ABSENT
    ]
    names += [name for name in ("hair", "lower", "shoes", "pose") if name in seen]
    return [*names, "top"] if "outer_c" in seen or "upper" in seen else names


def _phrased(name: str, plan: Plan, voice: Voice) -> Text | Deed | phrases.Garment:
    seen, person = plan.seen, plan.person
    deeds = {"bag": bag_deed, "carry": object_deed, "pose": pose_deed}
    if name in deeds:
        return deeds[name](seen, voice, person)
    garments = {"lower": phrases.lower, "shoes": phrases.shoes}
    if name in garments:
        return garments[name](seen, voice)
    texts = {"top": phrases.top, "hair": phrases.hair}
    if name in texts:
        return texts[name](seen, voice)
    return phrases.small_thing(seen, voice, name, person.his)


def _composed(plan: Plan, voice: Voice) -> list[Clause]:
    """The opening, what it left over, and the deeds, joined where they share a subject."""
    rng = voice.rng
    clauses = opening(plan, voice)
    deeds = [deed for deed in plan.deeds() if deed not in plan.told]
    for deed in rng.shuffled(deeds) if rng.chance(0.4) else deeds:
        last = clauses[-1]
        if last.personal and len(last) < 24 and not last.grown and rng.chance(0.45):
            clauses[-1] = last.doing(deed, voice)
        else:
            clauses.append(personal_clause(plan.person, deed.finite))
    return _merged(clauses, voice)


def _merged(clauses: list[Clause], voice: Voice) -> list[Clause]:
    """Sometimes the second sentence becomes a second verb of the first."""
    if len(clauses) < 2 or not voice.rng.chance(0.3):
        return clauses
    first, second, *rest = clauses
    mergeable = first.personal and first.finite and not first.grown
    if not mergeable or not second.predicate or len(first) + len(second) > 34:
        return clauses
    return [first.and_then(second.predicate, voice), *rest]


def _lengthened(clauses: list[Clause], plan: Plan, voice: Voice, budget: float) -> list[Clause]:
    """Details until the budget is met; no caption leaves the bounds of the long ones."""
    told = frozenset().union(*(clause.text.facts for clause in clauses))
    goal = min(max(budget - 3.0, SHORTEST_LONG), LONGEST - 10)
    length = sum(map(len, clauses))
    for detail in details(plan.seen, voice, plan.person, told):
        if length >= goal:
            break
        clauses = [*clauses, detail]
        length += len(detail)
    return clauses


def _mistyped(text: str, voice: Voice) -> str:
    """Careless writers now and then swap two letters inside a word."""
    if not voice.rng.chance(voice.annotator.typos):
        return text
    words = text.split(" ")
    index = voice.rng.below(len(words))
    word = words[index]
    if len(word) > 5:
        at = 1 + voice.rng.below(len(word) - 4)
        words[index] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)
