"""The ids that transformers gives, on texts which it and the releases read alike."""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ftfy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers")

from transformers import BertTokenizer, CLIPTokenizer

from tipr.data.text import Tokenizer
from tipr.data.tokenizers import read_tokenizer
from tipr.data.wordpiece import WordPieces

SIGNS = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["red", "coat", "##ing", "wear", "the", "man", "str", "##asse", "\u5979", "\u7a7f",
         "\u03b1", "##\u03b2", "\U0001f45f", "\u00df", "\u0131", "##\u0131"]  # fmt: skip
BERT = [*SIGNS, *LETTERS, *("##" + letter for letter in LETTERS), *"!\"#$%&'(),-./:;?[]", *WORDS]
PLAIN = [
    "A photo of a cat.",
    "The man's wearing a RED t-shirt, 2 pairs of jeans & they're 100% blue!!",
    "caf\u00e9 na\u00efve fa\u00e7ade \u00c5ngstr\u00f6m Stra\u00dfe",
    "\u5979\u7a7f\u7740\u7ea2\u8272\u5916\u5957 \u8d64\u3044\u670d\u3092\u7740\u305f \ube68\uac04",
    "\U0001f9d1\U0001f3fd wears \U0001f45f\U0001f45f and \u2764",
    "a  long\n\ttext " * 30,
    "",
]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    read_tokenizer("clip", 77).save(folder)
    start, end = "<|startoftext|>", "<|endoftext|>"
    signs = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": end}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **signs}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text(json.dumps(signs))
    return folder


@pytest.fixture(scope="module")
def theirs(clip_folder: Path) -> Any:
    return CLIPTokenizer.from_pretrained(str(clip_folder))


@cache
def clip() -> Tokenizer:
    return read_tokenizer("clip", 77)


@cache
def bert() -> tuple[Tokenizer, Any]:
    with TemporaryDirectory() as folder:
        ours = Tokenizer(WordPieces(BERT), 64)
        ours.save(Path(folder))
        config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
        (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config))
        return ours, BertTokenizer.from_pretrained(folder)


def ids(tokenizer: Any, text: str, length: int) -> list[int]:
    return tokenizer(text, truncation=True, max_length=length)["input_ids"]


@pytest.mark.parametrize("text", PLAIN, ids=range(len(PLAIN)))
def test_clip_reads_as_in_transformers(theirs: Any, text: str) -> None:
    assert len(theirs) == 49408
    assert clip()([text])[0].tolist() == ids(theirs, text, 77)


def settled(letter: str) -> bool:
    """Whether all versions of Unicode agree on it, and a lower-case letter is always the same."""
    old = unicodedata.ucd_3_2_0.category(letter)
    return letter != "\u03a3" and old != "Cn" and old == unicodedata.category(letter)


SETTLED = st.characters(exclude_categories=["Cs"]).filter(settled)


def repaired(text: str) -> bool:
    """Whether CLIP's release changes the text where transformers does not."""
    return ftfy.fix_text(text) != text or "&" in text or "<|" in text


@given(st.text(SETTLED, max_size=40).filter(lambda text: not repaired(text)))
@settings(max_examples=100, deadline=None)
def test_clip_reads_any_sound_text_as_in_transformers(theirs: Any, text: str) -> None:
    assert clip()([text])[0].tolist() == ids(theirs, text, 77)


def test_what_transformers_saves_is_clip(theirs: Any, tmp_path: Path) -> None:
    theirs.save_pretrained(str(tmp_path))
    assert (tmp_path / "tokenizer.json").is_file()
    assert read_tokenizer(tmp_path, 77).pieces.digest() == clip().pieces.digest()


@pytest.mark.parametrize("text", [*PLAIN, "Tom &amp; Jerry&#39;s", "a" * 101, "redcoats strasse"])
def test_bert_reads_as_in_transformers(text: str) -> None:
    ours, other = bert()
    assert ours([text])[0].tolist() == ids(other, text, 64)


def _special(text: str) -> bool:
    return any(sign in text for sign in SIGNS)


@given(st.text(SETTLED, max_size=40).filter(lambda text: not _special(text)))
@settings(max_examples=200, deadline=None)
@example("A\u0301\u0130\u212b \u01c5\u1e9e \ufffd\x00\x85\u200d\ufb01 \u3000\ue000 [sep] ##s ##")
def test_bert_reads_any_text_as_in_transformers(text: str) -> None:
    ours, other = bert()
    assert ours([text])[0].tolist() == ids(other, text, 64)


def test_bert_parts_words_at_every_character_as_in_transformers() -> None:
    ours, other = bert()
    letters = [chr(i) for i in range(0xFFFF) if not 0xD800 <= i < 0xE000]
    rust = other.backend_tokenizer
    for text in (f"a{letter}b" for letter in letters if settled(letter)):
        normal = rust.normalizer.normalize_str(text)
        words = [word for word, _ in rust.pre_tokenizer.pre_tokenize_str(normal)]
        assert ours.words(text) == words, ascii(text)


def test_what_transformers_saves_is_bert(tmp_path: Path) -> None:
    ours, other = bert()
    other.save_pretrained(str(tmp_path))
    assert (tmp_path / "tokenizer.json").is_file()
    assert read_tokenizer(tmp_path, 64).pieces.digest() == ours.pieces.digest()
