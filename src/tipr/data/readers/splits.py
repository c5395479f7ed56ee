"""Splits for data that comes without: dealt by person, and a validation split out of train.

Both go by a hash of the person's id and nothing else: the same people fall into the same split on
every machine and however the data grows, and nobody falls into two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

from tipr.data.readers.entries import Entry, Split

SEED = 0
SHARE = 0.1  # of the people: validation, and test where it is dealt too


def lot(person: int | str, purpose: str) -> float:
    """A number in [0, 1) that depends on the person alone."""
    digest = sha256(f"{purpose} {SEED}: {person}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def dealt(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with about 80 % of the people in train, 10 % in val and 10 % in test."""
    splits: dict[str, Split] = {}
    for person in {str(entry.person) for entry in entries}:
        drawn = lot(person, "split")
        splits[person] = "test" if drawn < SHARE else "val" if drawn < 2 * SHARE else "train"
    return [replace(entry, split=splits[str(entry.person)]) for entry in entries]


def carved(entries: Sequence[Entry]) -> tuple[list[Entry], bool]:
    """The entries with about 10 % of the people of train, at least one, in val; and whether so.

    Nothing is carved where there is a validation split, or no second person to train on.
    """
    people = {str(entry.person) for entry in entries if entry.split == "train"}
    if len(people) < 2 or any(entry.split == "val" for entry in entries):
        return list(entries), False
    chosen = _chosen(people)
    moved = (
        replace(entry, split="val")
        if entry.split == "train" and str(entry.person) in chosen
        else entry
        for entry in entries
    )
    return list(moved), True


def _chosen(people: Iterable[str]) -> set[str]:
    drawn = {person: lot(person, "validation") for person in people}
    below = {person for person, number in drawn.items() if number < SHARE}
    first = min(drawn, key=lambda person: (drawn[person], person))
    return below if below and len(below) < len(drawn) else {first}
