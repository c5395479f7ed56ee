from __future__ import annotations

import pytest
import torch

from tipr.objectives.completion import Completion, Prediction
from tipr.objectives.extraction import ExtractionConfig
from tipr.objectives.masking import masked_words


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    text, image = torch.randn(2, 6, 16).double(), torch.randn(2, 5, 16).double()
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[1, 4:] = True
    return text, image, padding


def test_every_place_gets_a_score_for_every_word(rows) -> None:
    logits = Completion(16, 30, layers=1).double()(*rows)
    assert logits.shape == (2, 6, 30)


def test_places_asked_for_get_what_all_of_them_get(rows) -> None:
    text, image, padding = rows
    complete, at = Completion(16, 30, layers=1).double(), torch.rand(2, 6) < 0.5
    assert torch.allclose(complete(text, image, padding, at), complete(text, image, padding)[at])
    assert complete(text, image, padding, torch.zeros_like(at)).shape == (0, 30)


def test_padding_is_not_looked_at(rows) -> None:
    text, image, padding = rows
    complete = Completion(16, 30, layers=2, heads=2).double()
    changed = text.clone()
    changed[1, 4:] += 5
    here = complete(text, image, padding)[1, :4]
    assert torch.allclose(here, complete(changed, image, padding)[1, :4])
    assert not torch.allclose(here, complete(changed, image)[1, :4])


def test_words_are_read_in_both_directions(rows) -> None:
    text, _, padding = rows
    predict = Prediction(16, 30, layers=1).double()
    for place in (0, 5):
        changed = text.clone()
        changed[0, place] += torch.randn(16).double()
        assert not torch.allclose(predict(text, padding)[0, 2], predict(changed, padding)[0, 2])


def test_what_the_text_says_only_steers_where_it_looks(rows) -> None:
    text, image, _ = rows
    blank = image[:, :1].expand_as(image)
    complete = Completion(16, 30, layers=1).double()
    assert torch.allclose(complete(text, blank), complete(text.flip(1), blank))
    assert not torch.allclose(complete(text, image), complete(text.flip(1), image))


def test_initial_weights_are_clip_s_scaled_normals() -> None:
    torch.manual_seed(0)
    complete = Completion(256, 512, layers=4)
    outer = 256**-0.5 * 8**-0.5
    for weight, std in [
        (complete.look.query.weight, 256**-0.5),
        (complete.look.out.weight, outer),
        (complete.predict.blocks[3].attention.qkv.weight, 256**-0.5),
        (complete.predict.blocks[3].feedforward[0].weight, 512**-0.5),
        (complete.predict.blocks[3].feedforward[2].weight, outer),
        (complete.predict.head[0].weight, 512**-0.5),
        (complete.predict.head[3].weight, outer),
    ]:
        assert weight.std().item() == pytest.approx(std, rel=0.03)


def test_a_picture_helps_and_a_blank_one_is_worth_the_text_alone() -> None:
    """The hidden word follows from the text in half the rows; the picture always shows it."""
    torch.manual_seed(0)
    word, place = torch.eye(6, 16), torch.randn(4, 16)
    answer = torch.randint(6, (96,))
    told = torch.where(torch.rand(96) < 0.5, answer, torch.randint(6, (96,)))
    text = torch.stack([place[0].expand(96, -1), place[1] + 3 * word[told]], dim=1)
    image = torch.stack([place[2].expand(96, -1), place[3] + 3 * word[answer]], dim=1)
    tokens, hidden = torch.zeros(96, 2).long(), torch.zeros(96, 2).bool()
    tokens[:, 0], hidden[:, 0] = answer, True

    def accuracy(pictures: torch.Tensor | None) -> float:
        extract = ExtractionConfig(width=16, heads=2, iterations=1).build()
        predict = Prediction(16, 6, layers=1, heads=2)
        learned = [*extract.parameters(), *predict.parameters()]
        optimizer = torch.optim.AdamW(learned, 1e-2)
        for _ in range(40):
            z = text if pictures is None else text + extract(text, pictures)
            logits = predict(z)
            optimizer.zero_grad()
            masked_words(logits, tokens, hidden).backward()
            optimizer.step()
        return (logits[hidden].argmax(dim=1) == answer).float().mean().item()

    alone = accuracy(None)
    assert accuracy(torch.zeros_like(image)) == pytest.approx(alone, abs=0.03)
    assert accuracy(image) > 0.95 > 0.8 > alone
