from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from tipr.data.batching import PairBatcher
from tipr.data.bpe import BytePairs
from tipr.data.difficulty import UNKNOWN, Difficulty, load_difficulty, save_difficulty
from tipr.data.images import ImageTransform
from tipr.data.pairs import Pair
from tipr.data.text import Tokenizer
from tipr.data.wordpiece import WordPieces

TABLE = {"A red hat, a coat.": {"a": 0.125, "red": 0.75, "hat": 0.5, ",": 0.25}}


@dataclass(frozen=True)
class Shorter:
    """Drops the first word of every caption."""

    flip: float = 0.0

    def images(self, images: Tensor, flipped: Tensor) -> Tensor:
        return images

    def caption(self, caption: str, flipped: bool) -> str:
        return caption.partition(" ")[2]


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    Image.new("RGB", (8, 16)).save(tmp_path / "a.png")
    texts = ("A red hat, a coat.", "A man.")
    return [Pair(tmp_path / "a.png", text, 0, i, i) for i, text in enumerate(texts)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    save_difficulty(TABLE, tmp_path / "table.json")
    return tmp_path / "table.json"


def plain(augmentation=None) -> PairBatcher:
    return PairBatcher(
        ImageTransform((16, 8)), Tokenizer(BytePairs([("a", "t</w>")])), augmentation
    )


def test_every_piece_has_its_word_s_difficulty(pairs: list[Pair], table: Path) -> None:
    batch = Difficulty(table=table).build(plain(), pairs)(pairs)
    assert batch.difficulty is not None
    assert batch.difficulty.shape == batch.tokens.shape
    by_word = [0, 0.125, 0.75, 0.5, 0.25, 0.125, UNKNOWN, UNKNOWN]
    assert batch.difficulty[0].tolist() == [by_word[n] for n in batch.words[0]]
    assert batch.difficulty[1].tolist() == [UNKNOWN if n else 0 for n in batch.words[1]]


def test_a_shortened_sentence_keeps_its_words_difficulties(pairs: list[Pair], table: Path) -> None:
    batch = Difficulty(table=table).build(plain(Shorter()), pairs)(pairs)
    assert batch.difficulty is not None
    by_word = [0, 0.75, 0.5, 0.25, 0.125, UNKNOWN, UNKNOWN]
    assert batch.difficulty[0].tolist() == [by_word[n] for n in batch.words[0]]


def test_words_are_those_of_the_vocabulary_that_is_used(tmp_path: Path) -> None:
    Image.new("RGB", (8, 16)).save(tmp_path / "a.png")
    save_difficulty({"man's 20 hats": {"s": 0.25, "20": 0.75}}, tmp_path / "table.json")
    bert = WordPieces(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "man", "'", "s", "20"])
    batcher = PairBatcher(ImageTransform((16, 8)), Tokenizer(bert))
    pairs = [Pair(tmp_path / "a.png", "man's 20 hats", 0, 0, 0)]
    batch = Difficulty(table=tmp_path / "table.json").build(batcher, pairs)(pairs)
    assert batch.difficulty is not None
    assert batch.difficulty.tolist() == [[0, UNKNOWN, UNKNOWN, 0.25, 0.75, UNKNOWN, 0]]


def test_the_rest_of_the_batch_stays(pairs: list[Pair], table: Path) -> None:
    ours, theirs = Difficulty(table=table).build(plain(), pairs)(pairs), plain()(pairs)
    assert torch.equal(ours.tokens, theirs.tokens)
    assert torch.equal(ours.images, theirs.images)


def test_batchers_travel_to_workers(pairs: list[Pair], table: Path) -> None:
    batcher = pickle.loads(pickle.dumps(Difficulty(table=table).build(plain(), pairs)))
    assert batcher(pairs).difficulty.max() == 0.75


def test_a_table_is_written_whole_or_not_at_all(table: Path) -> None:
    assert load_difficulty(table) == TABLE
    with pytest.raises(TypeError):
        save_difficulty({"a": {"b": torch.tensor(1.0)}}, table)  # ty: ignore
    assert load_difficulty(table) == TABLE
    assert [p.name for p in table.parent.glob("table*")] == ["table.json"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ("[1]", "no table"),
        ('{"a": 1}', "no table"),
        ('{"a": {"b": 2}}', "from 0 to 1"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ValueError, match=says):
        load_difficulty(tmp_path / "t.json")


def test_a_missing_table_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="caption_difficulty"):
        load_difficulty(tmp_path / "t.json")


def test_a_table_of_other_captions_is_refused(pairs: list[Pair], tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"Other.": {"other": 1.0}}))
    with pytest.raises(ValueError, match="none of the captions"):
        Difficulty(table=tmp_path / "t.json").build(plain(), pairs)
