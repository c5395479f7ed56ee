"""Which hidden words to ask for: those that the sentence alone does not give away.

The selections of MGRL's vision-assisted specific mask complement (VSMC; Lv et al., ICASSP 2024;
described mechanism, reconstructed, since how difficulty is decided is not known), and controls.
`candidates` are the hidden places, `words` says which word (1..) each token is part of; a word is
as hard as its hidden pieces are on average, and is taken or left whole.

V1  hard words, or all by their difficulty  -> `hardest`, `softly`
V2  only hard words stay hidden             -> `placement`
V3  hidden as often as they are hard        -> `hiding_rates`, from a table made beforehand
V4  words that the picture helps with       -> `information_gain`, then `hardest`
V5  words of certain kinds                  -> `linguistic`
    as many words, whichever                -> `at_random`
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def word_difficulty(
    chance: Float[Tensor, "B L"], words: Int[Tensor, "B L"], candidates: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L"]:
    """1 less the chance that the sentence alone gives to what was hidden; 0 elsewhere."""
    return over_words(1 - chance, words, candidates)


def information_gain(
    text_losses: Float[Tensor, "B L"],
    vision_losses: Float[Tensor, "B L"],
    words: Int[Tensor, "B L"],
    candidates: Bool[Tensor, "B L"],
) -> Float[Tensor, "B L"]:
    """By how many nats the picture makes a hidden word likelier; 0 elsewhere."""
    return over_words(text_losses - vision_losses, words, candidates)


def over_words(
    values: Float[Tensor, "B L"], words: Int[Tensor, "B L"], candidates: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L"]:
    """Each candidate's value averaged over the candidate pieces of its word; 0 elsewhere."""
    taken = candidates.to(values)
    total, pieces = (_by_word(v, words) for v in (values * taken, taken))
    return (total / pieces.clamp(min=1)).gather(1, words) * taken


def hardest(
    candidates: Bool[Tensor, "B L"], difficulty: Float[Tensor, "B L"], threshold: float
) -> Bool[Tensor, "B L"]:
    """The candidates at or above the threshold; in a row without any, the hardest there is."""
    hard = candidates & (difficulty >= threshold)
    known = difficulty.masked_fill(~candidates, -torch.inf)
    most = candidates & (known == known.amax(dim=1, keepdim=True))
    return torch.where(hard.any(dim=1, keepdim=True), hard, most)


def softly(
    candidates: Bool[Tensor, "B L"], difficulty: Float[Tensor, "B L"], gamma: float
) -> Float[Tensor, "B L"]:
    """How much each candidate counts: its difficulty to the power of gamma."""
    return difficulty**gamma * candidates


def placement(
    tokens: Int[Tensor, "B L"], masked: Int[Tensor, "B L"], hard: Bool[Tensor, "B L"]
) -> Int[Tensor, "B L"]:
    """The second masked caption: hard words stay as they were hidden, the others come back."""
    return torch.where(hard, masked, tokens)


def hiding_rates(
    difficulty: Float[Tensor, "B L"], words: Int[Tensor, "B L"], rate: float
) -> Float[Tensor, "B L"]:
    """Chances of being hidden, proportional to difficulty and `rate` on average; at most 1."""
    present = (words > 0).to(difficulty)
    once = present / _by_word(present, words).gather(1, words).clamp(min=1)  # each word, not piece
    known = over_words(difficulty, words, words > 0)
    mean = (known * once).sum(dim=1, keepdim=True) / once.sum(dim=1, keepdim=True).clamp(min=1)
    return (rate * known / mean.clamp(min=1e-9)).clamp(max=1)


def linguistic(
    candidates: Bool[Tensor, "B L"], tags: Int[Tensor, "B L"], kinds: tuple[int, ...]
) -> Bool[Tensor, "B L"]:
    """The candidates of these kinds; none in a row where none was hidden."""
    return candidates & torch.isin(tags, torch.tensor(kinds, device=tags.device))


def at_random(
    candidates: Bool[Tensor, "B L"], words: Int[Tensor, "B L"], like: Bool[Tensor, "B L"]
) -> Bool[Tensor, "B L"]:
    """As many of the candidate words as there are in `like`, whichever."""
    there = _by_word(candidates.float(), words) > 0
    count = (_by_word((like & candidates).float(), words) > 0).sum(dim=1, keepdim=True)
    draws = torch.rand(there.shape, device=there.device).masked_fill(~there, 2.0)
    taken = draws.argsort(dim=1).argsort(dim=1) < count
    return taken.gather(1, words) & candidates


def _by_word(values: Float[Tensor, "B L"], words: Int[Tensor, "B L"]) -> Float[Tensor, "B L+1"]:
    """Sums over the pieces of each word; the first column is of what is no word."""
    sums = values.new_zeros(len(words), words.shape[1] + 1)
    return sums.scatter_add(1, words, values)
