"""Clauses that can still grow: a participle or a second verb joins only where grammar allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tipr.data.synthetic.annotators import Voice
from tipr.data.synthetic.deeds import Deed
from tipr.data.synthetic.people_words import Reference
from tipr.data.synthetic.text import Text, agreed, capital


@dataclass(frozen=True)
class Clause:
    """A sentence in the making: `finite` ones take a second verb, personal ones a participle."""

    text: Text
    personal: bool
    finite: bool = True
    plural: bool = False
    grown: bool = False
    predicate: Text | None = None  # of a clause that starts with a pronoun

    def __len__(self) -> int:
        return len(self.text)

    def sentence(self) -> str:
        return capital(agreed(self.text.words, plural=self.plural)) + "."

    def doing(self, deed: Deed, voice: Voice) -> Clause:
        """The clause with the deed attached to it, in the form that fits."""
        if self.finite and voice.rng.chance(0.45):
            return self.and_then(deed.finite, voice)
        links = [", ", ", "]
        if deed.participle.words.split()[0].endswith("ing"):
            links.append(" while ")
            links += [] if self.finite or "who [" in self.text.words else [" and "]
        text = self.text + voice.rng.pick(links) + deed.participle
        return replace(self, text=text, grown=True)

    def and_then(self, predicate: Text, voice: Voice) -> Clause:
        """The clause with a second verb of the same subject."""
        link = ", and " if len(self) > 14 and voice.annotator.serial_comma else " and "
        return replace(self, text=self.text + link + predicate, grown=True)


def personal_clause(person: Reference, predicate: Text) -> Clause:
    """`She wears a hat`: the pronoun and a predicate."""
    text = f"{person.subject} " + predicate
    return Clause(text, personal=True, plural=person.plural, predicate=predicate)


def other_clause(text: Text) -> Clause:
    """A clause whose subject is not the person."""
    return Clause(text, personal=False)
