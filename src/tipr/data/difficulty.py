"""How hard each word of a caption is to guess from the others, from a table made beforehand.

The table is a JSON file: {caption: {word: difficulty}}, difficulties from 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, Batcher, Pair
from tipr.data.whole import put

Table = dict[str, dict[str, float]]
UNKNOWN = 0.5  # words that the table lacks


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """One row per pair, with the difficulty of the word that each token is part of.

    A word is looked up in the original caption's entry, however the sentence was changed since.
    """

    table: Path

    def build(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batcher:
        table = load_difficulty(self.table)
        if pairs and not any(pair.caption in table for pair in pairs):
            raise ValueError(f"{self.table} holds none of the captions to be trained on; "
                             "make the table from this dataset's captions")  # fmt: skip
        return partial(_batch, plain, table)


def _batch(plain: PairBatcher, table: Table, pairs: Sequence[Pair]) -> Batch:
    batch, captions = plain.captioned(pairs)
    spell = plain.tokenizer.words
    difficulty = torch.zeros(batch.words.shape)
    for row, (pair, caption) in enumerate(zip(pairs, captions, strict=True)):
        known = table.get(pair.caption, {})
        each = torch.tensor([0.0, *(known.get(word, UNKNOWN) for word in spell(caption))])
        difficulty[row] = each[batch.words[row]]
    return replace(batch, difficulty=difficulty)


def load_difficulty(path: Path) -> Table:
    """Raises ValueError when there is no such table, or it is none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); make a table with "
            "tipr.methods.mgrl.caption_difficulty and save it with save_difficulty"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from error
    if not isinstance(table, dict) or not all(map(_is_entry, table.values())):
        raise ValueError(
            f"{path} is no table of difficulties; it should read "
            "{caption: {word: difficulty}}, with difficulties from 0 to 1"
        )
    return table


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    return all(isinstance(v, int | float) and 0 <= v <= 1 for v in entry.values())


def save_difficulty(table: Table, path: Path) -> None:
    """Writes the table whole or not at all."""
    put(path, json.dumps(table, ensure_ascii=False, indent=1) + "\n")
