from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import batch
from references import matching as reference

import tipr.methods.sen as sen
from tipr.data.pruning import Pruning
from tipr.data.tagging import Tag
from tipr.encoders.compact import CompactEncoder
from tipr.experiments import clip
from tipr.experiments import sen as experiments
from tipr.methods.sen import SEN, SENConfig
from tipr.objectives.masking import masked_pixels, patchify

TERMS = {"sdm", "id", "triplet", "tir"}


def method(**kwargs) -> SEN:
    torch.manual_seed(0)
    return SENConfig(depth=1, **kwargs).build(clip.TINY.build(), 4)


def terms(model: SEN, rows=None) -> dict[str, float]:
    torch.manual_seed(1)
    return {name: term.item() for name, term in model(rows or batch()).items()}


def test_the_loss_is_the_papers() -> None:
    assert set(terms(method())) == TERMS
    single = terms(method(triplet_weight=1.0, restoration_weight=1.0))
    weighted = {
        name: term * (10 if name in ("triplet", "tir") else 1) for name, term in single.items()
    }
    assert terms(method()) == pytest.approx(weighted)


def matched(model: SEN) -> tuple[list[list[float]], list[list[float]], list[int]]:
    """The embeddings of the batch's pictures and of its sentences, and whose they are."""
    rows, encoder = batch(), model.encoder
    image, text = encoder.encode_image(rows.images), encoder.encode_text(rows.tokens)
    return image.embedding.tolist(), text.embedding.tolist(), rows.person_ids.tolist()


@pytest.mark.parametrize("temperature", [0.02, 0.2])
def test_matching_is_sdm_at_the_temperature(temperature: float) -> None:
    model = method(temperature=temperature)
    expected = reference.sdm(*matched(model), temperature, 1e-8)
    assert terms(model)["sdm"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("margin", [0.05, 0.4])
def test_the_triplet_keeps_its_margin(margin: float) -> None:
    model = method(margin=margin)
    expected = 10 * reference.hardest_triplet(*matched(model), margin)
    assert terms(model)["triplet"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("weight", "term"),
    [("identity_weight", "id"), ("triplet_weight", "triplet"), ("restoration_weight", "tir")],
)
def test_a_weight_of_nothing_leaves_its_term_and_its_parameters_out(weight: str, term: str) -> None:
    model = method(**{weight: 0.0})
    found = model(batch())
    assert set(found) == TERMS - {term}
    sum(found.values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_without_restoration_hidden_pictures_are_never_encoded(monkeypatch) -> None:
    model = method(restoration_weight=0.0)
    encode, kept = model.encoder.encode_image, []
    monkeypatch.setattr(
        model.encoder, "encode_image", lambda x, keep=None: (kept.append(keep), encode(x, keep))[1]
    )
    model(batch())
    assert kept == [None]


def test_right_pixels_cost_nothing(monkeypatch) -> None:
    model, rows = method(), batch()
    target = patchify(rows.images, model.encoder.patch)
    monkeypatch.setattr(model.restore, "forward", lambda *_: target)
    assert terms(model, rows)["tir"] == 0


@pytest.mark.parametrize("variant", [{}, {"residual": True}, {"mask_padding": True}], ids=str)
def test_restoration_teaches_both_towers(monkeypatch, variant) -> None:
    model, given = method(**variant), []
    restore = model.restore.forward
    monkeypatch.setattr(model.restore, "forward", lambda *a: (given.append(a), restore(*a))[1])
    model(batch())["tir"].backward()
    ((embedding, patches, _, words, _),) = given
    assert embedding.requires_grad and patches.requires_grad and words.requires_grad
    taught = {name for name, p in model.encoder.named_parameters() if p.grad is not None}
    assert taught == {name for name, _ in model.encoder.named_parameters()}
    for tower in (model.encoder.stem, model.encoder.image_blocks, model.encoder.text_blocks):
        assert all(p.grad.abs().sum() > 0 for p in tower.parameters())


def test_restoration_without_guidance_teaches_the_picture_alone() -> None:
    model = method(guidance="none")
    model(batch())["tir"].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.encoder.stem.parameters())
    assert all(p.grad is None for p in model.encoder.text_blocks.parameters())


@pytest.mark.parametrize(("hidden", "seen"), [(0.7, 8), (0.5, 15)])
def test_as_many_patches_are_hidden_as_asked(monkeypatch, hidden: float, seen: int) -> None:
    calls = []
    monkeypatch.setattr(sen, "masked_pixels", lambda *a: (calls.append(a), masked_pixels(*a))[1])
    terms(method(hidden_patches=hidden))
    assert calls[0][2].shape == (8, seen)  # of 32


def test_restoration_sees_grey_and_wants_colour(monkeypatch) -> None:
    model, rows, seen = method(), batch(), []
    encode = model.encoder.encode_image
    monkeypatch.setattr(
        model.encoder, "encode_image", lambda x, keep=None: (seen.append(x), encode(x, keep))[1]
    )
    model(rows)
    assert seen[0].equal(rows.images)
    assert seen[1][:, :1].expand(-1, 3, -1, -1).equal(seen[1])
    seen.clear()
    model.config = replace(model.config, grey=False)
    model(rows)
    assert seen[1].equal(rows.images)


def test_the_forgotten_patch_is_one_that_nobody_saw(monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(sen, "masked_pixels", lambda *a: (calls.append(a), masked_pixels(*a))[1])
    terms(method(forget_one_patch=True))
    terms(method())
    (*_, keep, _, overlooked), (*_, nothing) = calls
    assert nothing is None
    assert not (keep == overlooked[:, None]).any()


def test_masked_captions_reach_every_loss(monkeypatch) -> None:
    rows, read = batch(), []
    encode = CompactEncoder.encode_text

    def reading(self, tokens, keep=None):
        read.append(tokens)
        return encode(self, tokens, keep)

    monkeypatch.setattr(CompactEncoder, "encode_text", reading)
    before = rows.tokens.clone()
    clean, masked = terms(method(), rows), terms(method(alias_caption=True), rows)
    assert all(clean[name] != masked[name] for name in TERMS)
    assert len(read) == 2  # one reading of the captions serves all losses
    assert read[0].equal(rows.tokens)
    assert (read[1] != rows.tokens).any(dim=1).sum() > len(rows) / 2
    assert read[1][rows.words == 0].equal(rows.tokens[rows.words == 0])
    assert rows.tokens.equal(before)


def test_nouns_and_adjectives_are_masked_more_often() -> None:
    model = method(alias_caption=True, alias_rates=(1.0, 0.0))
    rows, mask = batch(), clip.TINY.build().mask_id
    rows = replace(rows, tags=torch.where(rows.words == 2, Tag.NOUN, Tag.PRONOUN))
    hidden = model._read(rows) == mask
    assert hidden[rows.words == 2].float().mean() > 0.5
    assert not hidden[rows.words != 2].any()


def test_masked_captions_need_tags() -> None:
    with pytest.raises(ValueError, match=r"data.batching=Pruning\(tags=True\)"):
        method(alias_caption=True)(replace(batch(), tags=None))


def test_padding_that_is_masked_does_not_guide() -> None:
    rows = batch()
    longer = replace(
        rows,
        tokens=torch.nn.functional.pad(rows.tokens, (0, 4)),
        words=torch.nn.functional.pad(rows.words, (0, 4)),
    )
    model = method(mask_padding=True)
    assert terms(model, rows) == pytest.approx(terms(model, longer), rel=1e-4)
    loose = method()
    assert terms(loose, rows)["tir"] != pytest.approx(terms(loose, longer)["tir"], rel=1e-7)


@pytest.mark.parametrize("variant", [{"guidance": "none"}, {"residual": True}])
def test_variants_train_all_that_they_hold(variant) -> None:
    model = method(**variant)
    sum(model(batch()).values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_only_the_encoder_is_needed_to_search() -> None:
    model, encoder = method(), clip.TINY.build()
    encoder.load_state_dict(model.encoder.state_dict())
    images = batch().images
    assert encoder.encode_image(images).embedding.equal(
        model.encoder.encode_image(images).embedding
    )


def test_overlapping_patches_cannot_be_restored() -> None:
    class Overlapping(CompactEncoder):
        image_size = (60, 30)

    with pytest.raises(ValueError, match="do not tile"):
        SENConfig().build(Overlapping(clip.TINY), 4)
    SENConfig(restoration_weight=0.0).build(Overlapping(clip.TINY), 4)


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.0, 1.5])
def test_a_share_of_patches_is_one(share: float) -> None:
    with pytest.raises(ValueError, match="hidden_patches"):
        SENConfig(hidden_patches=share)


@pytest.mark.parametrize("setting", ["residual", "mask_padding"])
def test_without_guidance_no_sentence_is_added_or_masked(setting: str) -> None:
    with pytest.raises(ValueError, match=f"method.{setting}"):
        SENConfig(guidance="none", **{setting: True})


def test_unknown_guidance_is_refused_with_the_choices() -> None:
    config = SENConfig()
    object.__setattr__(config, "guidance", "image")  # past the type checker that tests run under
    with pytest.raises(ValueError, match="text, none"):
        config.__post_init__()


def test_the_released_recipe_has_its_quirks() -> None:
    released = experiments.cuhk_pedes()
    assert released.method == SENConfig(alias_caption=True, forget_one_patch=True)
    assert released.data.batching == Pruning(rate=0.2, tags=True)
    assert released.data.batch_size == 128
    assert released.optim.half_weights


def test_rows_of_the_ablation_differ_in_method_and_data_alone() -> None:
    table = experiments.ablation()
    small = table.rows["SEN"].experiment
    distinct = {row.experiment.to_json() for row in table.rows.values()}
    assert len(distinct) == len(table.rows)
    for row in table.rows.values():
        assert row.experiment.optim == small.optim
        assert row.experiment.data.batch_size == small.data.batch_size
