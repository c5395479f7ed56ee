from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("textblob", reason="needs tipr[nlp]")

from tipr.data.batching import PairBatcher
from tipr.data.images import ImageTransform
from tipr.data.pairs import Pair
from tipr.data.tagging import Tag, Tagged, tag, tagger, word_tags
from tipr.data.text import Tokenizer, words
from tipr.data.tokenizers import read_tokenizer
from tipr.data.wordpiece import WordPieces

COLOURS = (
    "black white grey gray red green blue yellow orange purple pink brown navy teal maroon khaki "
    "beige burgundy turquoise olive crimson charcoal cream mustard tan gold silver lavender"
)


def test_words_are_tagged_in_order() -> None:
    assert tag("She wears a red coat.") == [
        ("she", Tag.PRONOUN),
        ("wears", Tag.OTHER),
        ("a", Tag.OTHER),
        ("red", Tag.ADJECTIVE),
        ("coat", Tag.NOUN),
        (".", Tag.OTHER),
    ]


@pytest.mark.parametrize(
    ("word", "kind"),
    [("pedestrian", Tag.NOUN), ("dress", Tag.NOUN), ("top", Tag.NOUN), ("tank", Tag.NOUN),
     ("jeans", Tag.NOUN), ("left", Tag.ADJECTIVE), ("right", Tag.ADJECTIVE),
     ("hooded", Tag.ADJECTIVE), ("his", Tag.PRONOUN), ("wearing", Tag.OTHER),
     ("carrying", Tag.OTHER), ("holds", Tag.OTHER), ("2", Tag.OTHER), ("'s", Tag.OTHER)],
)  # fmt: skip
def test_descriptions_of_people_are_no_newspapers(word: str, kind: Tag) -> None:
    assert dict(tag(f"a person with {word} bag"))[word] is kind


@pytest.mark.parametrize("colour", COLOURS.split())
@pytest.mark.parametrize("caption", ["a {} shirt", "his trousers are {}", "wearing {}, walking"])
def test_colours_name_or_describe(colour: str, caption: str) -> None:
    assert dict(tag(caption.format(colour)))[colour] in (Tag.NOUN, Tag.ADJECTIVE)


def test_hyphens_make_one_word_that_describes_or_names() -> None:
    tags = dict(tag("A T-shirt - long - and short-sleeved"))
    assert tags["t-shirt"] is Tag.NOUN
    assert tags["short-sleeved"] is Tag.ADJECTIVE
    assert tags["-"] is tags["and"] is Tag.OTHER


@given(st.text(max_size=40) | st.text("ab -'./&;\n0", max_size=20))
def test_every_word_that_the_tokenizer_counts_has_a_tag(caption: str) -> None:
    assert len(word_tags(caption)) == len(words(caption))
    assert "".join(word for word, _ in tag(caption)) == "".join(words(caption))


@pytest.fixture
def plain(tmp_path: Path) -> PairBatcher:
    Image.new("RGB", (8, 16)).save(tmp_path / "picture.png")
    return PairBatcher(ImageTransform((16, 8)), read_tokenizer("own", 10))


class Reversing:
    """An augmentation that says everything backwards."""

    flip = 0.0

    def images(self, images: torch.Tensor, flipped: torch.Tensor) -> torch.Tensor:
        return images

    def caption(self, caption: str, flipped: bool) -> str:
        return " ".join(reversed(caption.split()))


def test_tokens_carry_the_tag_of_their_word(plain: PairBatcher, tmp_path: Path) -> None:
    captions = ("she wears a vermilion coat", "a dress")
    pairs = [Pair(tmp_path / "picture.png", caption, 0, 0) for caption in captions]
    batch = Tagged().build(plain, pairs)(pairs)
    for caption, row, tags in zip(captions, batch.words, batch.tags, strict=True):
        expected = [Tag.OTHER, *word_tags(caption)]
        assert tags.tolist() == [expected[number] for number in row]
    assert batch.tags[:, 0].eq(0).all()


def test_captions_are_tagged_as_augmented(plain: PairBatcher, tmp_path: Path) -> None:
    plain.augmentation = Reversing()
    pairs = [Pair(tmp_path / "picture.png", "a coat", 0, 0)]
    batch = Tagged().build(plain, pairs)(pairs)
    assert batch.tags.tolist() == [[0, Tag.NOUN, Tag.OTHER, 0]]


def test_cut_captions_keep_their_tags(plain: PairBatcher, tmp_path: Path) -> None:
    pairs = [Pair(tmp_path / "picture.png", "a coat and a hat " * 5, 0, 0)]
    batch = pickle.loads(pickle.dumps(Tagged().build(plain, pairs)))(pairs)
    assert batch.tags.shape == batch.tokens.shape == (1, 10)
    assert batch.tags[0, 2] == Tag.NOUN


def test_nothing_is_downloaded_and_no_home_is_needed(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('the network was asked')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "import tipr.data.tagging as tagging\n"
        "assert 'textblob' not in sys.modules\n"
        "assert tagging.tag('a red coat')[2] == ('coat', tagging.Tag.NOUN)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    clean = {k: v for k, v in os.environ.items() if k != "NLTK_DATA"}
    subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", program],
        check=True,
        env={**clean, "HOME": str(home)},
    )
    assert not list(home.iterdir())


def test_a_missing_tagger_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger.cache_clear()
    monkeypatch.setitem(sys.modules, "textblob.en.taggers", None)
    with pytest.raises(ImportError, match=r"pip install 'tipr\[nlp\]'"):
        tagger()


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
BERT = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *LETTERS,
    *(f"##{c}" for c in LETTERS),
    *"'-,",
]


def test_tags_stay_aligned_where_a_vocabulary_tells_words_apart_otherwise(tmp_path: Path) -> None:
    Image.new("RGB", (8, 16)).save(tmp_path / "picture.png")
    tokenizer = Tokenizer(WordPieces(BERT), 100)
    plain = PairBatcher(ImageTransform((16, 8)), tokenizer)
    caption = "The 20 y\u00e9ar old's-- red coat, isn't a t-shirt"
    pairs = [Pair(tmp_path / "picture.png", caption, 0, 0)]
    batch = Tagged().build(plain, pairs)(pairs)
    assert batch.tags is not None
    told = dict(zip(batch.words[0].tolist(), batch.tags[0].tolist(), strict=True))
    spelled = ["", *tokenizer.words(caption)]
    assert {(spelled[number], Tag(kind)) for number, kind in told.items()} >= {
        ("20", Tag.OTHER), ("red", Tag.ADJECTIVE), ("coat", Tag.NOUN), ("t", Tag.OTHER),
        ("t", Tag.NOUN), ("shirt", Tag.NOUN), ("'", Tag.OTHER), ("s", Tag.OTHER),
    }  # fmt: skip
    pieces = [p for p, n in zip(tokenizer([caption])[0], batch.words[0], strict=True) if n == 3]
    assert len(pieces) == 4  # y, ##e, ##a, ##r: the word's number is that of bert's own count
    assert spelled[3] == "year"


@given(st.text(max_size=40) | st.text("ab -'./&;\n0st", max_size=20))
def test_every_word_of_bert_has_a_tag(caption: str) -> None:
    spelled = WordPieces(BERT).words(caption)
    assert len(word_tags(caption, spelled)) == len(spelled)
