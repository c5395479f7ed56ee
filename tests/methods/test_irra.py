from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import batch

from tipr.experiments import clip, irra
from tipr.methods.irra import IRRA, IRRAConfig


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
