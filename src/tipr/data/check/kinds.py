"""Every kind of thing the doctor can find: how grave it is, and what to do about it.

A problem stops reading or training, or makes scores mean nothing. A note is worth knowing; the
published sets as released may have it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """What all findings of a kind share."""

    severity: Literal["problem", "note"]
    advice: str


FAULTS = Kind("problem", "Correct these entries of the annotation; each line says how.")
FAULT_KINDS = {  # what the readers call them, in full; others are "unusable entries"
    "json": "broken JSON",
    "csv": "broken table",
    "shard": "broken shards",
    "file": "files that cannot be read",
    "text": "text that is not UTF-8",
    "none": "no entries",
    "keys": "entries that lack something",
    "twice": "values given twice",
    "type": "values of a wrong type",
    "path": "file names that cannot be used",
    "split": "wrong splits",
    "person": "one file, two people",
    "duplicate": "entries given twice",
    "empty caption": "empty captions",
}

KINDS = {
    "withdrawn data": Kind(
        "problem",
        "DukeMTMC and all that derives from it were withdrawn: the people were filmed without "
        "their consent. It is not supported; remove these images and their entries.",
    ),
    "missing folders": Kind(
        "problem",
        "The copy is incomplete. Unpack the whole archive into the folder of images again, or ask "
        "for the set again.",
    ),
    "missing images": Kind(
        "problem",
        "Copy these files again (check upper and lower case and the file ending), or remove their "
        "entries.",
    ),
    "unreadable images": Kind(
        "problem", "Copy these files again from the source, or remove their entries."
    ),
    "counts that differ": Kind(
        "problem",
        "Scores on this copy cannot be compared with published ones. Take the annotation as its "
        "authors released it.",
    ),
    "people in two splits": Kind(
        "problem",
        "A model would be tested on people that it has seen. Use the released split, or put each "
        "person into one split.",
    ),
    "one file, two people": Kind("problem", "Keep the entry that is right."),
    "the same image under two people or splits": Kind(
        "problem", "The bytes are equal, so one of the two names is wrong. Keep the right one."
    ),
    "empty captions": Kind("problem", "They are not read. Write them, or remove them."),
    "code fragments": Kind(
        "problem",
        "Remnants of the program that wrote the captions. Strip them, or write these sentences "
        "again.",
    ),
    "smaller than the published set": Kind(
        "note", "Scores on it cannot be compared with published ones."
    ),
    "entries without a split": Kind(
        "note",
        "Every person is put into a split by a hash of the id, about 80 % into train and 10 % each "
        "into val and test. To choose, add a split to each image.",
    ),
    "entries given twice": Kind("note", "They are read once; one of the two can go."),
    "the same image twice": Kind(
        "note", "The bytes are equal, and person and split too. One of them can go."
    ),
    "images without an entry": Kind("note", "They are not used; nothing to do."),
    "captions repeated within an image": Kind("note", "They add nothing; one of them can go."),
    "captions repeated for a person": Kind(
        "note", "Usual where annotators copy; they tell the pictures of a person no better apart."
    ),
    "captions shared by several people": Kind(
        "note",
        "Such a sentence cannot find one person alone, which limits every score. Vague ones can "
        "be written anew.",
    ),
    "over-long captions": Kind(
        "note",
        "A model with CLIP's 77 tokens reads neither the word that is named nor what follows. "
        "Shorten the sentence, or train with a larger data.text_length.",
    ),
    "non-Latin letters": Kind(
        "note",
        "CLIP learnt from English: words in other scripts become many tokens that say little. "
        "Translate them.",
    ),
    "control characters": Kind("note", "Invisible or replaced characters; remove them."),
    "people with one image": Kind(
        "note", "They give no second view to learn from; CUHK-PEDES has four. Nothing to do."
    ),
}  # fmt: skip
