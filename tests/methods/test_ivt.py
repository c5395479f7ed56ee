from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from batches import batch
from references import matching as reference

from tipr.data.levels import Levels
from tipr.encoders.clip import CLIPConfig
from tipr.experiments import clip, ivt
from tipr.experiments.find import find_experiment, find_table
from tipr.methods.ivt import IVTConfig, IVTPretraining, Pretraining
from tipr.objectives.matching import cmpm, info_nce, sdm

TINY_CLIP = CLIPConfig(
    image_size=(64, 32), image_width=32, image_layers=1, image_heads=2, text_width=32,
    text_layers=1, text_heads=2, vocabulary=500, embedding=24, end_id=3,
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
    b = replace(batch(), levels=2)
    loss = replace(WHOLE, level_losses=2).build(encoder, 4)(b)["mla"]
    image, text = _embedded(encoder, b)
    parts = [cmpm(image[r], text[r], b.person_ids[r]) for r in (slice(4), slice(4, 8))]
    assert torch.allclose(loss, torch.stack(parts).sum(), rtol=1e-4)


def test_with_a_temperature_it_is_sdm(encoder) -> None:
    b = batch()
    loss = replace(WHOLE, temperature=0.05).build(encoder, 4)(b)["mla"]
    assert torch.allclose(loss, sdm(*_embedded(encoder, b), b.person_ids, 0.05), rtol=1e-4)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_with_a_temperature_both_directions_have_the_labels_asked_for(encoder, norm) -> None:
    """SDM is CMPM of embeddings that are all as long as the temperature is low."""
    b = batch()
    loss = replace(WHOLE, temperature=0.2, label_norm=norm).build(encoder, 4)(b)["mla"]
    image, text = (F.normalize(x.double(), dim=-1) / 0.2 for x in _embedded(encoder, b))
    ids = b.person_ids.tolist()
    assert loss.item() == pytest.approx(
        reference.cmpm(image.tolist(), text.tolist(), ids, norm, 1e-8), rel=1e-4
    )


@pytest.mark.parametrize("levels", [("sentence",), ("word", "phrase", "sentence")])
def test_a_batch_knows_how_many_levels_it_has(levels) -> None:
    told = Levels(levels=levels).build(lambda pairs: batch(), [])([])
    assert told.levels == told.to("cpu").levels == len(levels)


@pytest.mark.parametrize(("losses", "levels"), [(2, 1), (2, 4), (4, 2)])
def test_level_losses_are_one_or_as_many_as_there_are_levels(encoder, losses, levels) -> None:
    """Even where the rows divide: who stands in a block that is no level is anybody's guess."""
    b = replace(batch(), levels=levels)
    assert IVTConfig().build(encoder, 4)(b)["mla"].isfinite()
    with pytest.raises(ValueError, match=f"level_losses is 1, or {levels}"):
        IVTConfig(level_losses=losses).build(encoder, 4)(b)


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


def kept_from(encoder, name: str, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor | None]:
    """What the encoder is told to keep, in the order in which it is told."""
    kept, encode = list[torch.Tensor | None](), getattr(encoder, name)
    monkeypatch.setattr(encoder, name, lambda x, keep=None: kept.append(keep) or encode(x, keep))
    return kept


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("texts", [True, False])
def test_what_is_hidden_never_reaches_the_encoder(
    encoder, monkeypatch, shared: bool, images: bool, texts: bool
) -> None:
    config = IVTConfig(hide=0.5, hide_images=images, hide_texts=texts, shared_positions=shared)
    method, b = config.build(encoder, 4), batch()
    sides = [
        (kept_from(encoder, "encode_image", monkeypatch), images, encoder.num_patches),
        (kept_from(encoder, "encode_text", monkeypatch), texts, b.tokens.shape[1]),
    ]
    for _ in range(6):
        method(b)
    for kept, hides, count in sides:
        assert len(kept) == 6 and all((keep is not None) == hides for keep in kept)
        fewer = [keep for keep in kept if keep is not None and keep.shape[1] < count]
        assert len(fewer) >= 3 * hides
        assert all(bool((keep == keep[0]).all()) == shared for keep in fewer)


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
    ours, released = (config.build(encoder, 4)(b)["itc"] for config in (OURS, RELEASED))
    assert torch.allclose(ours, info_nce(image, text, 0.07), rtol=1e-3)
    logits, partner = text @ image.T / 0.5, torch.arange(8)
    both = F.cross_entropy(logits, partner) + F.cross_entropy(logits.T, partner)
    assert torch.allclose(released, both / 2, rtol=1e-3)
    assert not torch.allclose(released, info_nce(image, text, 0.5), rtol=0.1)


def test_the_contrast_is_never_sharper_than_a_hundredfold(encoder) -> None:
    loss = replace(OURS, temperature=0.001).build(encoder, 4)(batch())["itc"]
    assert torch.allclose(loss, info_nce(*_embedded(encoder, batch()), 0.01), rtol=1e-3)


def judged(method: Pretraining, b, monkeypatch) -> dict[str, list[tuple[int, int]]]:
    """The (sentence, picture) rows that are matched as right and as wrong ones."""
    text, image = method.encoder.encode_text(b.tokens), method.encoder.encode_image(b.images)
    fuse, match = method.fusion.forward, method.matching.forward
    pairs, counts = list[tuple[int, int]](), list[int]()

    def fusing(told: torch.Tensor, present: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        rows = _found(told, text.tokens), _found(seen[:, 1:], image.tokens)
        assert torch.equal(present, (b.tokens != 0)[rows[0]])
        pairs.extend(zip(*(r.tolist() for r in rows), strict=True))
        return fuse(told, present, seen)

    def matching(right: torch.Tensor, wrong: torch.Tensor) -> torch.Tensor:
        counts.extend((len(right), len(wrong)))
        assert len(pairs) == len(right) + len(wrong)
        return match(right, wrong)

    with monkeypatch.context() as spies:
        spies.setattr(method.fusion, "forward", fusing)
        spies.setattr(method.matching, "forward", matching)
        method(b)
    right, wrong = counts
    return {"right": pairs[:right], "wrong": pairs[right : right + wrong]}


def _found(rows: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    """Which of the rows of `among` each row is."""
    return torch.cdist(rows.flatten(1), among.flatten(1)).argmin(dim=1)


def test_right_pairs_are_pairs_and_wrong_ones_show_another_person(encoder, monkeypatch) -> None:
    b = replace(batch(), person_ids=torch.tensor([0, 0, 0, 0, 0, 0, 0, 1]))
    found = judged(OURS.build(encoder, 4), b, monkeypatch)
    assert found["right"] == [(i, i) for i in range(8)]
    assert all(b.person_ids[s] != b.person_ids[p] for s, p in found["wrong"])
    assert sorted(s for s, _ in found["wrong"][:8]) == list(range(8))
    assert sorted(p for _, p in found["wrong"][8:]) == list(range(8))


def test_as_released_wrong_pairs_are_any_but_the_right_ones(encoder, monkeypatch) -> None:
    b = replace(batch(), person_ids=torch.tensor([0, 0, 0, 0, 0, 0, 0, 1]))
    wrong = judged(RELEASED.build(encoder, 4), b, monkeypatch)["wrong"]
    assert len(wrong) == 16 and all(s != p for s, p in wrong)
    assert any(b.person_ids[s] == b.person_ids[p] for s, p in wrong)


def test_pretraining_learns_one_batch() -> None:
    torch.manual_seed(0)
    method, b = OURS.build(replace(ivt.TINY, layers=1, vocabulary=500).build(), 4), batch()
    first, optimizer = method(b), torch.optim.AdamW(method.parameters(), 2e-3)
    for _ in range(35):
        optimizer.zero_grad()
        last = method(b)
        torch.stack(list(last.values())).sum().backward()
        optimizer.step()
    assert last["itc"] < 0.5 * first["itc"] and last["mlm"] < 0.8 * first["mlm"]
    image, text = _embedded(method.encoder, b)
    assert (text @ image.T).argmax(dim=1).tolist() == list(range(8))


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
