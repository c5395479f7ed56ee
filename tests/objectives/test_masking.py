from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import masking as reference

from tipr.objectives.masking import (
    chosen_words,
    corrupted,
    hidden_losses,
    kept_tokens,
    masked_words,
)

few = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**31)
MASK, WORDS = 1, range(4, 100)


@st.composite
def numbered(draw) -> torch.Tensor:
    """Rows as the tokenizer numbers them: start, pieces of words, end, padding."""
    pieces = draw(st.lists(st.lists(st.integers(1, 4), max_size=5), min_size=1, max_size=4))
    rows = [[0, *(n for n, k in enumerate(row, 1) for _ in range(k)), 0] for row in pieces]
    length = max(map(len, rows)) + draw(st.integers(0, 3))
    return torch.tensor([row + [0] * (length - len(row)) for row in rows])


@few
@given(numbered(), st.floats(0, 1), seeds, st.booleans())
def test_chosen_words_are_words_and_at_least_one(words, rate, seed, whole) -> None:
    torch.manual_seed(seed)
    hidden = chosen_words(words, rate, whole)
    assert not hidden[words == 0].any()
    assert torch.equal(hidden.any(1), (words != 0).any(1))


@few
@given(numbered(), st.floats(0, 1), seeds)
def test_whole_words_are_never_split(words, rate, seed) -> None:
    torch.manual_seed(seed)
    rates = torch.rand(words.shape) * rate
    for hidden in (chosen_words(words, rate), chosen_words(words, rates)):
        for row, chosen in zip(words, hidden, strict=True):
            for word in row[row != 0].unique():
                assert len(chosen[row == word].unique()) == 1


@few
@given(numbered(), seeds, st.booleans())
def test_a_rate_of_one_hides_all_and_a_rate_of_nothing_one_per_row(words, seed, whole) -> None:
    torch.manual_seed(seed)
    assert torch.equal(chosen_words(words, 1.0, whole), words != 0)
    alone = chosen_words(words, 0.0, whole)
    for row, chosen in zip(words, alone, strict=True):
        assert len(row[chosen].unique()) == (1 if row.any() else 0)
        assert whole or chosen.sum() <= 1


@pytest.mark.parametrize("whole", [True, False])
def test_words_are_chosen_at_their_rate(whole) -> None:
    torch.manual_seed(0)
    words = torch.arange(20).div(2, rounding_mode="floor").expand(4000, -1)
    hidden = chosen_words(words, 0.3, whole)[:, 2:].double()
    assert hidden.mean(0).sub(0.3).abs().max() < 0.04
    split = (hidden[:, 0::2] != hidden[:, 1::2]).double().mean().item()
    assert split == pytest.approx(0 if whole else 2 * 0.3 * 0.7, abs=0.02)


def test_each_word_has_a_rate_of_its_own() -> None:
    torch.manual_seed(0)
    words = torch.tensor([[0, 1, 2, 2, 3, 0]]).expand(4000, -1)
    rates = torch.tensor([[0.5, 0.9, 0.2, 1.0, 0.5, 0.5]]).expand(4000, -1)
    shares = chosen_words(words, rates).double().mean(0)
    assert torch.allclose(shares[[0, 5]], torch.zeros(2, dtype=torch.float64))
    # A word has the rate of its first piece; the 4 % of rows that chance spares add a little.
    assert shares[[1, 2, 3, 4]].tolist() == pytest.approx([0.9, 0.2, 0.2, 0.5], abs=0.05)


def test_a_spared_row_hides_likely_words_rather_than_unlikely_ones() -> None:
    torch.manual_seed(0)
    words = torch.tensor([[0, 1, 2, 0]]).expand(4000, -1)
    rates = torch.tensor([[0.0, 0.04, 0.01, 0.0]]).expand(4000, -1)
    shares = chosen_words(words, rates).double().mean(0)
    assert shares[1] > 4 * shares[2]


@few
@given(numbered(), seeds)
def test_only_hidden_tokens_are_corrupted_and_never_in_place(words, seed) -> None:
    torch.manual_seed(seed)
    tokens = torch.randint(WORDS.start, WORDS.stop, words.shape)
    before, hidden = tokens.clone(), chosen_words(words, 0.5)
    seen = corrupted(tokens, hidden, MASK, WORDS)
    assert torch.equal(tokens, before)
    assert torch.equal(seen[~hidden], tokens[~hidden])
    assert all(token == MASK or token in WORDS for token in seen[hidden].tolist())


def test_of_ten_hidden_tokens_eight_are_masked_one_replaced_one_left() -> None:
    torch.manual_seed(0)
    tokens = torch.full((200, 200), 1000)
    seen = corrupted(tokens, torch.ones_like(tokens, dtype=torch.bool), MASK, WORDS)
    assert (seen == MASK).double().mean().item() == pytest.approx(0.8, abs=0.01)
    assert (seen == tokens).double().mean().item() == pytest.approx(0.1, abs=0.01)
    replaced = seen[(seen != MASK) & (seen != tokens)]
    assert replaced.unique().tolist() == list(WORDS)


@pytest.fixture
def guesses() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 7, dtype=torch.float64)
    return logits, torch.randint(7, (3, 4)), torch.rand(3, 4) < 0.5


def test_masked_words_equal_the_loop(guesses) -> None:
    logits, tokens, hidden = guesses
    weight = torch.rand(3, 4, dtype=torch.float64)
    for given_weight in (None, weight):
        shares = (weight if given_weight is not None else torch.ones_like(weight)) * hidden
        expected = reference.masked_words(logits.tolist(), tokens.tolist(), shares.tolist())
        loss = masked_words(logits, tokens, hidden, given_weight)
        assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_hidden_losses_are_what_masked_words_average(guesses) -> None:
    logits, tokens, hidden = guesses
    losses = hidden_losses(logits[hidden], tokens, hidden)
    average = masked_words(logits, tokens, hidden).item()
    assert losses.shape == tokens.shape and losses[~hidden].abs().sum() == 0
    assert losses[hidden].mean().item() == pytest.approx(average)
    assert masked_words(logits[hidden], tokens, hidden).item() == pytest.approx(average)
    row, place = hidden.nonzero()[1].tolist()
    one = reference.masked_words(
        [[logits[row, place].tolist()]], [[int(tokens[row, place])]], [[1.0]]
    )
    assert losses[row, place].item() == pytest.approx(one, rel=1e-9)


@pytest.mark.parametrize("weight", [None, torch.zeros(3, 4)])
def test_nothing_to_guess_costs_nothing_but_keeps_the_gradient(guesses, weight) -> None:
    logits, tokens, hidden = guesses
    logits.requires_grad_()
    nothing = torch.zeros_like(hidden) if weight is None else hidden
    loss = masked_words(logits, tokens, nothing, weight)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and logits.grad.abs().max() == 0


def test_words_that_are_seen_teach_nothing(guesses) -> None:
    logits, tokens, hidden = guesses
    logits.requires_grad_()
    masked_words(logits, tokens, hidden).backward()
    assert torch.equal(logits.grad.abs().sum(2) > 0, hidden)


@st.composite
def presence(draw) -> tuple[torch.Tensor, torch.Tensor]:
    """What is there, and the start and the end of each row."""
    length = draw(st.integers(1, 40))
    ends = torch.tensor(draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=5)))
    places = torch.arange(length)
    return places <= ends[:, None], (places == 0) | (places == ends[:, None])


@few
@given(presence(), st.floats(0, 1), seeds, st.booleans(), st.booleans())
def test_kept_tokens_are_in_order_and_the_fixed_ones_stay(
    rows, most, seed, shared, protected
) -> None:
    torch.manual_seed(seed)
    present, fixed = rows
    keep = kept_tokens(present, most, shared, fixed if protected else None)
    count = present.shape[1]
    assert (keep[:, 0] == 0).all()
    assert ((keep >= 0) & (keep < count)).all()
    assert (keep.diff(dim=1) > 0).all()
    assert keep.shape[1] >= count - int(most * count)
    if protected:
        stays = torch.zeros_like(present).scatter(1, keep, True)
        assert stays[fixed].all()
    assert not shared or (keep == keep[0]).all()


def test_unshared_rows_lose_places_of_their_own() -> None:
    torch.manual_seed(0)
    present = torch.ones(64, 50, dtype=torch.bool)
    keep = kept_tokens(present, 0.8, shared=False)
    assert keep.shape[1] < 50
    assert len(keep.unique(dim=0)) > 1


@pytest.mark.parametrize(("tokens", "most"), [(311, 62), (193, 38)])
def test_from_none_to_a_fifth_of_the_tokens_go_evenly(tokens, most) -> None:
    torch.manual_seed(0)
    present = torch.ones(1, tokens, dtype=torch.bool)
    gone = [tokens - kept_tokens(present).shape[1] for _ in range(40 * (most + 1))]
    assert set(gone) == set(range(most + 1))
    assert sum(gone) / len(gone) == pytest.approx(most / 2, abs=1.5)


def test_every_place_but_the_first_goes_as_often() -> None:
    torch.manual_seed(0)
    present = torch.ones(4000, 11, dtype=torch.bool)
    present[:, 6:] = False
    keep = kept_tokens(present, 0.8, shared=False)
    stays = torch.zeros(4000, 11).scatter(1, keep, 1.0).mean(0)
    assert stays[0] == 1
    assert stays[1:].sub((keep.shape[1] - 1) / 10).abs().max() < 0.04


def test_whatever_is_drawn_is_drawn_where_it_is_needed(guesses) -> None:
    """A stray tensor would land on a device that holds no numbers, and mix with none that do."""
    words = torch.tensor([[0, 1, 1, 2, 0]])
    with torch.device("meta"):
        for rate in (0.5, words.new_full(words.shape, 1).float()):
            hidden = chosen_words(words, rate)
            chosen_words(words, rate, whole=False)
            corrupted(words, hidden, MASK, WORDS)
            kept_tokens(hidden, 0.5, shared=False)
            kept_tokens(hidden, 0.5, fixed=hidden)
        masked_words(*guesses)
