"""How a query was read: for the model as sentences, for people in words, for programs as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tipr.gallery.meaning_text import Alternative, Alternatives


@dataclass(frozen=True, kw_only=True)
class Understood:
    """How a query was read: alternatives of clauses that all hold, examples and feedback."""

    alternatives: Alternatives = ()
    examples: int = 0
    more_like: tuple[str, ...] = ()
    less_like: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether nothing but words was given."""
        return not (self.examples or self.more_like or self.less_like)

    @property
    def texts(self) -> tuple[str, ...]:
        """What the model is given to read, each text once."""
        told = [text for every in self.alternatives for text in read(every)]
        return tuple(dict.fromkeys(text for text in told if text))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is wanted, a sentence for each alternative, without what is denied."""
        return tuple(dict.fromkeys(text for every in self.alternatives if (text := read(every)[0])))

    def words(self) -> str:
        """As a short English sentence."""
        told = ["; or: ".join(_clauses_told(every) for every in self.alternatives)]
        told += [f"near {_counted(self.examples, 'example')}"] if self.examples else []
        marked = [
            f"{side} {_counted(len(ids), 'hit')}"
            for side, ids in (("like", self.more_like), ("unlike", self.less_like)) if ids
        ]  # fmt: skip
        return "; ".join(part for part in [*told, ", ".join(marked)] if part)

    def to_json(self) -> dict[str, Any]:
        return {
            "alternatives": [[asdict(clause) for clause in every] for every in self.alternatives],
            "examples": self.examples,
            "more_like": list(self.more_like),
            "less_like": list(self.less_like),
        }


def read(every: Alternative) -> list[str]:
    """The sentence that all wanted clauses make, "" for none, and then each denied one."""
    wanted = [clause.text for clause in every if not clause.negated]
    parted = [text.rstrip(" .,;:") or text for text in wanted[:-1]] + wanted[-1:]
    return [", ".join(parted), *(clause.text for clause in every if clause.negated)]


def _clauses_told(every: Alternative) -> str:
    alone = sum(not clause.negated for clause in every) == 1
    told = [[], []]
    for clause in every:
        plain = clause.weight == 1 or (alone and not clause.negated)  # alone, a weight says nothing
        weight = "" if plain else f" (weight {clause.weight:g})"
        told[clause.negated].append(clause.text.rstrip(" .,;:") + weight)
    wanted, denied = " and ".join(told[0]), ", ".join(f"not {text}" for text in told[1])
    return ", ".join(part for part in (wanted or "anybody", denied) if part)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
