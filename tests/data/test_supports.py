from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rectangles import COLOURS, TEMPLATES

from tipr.data.augment import Augmentation
from tipr.data.batching import PairBatcher
from tipr.data.bpe import BytePairs, learn_merges
from tipr.data.images import ImageTransform
from tipr.data.pairs import Batch, Pair, contiguous
from tipr.data.readers import read_dataset
from tipr.data.supports import Supports
from tipr.data.text import Tokenizer


def written(pairs) -> Batch:
    """Batches whose pixels are the picture's number, and whose only token is the caption's."""
    images = [torch.full((3, 2, 2), float(pair.image.stem)) for pair in pairs]
    return Batch(
        images=torch.stack(images),
        tokens=torch.tensor([[int(pair.caption)] for pair in pairs]),
        words=torch.ones(len(pairs), 1, dtype=torch.long),
        person_ids=torch.tensor([p.person_id for p in pairs]),
        image_ids=torch.tensor([p.image_id for p in pairs]),
        caption_ids=torch.tensor([p.caption_id for p in pairs]),
    )


@st.composite
def people(draw) -> list[Pair]:
    """People with one to four pictures of one to three captions; pictures are numbered from 1."""
    shots = draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1))
    pairs, picture = [], 0
    for person, captions in enumerate(shots):
        for count in captions:
            picture += 1
            pairs += [Pair(Path(f"{picture}.png"), "", person, picture) for _ in range(count)]
    numbered, _ = contiguous(pairs)
    return [Pair(p.image, str(p.caption_id + 1), p.person_id, p.image_id, p.caption_id)
            for p in numbered]  # fmt: skip


@given(people(), st.integers(1, 4))
def test_supports_are_others_of_the_same_person_as_many_as_there_are(pairs, count) -> None:
    batch = Supports(count=count).build(written, pairs)(pairs)
    support = batch.support
    owner = {"image": {p.image_id: p.person_id for p in pairs},
             "text": {p.caption_id + 1: p.person_id for p in pairs}}  # fmt: skip
    for b, anchor in enumerate(pairs):
        images = support.images[b, support.has_image[b], 0, 0, 0].long().tolist()
        texts = support.tokens[b, support.has_text[b], 0].tolist()
        for kind, found, own in (
            ("image", images, anchor.image_id),
            ("text", texts, anchor.caption_id + 1),
        ):
            assert own not in found
            assert len(set(found)) == len(found)
            assert all(owner[kind][item] == anchor.person_id for item in found)
            others = list(owner[kind].values()).count(anchor.person_id) - 1
            assert len(found) == min(count, others)
    assert support.images[~support.has_image].eq(0).all()
    assert support.tokens[~support.has_text].eq(0).all()
    assert batch.images.equal(written(pairs).images)


def test_the_other_caption_of_the_same_picture_is_a_support() -> None:
    pairs = [Pair(Path("1.png"), str(c + 1), 0, 1, c) for c in range(2)]
    support = Supports(count=1).build(written, pairs)(pairs).support
    assert support.tokens.flatten().tolist() == [2, 1]
    assert not support.has_image.any()


def test_pictures_and_captions_are_drawn_independently_and_anew() -> None:
    torch.manual_seed(0)
    pairs = [Pair(Path(f"{n + 1}.png"), str(n + 1), 0, n + 1, n) for n in range(6)]
    batcher = Supports(count=1).build(written, pairs)
    drawn = {(int(s.images[0, 0, 0, 0, 0]), int(s.tokens[0, 0, 0]))
             for s in (batcher(pairs[:1]).support for _ in range(60))}  # fmt: skip
    assert {image for image, _ in drawn} == {text for _, text in drawn} == {2, 3, 4, 5, 6}
    assert any(image != text for image, text in drawn)


@pytest.fixture
def real(rectangles_root) -> tuple[PairBatcher, tuple[Pair, ...]]:
    captions = [t.format(a, b) for t in TEMPLATES for a in COLOURS for b in COLOURS]
    tokenizer = Tokenizer(BytePairs(learn_merges(captions, 200)))
    pairs, _ = contiguous(read_dataset(rectangles_root).train)
    return PairBatcher(ImageTransform((64, 32)), tokenizer, Augmentation(), 1 << 20), pairs


def test_supports_pass_through_the_augmentation_or_not(real) -> None:
    plain, pairs = real
    row = pairs[:1]
    other = next(p for p in pairs if p.person_id == row[0].person_id and p.image != row[0].image)
    still = plain.unaugmented()([other]).images
    for augmented in (True, False):
        support = Supports(count=1, augmented=augmented).build(plain, pairs)(row).support
        assert torch.allclose(support.images[0], still, atol=1e-5) != augmented
    assert support.images.shape == (1, 1, 3, 64, 32)
    assert support.tokens.shape[:2] == (1, 1)


def test_no_supports_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Supports(count=0)
