from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import batch

import tipr.methods.irra as methods
from tipr.experiments import clip, irra
from tipr.methods.irra import IRRA, IRRAConfig
from tipr.objectives.masking import masked_words
from tipr.objectives.matching import sdm


def built(**settings) -> IRRA:
    torch.manual_seed(0)
    config = replace(irra.tiny().method, **settings)
    assert isinstance(config, IRRAConfig)
    return config.build(clip.TINY.build(), num_persons=4)


def read_by(method: IRRA, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The captions that the text encoder is given in one forward pass, in order."""
    given, encode = list[torch.Tensor](), method.encoder.encode_text
    monkeypatch.setattr(method.encoder, "encode_text", lambda t: given.append(t) or encode(t))
    torch.manual_seed(1)
    method(batch())
    return given


def test_matching_reads_the_clean_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    masked, clean = read_by(built(), monkeypatch)
    assert torch.equal(clean, batch().tokens)
    changed = (masked != batch().tokens) & (batch().words > 0)
    assert 0.05 < changed.sum() / (batch().words > 0).sum() < 0.4


def test_the_completion_reads_the_masked_caption_and_the_whole_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method, b, given = built(), batch(), list[tuple[torch.Tensor, ...]]()
    complete = method.complete.forward
    monkeypatch.setattr(method.complete, "forward", lambda *x: given.append(x) or complete(*x))
    masked = read_by(method, monkeypatch)[0]
    ((told, seen, padding, _),) = given
    text, image = method.encoder.encode_text(masked), method.encoder.encode_image(b.images)
    assert not torch.equal(masked, b.tokens) and torch.equal(told, text.tokens)
    assert torch.equal(seen[:, 0], image.embedding) and torch.equal(seen[:, 1:], image.tokens)
    assert torch.equal(padding, b.tokens == 0)


def hidden_by(method: IRRA, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What each of twelve forward passes hides and is asked for: the words of the clean caption."""
    scored = list[torch.Tensor]()

    def scoring(logits: torch.Tensor, tokens: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        assert torch.equal(tokens, batch().tokens)
        scored.append(hidden)
        return masked_words(logits, tokens, hidden)

    monkeypatch.setattr(methods, "masked_words", scoring)
    for _ in range(12):
        method(batch())
    return scored


@pytest.mark.parametrize("whole", [True, False])
def test_words_are_hidden_whole_or_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    hidden = hidden_by(built(whole_words=whole, mask_rate=0.5), monkeypatch)
    pieces = [h[:, start : start + 2] for h in hidden for start in (2, 6)]  # words 2 and 5 have two
    alike = [bool((piece[:, 0] == piece[:, 1]).all()) for piece in pieces]
    assert all(alike) if whole else not any(alike[:4])


@pytest.mark.parametrize("rate", [0.15, 0.6, 1.0])
def test_words_are_hidden_at_the_rate(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    there = batch().words > 0
    shares = [h[there].float().mean() for h in hidden_by(built(mask_rate=rate), monkeypatch)]
    assert torch.stack(shares).mean().item() == pytest.approx(rate, abs=0.1)


def test_with_the_quirk_only_the_masked_caption_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = read_by(built(alias_caption=True), monkeypatch)
    assert len(given) == 1
    assert (given[0] == clip.TINY.build().mask_id).any()


def test_start_end_and_padding_are_never_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    masked = read_by(built(mask_rate=1.0), monkeypatch)[0]
    b = batch()
    assert torch.equal(masked[b.words == 0], b.tokens[b.words == 0])


def test_the_batch_is_left_as_it_was() -> None:
    b = batch()
    built(mask_rate=1.0)(b)
    assert torch.equal(b.tokens, batch().tokens)


def test_terms_are_weighted() -> None:
    def terms(**settings) -> dict[str, torch.Tensor]:
        method = built(**settings)
        torch.manual_seed(2)
        return method(batch())

    plain, weighted = terms(), terms(mlm_weight=3.0, identity_weight=0.5)
    assert set(plain) == {"sdm", "id", "mlm"}
    assert torch.allclose(weighted["mlm"], 3 * plain["mlm"])
    assert torch.allclose(weighted["id"], 0.5 * plain["id"])
    assert torch.equal(weighted["sdm"], plain["sdm"])


@pytest.mark.parametrize("temperature", [0.02, 0.2])
def test_matching_is_sdm_at_the_temperature(temperature: float) -> None:
    method, b = built(temperature=temperature), batch()
    image, text = method.encoder.encode_image(b.images), method.encoder.encode_text(b.tokens)
    expected = sdm(image.embedding, text.embedding, b.person_ids, temperature)
    assert torch.allclose(method(b)["sdm"], expected, rtol=1e-4)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_completion_is_as_deep_as_asked(layers: int) -> None:
    assert len(built(layers=layers).complete.predict.blocks) == layers


def test_completion_teaches_both_encoders() -> None:
    method = built()
    method(batch())["mlm"].backward()
    for part in (method.encoder.stem, method.encoder.text_blocks):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_benchmarks_keep_the_released_quirk() -> None:
    for experiment in (irra.cuhk_pedes(), irra.icfg_pedes(), irra.rstpreid(), irra.as_released()):
        assert experiment.method.alias_caption
        assert experiment.method.temperature == 0.02


def test_the_ablation_stands() -> None:
    assert irra.ablation().base == "SDM + ID"
