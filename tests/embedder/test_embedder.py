from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from rectangles import draw

from tipr.data.bpe import BytePairs
from tipr.data.clauses import chunks_that_fit
from tipr.data.images import ImageTransform
from tipr.data.text import Tokenizer
from tipr.embedder import Embedder
from tipr.encoders.clip import CLIPConfig

LONG = "a man in a red coat, with a blue hat; he carries a green bag. he walks on a white street"


def test_embeddings_are_unit_vectors(embedder) -> None:
    images = embedder.embed_images([draw("red", "blue"), draw("black", "white")])
    texts = embedder.embed_texts(["a red top", "a blue top", "nothing at all"])
    assert images.shape == (2, embedder.width) and texts.shape == (3, embedder.width)
    assert images.dtype == texts.dtype == np.float32
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)


def test_nothing_in_nothing_out(embedder) -> None:
    assert embedder.embed_images([]).shape == (0, embedder.width)
    assert embedder.embed_texts([]).shape == (0, embedder.width)


def test_batches_do_not_matter(embedder) -> None:
    pictures = [draw("red", c) for c in ("blue", "white", "green")]
    whole, single = embedder.embed_images(pictures), embedder.embed_images(pictures, batch_size=1)
    assert np.allclose(whole, single, atol=1e-5)


def test_a_single_string_is_refused(embedder) -> None:
    with pytest.raises(TypeError, match="list of sentences"):
        embedder.embed_texts("a man")


def test_importing_tipr_loads_no_torch() -> None:
    code = "import sys, tipr; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def with_length(embedder: Embedder, length: int, long_texts="cut") -> Embedder:
    embedder.tokenizer.length = length
    return Embedder(embedder.encoder, embedder.transform, embedder.tokenizer, long_texts=long_texts)


def test_the_first_word_that_is_not_read_is_named(embedder) -> None:
    short = with_length(embedder, 12)
    lost = short.unread(LONG)
    assert lost is not None and lost in LONG
    read = LONG[: LONG.index(lost)]
    assert short.unread(read) is None and short.unread(read + lost) == lost
    assert np.array_equal(*(short.embed_texts([t]) for t in (LONG, f"{LONG} and a red scarf")))


def test_a_sentence_that_is_read_whole_is_the_same_by_clauses(embedder) -> None:
    cut, parted = (with_length(embedder, 48, how) for how in ("cut", "clauses"))
    assert cut.unread("a red coat") is None
    assert np.allclose(*(e.embed_texts(["a red coat"]) for e in (cut, parted)), atol=1e-6)


def test_by_clauses_a_long_sentence_is_the_mean_of_its_parts(embedder) -> None:
    parted = with_length(embedder, 16, "clauses")
    chunks = chunks_that_fit(parted.tokenizer, LONG)
    assert len(chunks) > 1 and parted.unread(LONG) is None
    assert parted.unread("a man with an incomprehensibilitiesandantidisestablishments") is not None
    mean = parted.embed_texts(chunks).mean(axis=0)
    own = parted.embed_texts(["a red coat", LONG])[1]
    assert np.allclose(own, mean / np.linalg.norm(mean), atol=1e-5)
    assert parted.embed_texts([]).shape == (0, parted.width)


def test_long_texts_takes_one_of_two_words(embedder) -> None:
    with pytest.raises(ValueError, match="cut, clauses"):
        with_length(embedder, 48, "forget")


def test_a_tokenizer_longer_than_the_encoder_reads_is_refused(embedder) -> None:
    with pytest.raises(ValueError, match=r"49 tokens, the encoder reads 48"):
        with_length(embedder, 49)


def test_a_tokenizer_with_more_pieces_than_the_encoder_knows_is_refused(embedder) -> None:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    many = Tokenizer(BytePairs([(a, b) for a in letters for b in letters]), 48)
    assert many.vocabulary > embedder.encoder.vocabulary
    with pytest.raises(ValueError, match=r"knows \d+ pieces, the encoder only"):
        Embedder(embedder.encoder, embedder.transform, many)


def test_clip_and_a_tokenizer_that_ends_sentences_otherwise_do_not_go_together() -> None:
    config = CLIPConfig(
        image_size=(32, 32), image_width=64, image_layers=1, image_heads=1, text_width=64,
        text_layers=1, text_heads=1, vocabulary=600, end_id=599, embedding=64,
    )  # fmt: skip
    transform = ImageTransform((32, 32))
    with pytest.raises(ValueError, match="reads a sentence at token 599, the tokenizer ends it"):
        Embedder(config.build(), transform, Tokenizer(BytePairs([]), 48))


def test_embedding_leaves_training_as_it_was(embedder) -> None:
    embedder.encoder.train()
    embedder.embed_texts(["a red top"])
    assert embedder.encoder.training
    embedder.encoder.eval()
    embedder.embed_texts(["a red top"])
    assert not embedder.encoder.training
