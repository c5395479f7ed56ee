from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import batch

from tipr.encoders.clip import CLIPConfig
from tipr.experiments import clip, ivt
from tipr.experiments.find import find_experiment, find_table
from tipr.methods.ivt import IVTConfig, IVTPretraining
from tipr.objectives.matching import cmpm, info_nce, sdm

TINY_CLIP = CLIPConfig(
    image_size=(64, 32), image_width=32, image_layers=1, image_heads=2, text_width=32,
    text_layers=1, text_heads=2, vocabulary=500, embedding=24,
)  # fmt: skip
WHOLE = IVTConfig(hide_images=False, hide_texts=False)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ivt.TINY.build()


def _embedded(encoder, b):
    return encoder.encode_image(b.images).embedding, encoder.encode_text(b.tokens).embedding


@pytest.mark.parametrize("label_norm", ["l1", "l2"])
def test_levels_match_in_one_matrix_without_a_temperature(encoder, label_norm) -> None:
    b = batch()
    loss = replace(WHOLE, label_norm=label_norm).build(encoder, 4)(b)["mla"]
    expected = cmpm(*_embedded(encoder, b), b.person_ids, label_norm)
    assert torch.allclose(loss, expected, rtol=1e-4)


def test_a_loss_for_each_level_matches_within_its_rows(encoder) -> None:
    b = batch()
    loss = replace(WHOLE, level_losses=2).build(encoder, 4)(b)["mla"]
    image, text = _embedded(encoder, b)
    parts = [cmpm(image[r], text[r], b.person_ids[r]) for r in (slice(4), slice(4, 8))]
    assert torch.allclose(loss, torch.stack(parts).sum(), rtol=1e-4)


def test_with_a_temperature_it_is_sdm(encoder) -> None:
    b = batch()
    loss = replace(WHOLE, temperature=0.05).build(encoder, 4)(b)["mla"]
    assert torch.allclose(loss, sdm(*_embedded(encoder, b), b.person_ids, 0.05), rtol=1e-4)


def test_rows_that_are_not_whole_levels_are_refused(encoder) -> None:
    with pytest.raises(ValueError, match="level_losses"):
        IVTConfig(level_losses=3).build(encoder, 4)(batch())


@pytest.mark.parametrize("shared", [True, False])
def test_up_to_a_fifth_is_left_out_on_both_sides(encoder, shared: bool) -> None:
    method, b = IVTConfig(shared_positions=shared).build(encoder, 4), batch()
    patches, words = set(), set()
    for _ in range(80):
        seen, told = method._seen_patches(b), method._seen_words(b)
        patches.add(32 - seen.shape[1])
        words.add(14 - told.shape[1])
        assert seen.min() >= 0 and seen.max() < 32 and (told[:, 0] == 0).all()
        assert (seen == seen[0]).all() == (shared or seen.shape[1] == 32)
        if not shared:
            assert (b.tokens.gather(1, told) == 3).any(dim=1).all()  # the end is still there
    assert patches == set(range(7)) and words == set(range(3))  # of 33 and of 14


@pytest.mark.parametrize(("hide_images", "hide_texts"), [(True, False), (False, True)])
def test_each_side_is_hidden_alone(encoder, hide_images: bool, hide_texts: bool) -> None:
    method = IVTConfig(hide_images=hide_images, hide_texts=hide_texts).build(encoder, 4)
    assert (method._seen_patches(batch()) is not None) == hide_images
    assert (method._seen_words(batch()) is not None) == hide_texts


@pytest.mark.parametrize(
    ("config", "shared"), [(clip.TINY, True), (clip.TINY, False), (TINY_CLIP, False)]
)
def test_dual_encoders_can_be_trained_alike(config, shared: bool) -> None:
    torch.manual_seed(0)
    method = IVTConfig(temperature=0.05, shared_positions=shared).build(config.build(), 4)
    for _ in range(10):
        loss = method(batch())["mla"]
        assert torch.isfinite(loss)
    loss.backward()
    assert all(p.grad is not None for p in method.parameters())


@pytest.mark.parametrize(
    "values", [{"hide": 1.0}, {"label_norm": "l3"}, {"level_losses": 0}], ids=str
)
def test_settings_out_of_range_are_named(values) -> None:
    with pytest.raises((ValueError, TypeError), match=next(iter(values))):
        IVTConfig(**values)


RELEASED = IVTPretraining(
    fusion_layers=1, fusion_heads=4, normalised=False, temperature=0.5, by_person=False
)
OURS = IVTPretraining(fusion_layers=1, fusion_heads=4)


@pytest.mark.parametrize("config", [OURS, RELEASED], ids=["ours", "released"])
def test_pretraining_trains_every_parameter(encoder, config: IVTPretraining) -> None:
    method = config.build(encoder, 4)
    terms = method(batch())
    assert set(terms) == {"itc", "itm", "mlm"}
    assert all(t.ndim == 0 and torch.isfinite(t) for t in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert [name for name, p in method.named_parameters() if p.grad is None] == []


def test_our_contrast_is_of_cosines_and_the_released_one_is_not(encoder) -> None:
    b = batch()
    image, text = _embedded(encoder, b)
    ours = OURS.build(encoder, 4)(b)["itc"]
    assert torch.allclose(ours, info_nce(image, text, 0.07), rtol=1e-3)
    released = RELEASED.build(encoder, 4)._similarity(image, text)
    assert torch.allclose(released, text @ image.T / 0.5, rtol=1e-4)


def test_pretraining_learns_one_batch() -> None:
    torch.manual_seed(0)
    method, b = OURS.build(replace(ivt.TINY, layers=1, vocabulary=500).build(), 4), batch()
    first, optimizer = method(b), torch.optim.AdamW(method.parameters(), 2e-3)
    for _ in range(20):
        optimizer.zero_grad()
        last = method(b)
        torch.stack(list(last.values())).sum().backward()
        optimizer.step()
    assert last["itc"] < 0.5 * first["itc"]
    assert last["itm"] < first["itm"] and last["mlm"] < first["mlm"]


def test_masking_leaves_the_batch_as_it_was(encoder) -> None:
    b, again = batch(), batch()
    OURS.build(encoder, 4)(b)
    IVTConfig().build(encoder, 4)(b)
    assert torch.equal(b.tokens, again.tokens) and torch.equal(b.images, again.images)


def test_the_benchmarks_are_as_released() -> None:
    cuhk, rstp = find_experiment("ivt:cuhk_pedes"), find_experiment("ivt:rstpreid")
    assert (cuhk.encoder.stride, cuhk.data.batch_size) == (12, 112)
    assert (rstp.encoder.stride, rstp.data.batch_size) == (16, 48)
    assert cuhk.method.label_norm == "l2" and cuhk.method.temperature is None
    assert cuhk.data.batching.word == "phrases" and rstp.data.batching.word == "clause"


def test_the_ablation_changes_one_thing_at_a_time() -> None:
    table = find_table("ivt")
    equal = {(r.experiment.optim, r.experiment.data.batch_size) for r in table.rows.values()}
    assert len(equal) == 1
    assert table.rows["three levels, both hidden"].experiment == ivt.small()
    assert len({repr(r.experiment) for r in table.rows.values()}) == len(table.rows)
