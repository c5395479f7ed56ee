"""How a caption calls the person: the first noun phrase and the pronouns after it."""

from __future__ import annotations

from dataclasses import dataclass

from tipr.data.synthetic.annotators import Voice
from tipr.data.synthetic.facts import Seen
from tipr.data.synthetic.text import Text, with_article

NEUTRAL = ("person", "pedestrian", "person", "individual", "passer-by")
NOUNS = {
    ("male", False): ("man", "man", "man", "guy", "male", "gentleman", "fellow", "bloke", "chap"),
    ("female", False): ("woman", "woman", "woman", "lady", "female", "lady"),
    ("male", True): ("boy", "boy", "little boy", "young boy", "small boy", "schoolboy",
                     "male child"),
    ("female", True): ("girl", "girl", "little girl", "young girl", "small girl", "schoolgirl",
                       "female child"),
    ("neutral", True): ("child", "kid", "young child", "youngster", "small child"),
}  # fmt: skip
OLD = ("elderly", "older", "old", "senior", "aged")
BUILD = {
    "heavy": ("heavy-set", "stocky", "large", "overweight", "plump", "heavily built", "chubby"),
    "slim": ("slim", "thin", "slender", "skinny", "lean", "slight"),
}


@dataclass(frozen=True)
class Reference:
    """The person in a caption: `first` without its article, then the words that stand for it."""

    first: Text
    subject: str
    his: str
    him: str
    plural: bool

    def introduced(self, *, definite: bool) -> Text:
        words = f"the {self.first.words}" if definite else with_article(self.first.words)
        return Text(words, self.first.facts)


def refer(seen: Seen, voice: Voice) -> Reference:
    """Choose the words for this person; writers who cannot tell the sex keep to neutral ones."""
    neutral = not voice.annotator.says_sex or ("age" not in seen and voice.rng.chance(0.08))
    words, facts = _noun(seen, voice, neutral=neutral)
    build = BUILD.get(seen.identity.build)
    if build and voice.rng.chance(0.3 if seen.identity.build == "heavy" else 0.18):
        words = f"{voice.word('build', build)} {words}"
        facts.add("build")
    first = Text(words, frozenset(facts))
    if neutral:
        they = voice.annotator.they
        return Reference(first, "they" if they else "the person", "their", "them", they)
    if seen.identity.sex == "male":
        return Reference(first, "he", "his", "him", False)
    return Reference(first, "she", "her", "her", False)


def _noun(seen: Seen, voice: Voice, *, neutral: bool) -> tuple[str, set[str]]:
    """The noun with its age, where that can be seen."""
    identity, rng = seen.identity, voice.rng
    facts = set() if neutral else {"sex"}
    sex = "neutral" if neutral else identity.sex
    if identity.age == "child":
        return voice.word(f"child {sex}", NOUNS[sex, True]), facts | {"age"}
    words = voice.word("neutral" if neutral else sex, NEUTRAL if neutral else NOUNS[sex, False])
    if "age" in seen and identity.age == "senior" and rng.chance(0.75):
        return f"{voice.word('old', OLD)} {words}", facts | {"age"}
    if "age" in seen and identity.age == "young" and rng.chance(0.3):
        if sex == "female" and rng.chance(0.3):
            return "girl", facts | {"age"}
        return f"young {words}", facts | {"age"}
    return words, facts
