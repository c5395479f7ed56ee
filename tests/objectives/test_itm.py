from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tipr.objectives.itm import (
    FusionStack,
    MatchingLoss,
    WordPredictor,
    at_most,
    hard_negatives,
)
from tipr.objectives.matching import same_person

IDS = torch.tensor([0, 0, 1, 1, 2])


@given(st.integers(0, 1000), st.floats(0.1, 30))
def test_a_wrong_partner_is_never_the_same_person(seed: int, sharpness: float) -> None:
    torch.manual_seed(seed)
    picture, told = hard_negatives(sharpness * torch.randn(5, 5), same_person(IDS))
    assert (IDS[picture] != IDS).all() and (IDS[told] != IDS).all()


def test_with_the_diagonal_alone_a_person_may_be_their_own_wrong_partner() -> None:
    torch.manual_seed(0)
    alike = 20.0 * same_person(IDS[:4]).float()
    picture, told = hard_negatives(alike, torch.eye(4, dtype=torch.bool))
    assert picture.tolist() == told.tolist() == [1, 0, 3, 2]


def test_wrong_partners_are_drawn_by_their_softmax() -> None:
    torch.manual_seed(0)
    similarity = torch.tensor([[9.0, 1.0, 0.0], [2.0, 9.0, 0.5], [-1.0, 0.0, 9.0]]).double()
    drawn = torch.zeros(2, 3, 3)
    for _ in range(1000):
        for way, partners in enumerate(hard_negatives(similarity, torch.eye(3, dtype=torch.bool))):
            drawn[way, torch.arange(3), partners] += 1 / 1000
    for way, rows in enumerate((similarity.tolist(), similarity.T.tolist())):
        for i, row in enumerate(rows):
            total = sum(math.exp(x) for x in row)
            chances = [math.exp(x) / total + 1e-4 if j != i else 0 for j, x in enumerate(row)]
            expected = torch.tensor([c / sum(chances) for c in chances])
            assert torch.allclose(drawn[way, i], expected, atol=0.05)


def test_a_batch_of_one_person_is_refused() -> None:
    with pytest.raises(ValueError, match="several people"):
        hard_negatives(torch.randn(2, 2), torch.ones(2, 2, dtype=torch.bool))


def test_the_loss_is_the_mean_over_right_and_wrong_pairs() -> None:
    torch.manual_seed(0)
    loss = MatchingLoss(4).double()
    right, wrong = torch.randn(2, 4).double(), torch.randn(4, 4).double()
    expected = 0.0
    for row, label in [*((r, 1) for r in right), *((w, 0) for w in wrong)]:
        no, yes = loss.classifier(row).tolist()
        expected += math.log(math.exp(no) + math.exp(yes)) - (yes if label else no)
    assert loss(right, wrong).item() == pytest.approx(expected / 6)


def test_words_look_at_the_picture_and_not_at_padding() -> None:
    torch.manual_seed(0)
    fuse = FusionStack(16, 2, 2)
    text, image = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    present = torch.tensor([[True, True, True, False, False]]).expand(2, -1)
    fused = fuse(text, present, image)
    assert fused.shape == text.shape
    padded = text.clone()
    padded[:, 3:] += 5
    assert torch.allclose(fused[:, :3], fuse(padded, present, image)[:, :3], atol=1e-5)
    assert not torch.allclose(fused[:, 0], fuse(text, present, image + 1)[:, 0], atol=1e-3)
    assert torch.allclose(fused[1:], fuse(text[1:], present[1:], image[1:]), atol=1e-5)


def test_fused_words_can_tell_which_picture_they_belong_to() -> None:
    torch.manual_seed(0)
    fuse, loss = FusionStack(16, 2, 1), MatchingLoss(16)
    text = torch.randn(6, 3, 16)
    image = text.flip(1)  # the same things in another order
    present, other = torch.ones(6, 3, dtype=torch.bool), torch.arange(6).roll(1)
    optimizer = torch.optim.AdamW([*fuse.parameters(), *loss.parameters()], 5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        right, wrong = (fuse(text, present, x)[:, 0] for x in (image, image[other]))
        value = loss(right, wrong)
        value.backward()
        optimizer.step()
    assert value < 0.1


def test_a_word_is_guessed_over_the_vocabulary() -> None:
    assert WordPredictor(16, 50)(torch.randn(2, 5, 16)).shape == (2, 5, 50)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_at_most_so_many_words_stay_hidden_and_whole(seed: int, most: int) -> None:
    torch.manual_seed(seed)
    words = torch.tensor([[0, 1, 2, 2, 3, 4, 5, 5, 0], [0, 1, 1, 2, 0, 0, 0, 0, 0]])
    chosen = (torch.rand(2, 6) < 0.6).index_fill(1, torch.tensor([0]), False)
    hidden = chosen.gather(1, words)
    fewer = at_most(hidden, words, most)
    assert not (fewer & ~hidden).any()
    for row in range(2):
        was, now = (set(words[row][h[row]].tolist()) for h in (hidden, fewer))
        assert len(now) == min(len(was), most)
        assert all(fewer[row][words[row] == word].all() for word in now)
