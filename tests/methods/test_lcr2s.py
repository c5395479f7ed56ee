from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jaxtyping
import pytest
import torch
from batches import ROWS, batch

from tipr.data.batching import Plain
from tipr.data.supports import Supports
from tipr.experiments import lcr2s
from tipr.experiments.clip import TINY
from tipr.methods.lcr2s import LCR2S, LCR2SConfig, Richer, RicherConfig
from tipr.objectives.matching import cmpm, label_distribution, same_person, sdm
from tipr.training.experiment import changed
from tipr.training.loop import train

TEACHER = RicherConfig(temperature=0.05)


def richer(config: RicherConfig = TEACHER) -> Richer:
    """A richer model as after some training: its fusions change what they are given."""
    torch.manual_seed(7)
    model = config.build(TINY.build(), 4)
    for fusion in (model.fuse_image, model.fuse_text):
        for parameter in fusion.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def run(tmp_path: Path) -> str:
    torch.save({"method": richer().state_dict()}, tmp_path / "last.pt")
    return str(tmp_path)


def student(run: str, **values) -> LCR2S:
    torch.manual_seed(1)
    return LCR2SConfig(richer=run, teacher=TEACHER, **values).build(TINY.build(), 4)


def targets(run: str, **values) -> tuple[torch.Tensor, torch.Tensor]:
    model = student(run, **values)
    return model.targets(batch(), model.teacher)


# -- the richer model


@pytest.mark.parametrize("supports", ["inbatch", "forward", "bank"])
@pytest.mark.parametrize("fusion", ["xattn", "selfattn", "gate", "mean", "max"])
def test_every_richer_model_learns_from_its_supports(supports, fusion) -> None:
    config = replace(TEACHER, supports=supports, fusion=fusion, unfused_weight=0.5)
    model = richer(config)
    model(batch())  # a bank is empty before
    terms = model(replace(batch(), image_ids=torch.arange(ROWS) + 50,
                          caption_ids=torch.arange(ROWS) + 50))  # fmt: skip
    assert set(terms) == {"sdm", "id", "unfused"}
    sum(terms.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    if fusion == "xattn":
        assert model.fuse_image.mix.attention.query.weight.grad.abs().max() > 0


def test_a_new_richer_model_is_the_plain_dual_encoder() -> None:
    model = replace(TEACHER, feedforward=True).build(TINY.build(), 4)
    assert all(
        a.equal(b) for a, b in zip(model.enrich(batch()), model.single(batch()), strict=True)
    )


def test_supports_come_from_other_items_of_the_same_person() -> None:
    model, b = richer().eval(), batch()
    image, text = model.enrich(b)
    lonely = replace(b, image_ids=torch.arange(ROWS) // 2)  # both rows show one picture
    alone, unchanged = model.enrich(lonely)
    assert alone.equal(model.single(b)[0]) and not alone.allclose(image)
    assert unchanged.equal(text)
    b.images[1] += 1  # row 1 supports row 0 and nobody else
    moved = (model.enrich(b)[0] - image).abs().amax(dim=1) > 1e-6
    assert moved.tolist() == [True, True] + [False] * 6


def test_supports_that_are_not_there_are_never_looked_at() -> None:
    model, b = richer(replace(TEACHER, supports="forward")).eval(), batch()
    image, text = model.enrich(b)
    b.support.images[~b.support.has_image] = torch.nan
    b.support.tokens[~b.support.has_text] = 0
    again = model.enrich(b)
    assert again[0].equal(image) and again[1].equal(text)
    b.support.has_image[:] = False
    assert model.enrich(b)[0].equal(model.single(b)[0])


def test_supports_in_the_batch_are_asked_for() -> None:
    model = richer(replace(TEACHER, supports="forward"))
    with pytest.raises(ValueError, match=r"data\.batching Supports"):
        model(replace(batch(), support=None))


def test_the_bank_is_written_in_training_only() -> None:
    model = richer(replace(TEACHER, supports="bank"))
    model.eval()(batch())
    assert model.images.written.sum() == 0
    model.train()(batch())
    assert model.images.written.tolist() == model.captions.written.tolist() == [2] * 4
    model.eval()
    single, rich = model.single(batch())[0], model.enrich(batch())[0]
    assert not rich.allclose(single)
    again = Richer(model.config, TINY.build(), 4).eval()
    again.load_state_dict(model.state_dict())
    assert again.enrich(batch())[0].equal(rich)


@pytest.mark.parametrize("alignment", ["sdm", "cmpm"])
def test_enriched_pictures_are_aligned_with_enriched_captions(alignment) -> None:
    model, b = richer(replace(TEACHER, alignment=alignment, unfused_weight=0.5)).eval(), batch()
    (image, text), single = model.enrich(b), model.single(b)
    assert not image.allclose(single[0]) and not text.allclose(single[1])
    terms, expected = model(b), alone(alignment, image, text)
    assert terms[alignment].item() == pytest.approx(expected, rel=1e-4)
    assert terms["unfused"].item() == pytest.approx(0.5 * alone(alignment, *single), rel=1e-4)
    assert alone(alignment, *single) != pytest.approx(expected, rel=1e-3)


def alone(alignment: str, image: torch.Tensor, text: torch.Tensor) -> float:
    ids = batch().person_ids
    if alignment == "cmpm":
        return cmpm(image, text, ids, label_norm="l1").item()
    return sdm(image, text, ids, TEACHER.temperature).item()


def test_projection_matching_may_take_the_place_of_sdm() -> None:
    assert set(richer(RicherConfig(alignment="cmpm"))(batch())) == {"cmpm", "id", "unfused"}


def test_the_labels_of_balanced_batches_are_distributions() -> None:
    labels = label_distribution(same_person(torch.arange(16) // 4))
    assert labels.sum(dim=1).tolist() == [1.0] * 16


# -- the student


def test_the_teacher_never_learns(run) -> None:
    model = student(run)
    model.train()
    assert not any(m.training for m in model.teacher.modules())
    before = {n: v.clone() for n, v in model.teacher.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    sum(model(batch()).values()).backward()
    optimizer.step()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(v.equal(before[n]) for n, v in model.teacher.state_dict().items())
    assert not any(t.requires_grad for t in model.targets(batch(), model.teacher))


def test_a_student_that_is_its_teacher_has_nothing_to_learn_without_supports(run) -> None:
    model = student(run, from_teacher=True).eval()
    terms = model(replace(batch(), image_ids=torch.arange(ROWS) // 2,
                          caption_ids=torch.arange(ROWS) // 2))  # fmt: skip
    assert terms["features"].abs().item() < 1e-6 and terms["relations"].item() < 1e-6
    apart = model(batch())
    assert apart["features"].item() > 1e-3 and apart["relations"].item() > 1e-6


def test_a_student_starts_from_its_own_encoder_unless_told_otherwise(run) -> None:
    own, taken = student(run), student(run, from_teacher=True)
    word = own.teacher.encoder.word.weight
    assert not own.encoder.word.weight.equal(word) and taken.encoder.word.weight.equal(word)
    assert taken.encoder.word.weight.data_ptr() != taken.teacher.encoder.word.weight.data_ptr()


def test_a_checkpoint_leaves_the_teacher_where_it_is(run) -> None:
    model = student(run)
    state = model.state_dict()
    assert state and not any(name.startswith("teacher") for name in state)
    again = student(run, from_teacher=True)
    again.load_state_dict(state)
    assert again.encoder.word.weight.equal(model.encoder.word.weight)
    assert again.teacher.state_dict()["encoder.place"].equal(richer().encoder.place)
    del state["identity.classifier.weight"]
    with pytest.raises(RuntimeError, match=r"identity\.classifier\.weight"):
        again.load_state_dict(state)


@pytest.mark.parametrize("alignment", ["sdm", "cmpm"])
def test_a_student_aligns_what_it_makes_of_one_picture_and_one_caption(run, alignment) -> None:
    model, b = student(run, alignment=alignment, temperature=0.05).eval(), batch()
    image, text = model.encoder.encode_image(b.images), model.encoder.encode_text(b.tokens)
    expected = alone(alignment, image.embedding, text.embedding)
    assert model(b)[alignment].item() == pytest.approx(expected, rel=1e-4)


def test_without_distillation_no_teacher_is_needed() -> None:
    model = student("", feature_weight=0.0, relation_weight=0.0)
    assert model.teacher is None and set(model.train()(batch())) == {"sdm", "id"}


def test_targets_are_the_enriched_features_or_a_control(run) -> None:
    teacher = richer().eval()
    (image, text), (single, _) = teacher.enrich(batch()), teacher.single(batch())
    assert all(a.allclose(b) for a, b in zip(targets(run), (image, text), strict=True))
    assert targets(run, target="single")[0].allclose(single)
    assert targets(run, blend=0.5)[0].allclose((single + image) / 2, atol=1e-6)
    means = single.view(4, 2, -1).mean(dim=1).repeat_interleave(2, dim=0)
    assert targets(run, target="prototype")[0].allclose(means, atol=1e-6)
    assert not targets(run, support_of="wrong")[0].allclose(image)


def test_a_target_may_be_the_mean_of_several_draws(tmp_path) -> None:
    config = replace(TEACHER, supports="forward", slots=1)
    torch.save({"method": richer(config).state_dict()}, tmp_path / "last.pt")

    def spread(draws: int) -> float:
        values = LCR2SConfig(richer=str(tmp_path), teacher=config, draws=draws)
        model = values.build(TINY.build(), 4)
        drawn = [model.targets(batch(supports=4), model.teacher)[0] for _ in range(8)]
        return torch.stack(drawn).std(dim=0).mean().item()

    assert 0 < spread(16) < 0.6 * spread(1)


def test_targets_can_be_learned_in_mixed_precision(run) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        for model in (richer(replace(TEACHER, supports="forward", fusion="gate")), student(run),
                      richer(replace(TEACHER, supports="bank", feedforward=True)),
                      student(run, draws=2, blend=0.5)):  # fmt: skip
            loss = sum(model(batch()).values())
            assert torch.isfinite(loss)
            loss.backward()


def test_a_missing_teacher_is_explained(run, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"tipr train lcr2s:richer .*--set method\.richer="):
        student("")
    with pytest.raises(ValueError, match="there is no richer model at nowhere"):
        student("nowhere")
    (tmp_path / "torn.pt").write_bytes(b"torn")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        student(str(tmp_path / "torn.pt"))
    with pytest.raises(ValueError, match=r"set method\.teacher as its experiment\.json"):
        LCR2SConfig(richer=run, teacher=RicherConfig(fusion="gate")).build(TINY.build(), 4)
    with pytest.raises(ValueError, match="another richer model"):
        LCR2SConfig(richer=run).build(TINY.build(), 5)


def test_an_unknown_variant_is_answered_with_the_choices(monkeypatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its checks come first
    for name, choices in (("target", "enriched, prototype, single"), ("support_of", "own, wrong"),
                          ("teacher.fusion", "xattn, selfattn, gate, mean, max")):  # fmt: skip
        with pytest.raises(ValueError, match=choices):
            changed(lcr2s.tiny(), f"method.{name}", "other")
    with pytest.raises(ValueError, match="at least 1"):
        changed(lcr2s.tiny(), "method.draws", "0")
    for blend in ("-0.1", "1.5"):
        with pytest.raises(ValueError, match=rf"blend is a share from 0 to 1, not {blend}"):
            changed(lcr2s.tiny(), "method.blend", blend)


# -- the experiments


def test_two_runs_make_a_student_and_the_second_can_be_resumed(tiny, tmp_path) -> None:
    optim = replace(tiny.optim, epochs=1)
    first = replace(lcr2s.richer_tiny(), optim=optim)
    data = replace(first.data, root=tiny.data.root, batching=Supports(count=2))
    train(replace(first, data=data), tmp_path / "richer", device="cpu")
    method = replace(lcr2s.tiny().method, richer=str(tmp_path / "richer"))
    second = replace(lcr2s.tiny(), method=method, data=data, optim=optim)
    train(second, tmp_path / "student", device="cpu")
    saved = torch.load(tmp_path / "student/last.pt", weights_only=True)["method"]
    assert not any(name.startswith("teacher") for name in saved)
    train(second, tmp_path / "student", resume=True, device="cpu")
    other = torch.load(tmp_path / "richer/last.pt", weights_only=True)
    other["method"]["encoder.word.weight"][5] += 1
    torch.save(other, tmp_path / "richer/last.pt")
    with pytest.raises(ValueError, match="not the one that this run began with; put that one back"):
        train(second, tmp_path / "student", resume=True, device="cpu")


def test_the_ablation_gives_every_student_the_teacher_it_is_made_for() -> None:
    table = lcr2s.ablation()
    for row in table.rows.values():
        if row.teacher:
            assert row.experiment.method.teacher == table.rows[row.teacher].experiment.method
            assert row.experiment.data == table.rows[row.teacher].experiment.data
        else:
            assert not getattr(row.experiment.method, "distils", False)
        assert replace(row.experiment.data, batching=Plain()) == lcr2s.small().data


@pytest.mark.parametrize("name", ["tiny", "small", "cuhk_pedes", "icfg_pedes", "rstpreid"])
def test_every_student_has_its_teachers_experiment(name) -> None:
    partner = {"tiny": "richer_tiny", "small": "richer"}.get(name, f"{name}_richer")
    pupil, teacher = getattr(lcr2s, name)(), getattr(lcr2s, partner)()
    assert pupil.method.teacher == teacher.method
    assert (pupil.encoder, pupil.data) == (teacher.encoder, teacher.data)
