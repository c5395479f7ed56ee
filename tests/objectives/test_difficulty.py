from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tipr.objectives.difficulty import (
    at_random,
    hardest,
    hiding_rates,
    information_gain,
    linguistic,
    over_words,
    placement,
    softly,
    word_difficulty,
)

# start, a word, a word of two pieces, two words, end
WORDS = torch.tensor([[0, 1, 2, 2, 3, 4, 0], [0, 1, 2, 2, 3, 4, 0]])
CHANCE = torch.tensor(
    [[0.0, 0.9, 0.1, 0.5, 0.3, 0.0, 0.0], [0.0, 0.9, 0.6, 1.0, 0.7, 0.0, 0.0]], dtype=torch.float64
)
HIDDEN = torch.tensor([[0, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 0, 0]], dtype=torch.bool)


def known() -> torch.Tensor:
    return word_difficulty(CHANCE, WORDS, HIDDEN)


def test_a_word_is_as_hard_as_its_pieces_on_average() -> None:
    expected = [[0, 0.1, 0.7, 0.7, 0.7, 0, 0], [0, 0.1, 0.2, 0.2, 0.3, 0, 0]]
    assert torch.allclose(known(), torch.tensor(expected, dtype=torch.float64))


def test_pieces_that_are_not_hidden_do_not_count() -> None:
    hidden = HIDDEN.clone()
    hidden[0, 3] = False
    assert word_difficulty(CHANCE, WORDS, hidden)[0, 2:4].tolist() == [0.9, 0.0]


def test_hardest_takes_words_whole_and_at_least_one_of_a_row() -> None:
    hard = hardest(HIDDEN, known(), 0.5)
    assert hard.int().tolist() == [[0, 0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0, 0]]


def test_hardest_without_a_threshold_takes_all() -> None:
    assert torch.equal(hardest(HIDDEN, known(), 0.0), HIDDEN)
    assert torch.equal(hardest(HIDDEN, -known(), -torch.inf), HIDDEN)


def test_hardest_of_nothing_is_nothing() -> None:
    none = torch.zeros_like(HIDDEN)
    assert not hardest(none, known(), 0.5).any()


def test_softly_squares_difficulty_and_spares_what_is_seen() -> None:
    weight = softly(HIDDEN, known(), 2.0)
    assert weight[0].tolist() == pytest.approx([0, 0.01, 0.49, 0.49, 0.49, 0, 0])
    assert torch.equal(softly(HIDDEN, known(), 0.0).bool(), HIDDEN)


def test_placement_writes_the_easy_words_out_again() -> None:
    tokens, masked = torch.arange(7).expand(2, -1), torch.ones(2, 7).long()
    second = placement(tokens, masked, hardest(HIDDEN, known(), 0.5))
    assert second.tolist() == [[0, 1, 1, 1, 1, 5, 6], [0, 1, 2, 3, 1, 5, 6]]


def test_gain_is_what_the_picture_adds_in_nats() -> None:
    text, vision = torch.full((2, 7), 2.0).double(), torch.full((2, 7), 2.0).double()
    vision[0, 2], vision[0, 3], vision[1, 4] = 0.5, 1.5, 3.0
    gain = information_gain(text, vision, WORDS, HIDDEN)
    assert gain.tolist() == [[0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, -1, 0, 0]]
    assert hardest(HIDDEN, gain, 0.5)[0].int().tolist() == [0, 0, 1, 1, 0, 0, 0]


def test_linguistic_takes_the_hidden_words_of_its_kinds() -> None:
    tags = torch.tensor([[0, 1, 2, 2, 3, 1, 0], [0, 3, 0, 0, 3, 1, 0]])
    asked = linguistic(HIDDEN, tags, (1, 2))
    assert asked.int().tolist() == [[0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]]


@given(seed=st.integers(0, 1000))
def test_at_random_takes_as_many_words_of_the_candidates(seed: int) -> None:
    torch.manual_seed(seed)
    words = torch.cat([torch.zeros(3, 1), torch.randint(0, 3, (3, 9)).cumsum(1)], 1).long()
    words = (words.clamp(max=8)).where(torch.rand(3, 10) < 0.9, 0)
    candidates = over_words(torch.rand(3, 10).round(), words, words > 0) >= 0.5
    hard = hardest(candidates, over_words(torch.rand(3, 10), words, candidates), 0.5)
    random = at_random(candidates, words, hard)
    assert not (random & ~candidates).any()
    for row in range(3):
        taken = {int(w) for w in words[row][random[row]]}
        assert len(taken) == len({int(w) for w in words[row][hard[row]]})
        assert random[row].tolist() == [  # words are whole
            int(w) in taken and bool(c) for w, c in zip(words[row], candidates[row], strict=True)
        ]


def test_at_random_differs_from_draw_to_draw_and_is_even() -> None:
    torch.manual_seed(0)
    like = torch.zeros_like(HIDDEN)
    like[:, 1] = True
    taken = torch.stack([at_random(HIDDEN, WORDS, like) for _ in range(600)]).float().mean((0, 1))
    third = pytest.approx(1 / 3, abs=0.06)
    assert taken.tolist() == [0, third, third, third, third, 0, 0]


def test_words_are_hidden_as_often_as_they_are_hard() -> None:
    table = torch.tensor([[0, 0.2, 0.8, 0.8, 0.4, 0.6, 0]], dtype=torch.float64)
    rates = hiding_rates(table, WORDS[:1], 0.15)
    assert rates[0].tolist() == pytest.approx([0, 0.06, 0.24, 0.24, 0.12, 0.18, 0])
    assert hiding_rates(table, WORDS[:1], 0.9).max() == 1
    assert torch.isfinite(hiding_rates(0 * table, WORDS[:1], 0.15)).all()
