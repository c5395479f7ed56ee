"""The plain step computes what ours does, so that their times and memory can be compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tipr.bench import training_step
from tipr.bench.plain_step import (
    PlainAttention,
    check_same_loss,
    padded,
    plain_memory,
    plain_step,
    plain_subject,
)
from tipr.bench.subjects import fed, made_up, subject
from tipr.bench.training_step import WAYS, Step, measure, table
from tipr.cli import app
from tipr.data.pairs import Batch
from tipr.encoders.clip import CLIPConfig
from tipr.experiments import clip
from tipr.training.step import train_step
from tipr.transformer import Attention, attention_to

CPU = torch.device("cpu")
MIB = 1 << 20
SMALL_CLIP = CLIPConfig(
    image_size=(32, 16), image_width=32, image_layers=2, image_heads=2, text_width=32,
    text_layers=2, text_heads=2, text_length=48, vocabulary=2048, embedding=32, end_id=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("made up") / "data", 8)


@pytest.mark.parametrize("mask", ["none", "padding", "causal"])
def test_plain_attention_sees_what_ours_sees(mask) -> None:
    torch.manual_seed(0)
    ours, x = Attention(32, 4), torch.randn(3, 7, 32)
    present = torch.arange(7) < torch.tensor([[7], [4], [1]])
    earlier = torch.ones(7, 7, dtype=torch.bool).tril().expand(3, 1, 7, 7)
    visible = {"none": None, "padding": attention_to(present, 7), "causal": earlier}[mask]
    torch.nn.init.normal_(ours.qkv.bias)
    torch.nn.init.normal_(ours.out.bias)
    assert torch.allclose(PlainAttention(ours)(x, visible), ours(x, visible), atol=1e-5)


def test_a_mask_that_torchs_attention_does_not_have_is_refused() -> None:
    visible = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    with pytest.raises(RuntimeError, match="no mask for that"):
        PlainAttention(Attention(8, 2))(torch.randn(2, 3, 8), visible)


NAMES = ("clip:tiny", "irra:tiny", "ivt:tiny", "ivt:pretraining", "mgrl:tiny", "sen:tiny",
         "lcr2s:richer_tiny")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_equal(name, root, tmp_path) -> None:
    experiment = fed(name, root, 8, tmp_path)
    plain = plain_subject(experiment, root, CPU)
    check_same_loss(subject(experiment, root, CPU), plain)
    parts = list(plain.state.method.modules())
    assert any(isinstance(part, PlainAttention) for part in parts)
    assert not any(isinstance(part, Attention) for part in parts)
    assert {(g["fused"], g["foreach"]) for g in plain.state.optimizer.param_groups} == {
        (False, False)
    }


def test_padding_changes_no_loss_where_nothing_is_drawn(root, tmp_path) -> None:
    for config in (clip.TINY, SMALL_CLIP):
        base = fed("clip_sdm:tiny", root, 8, tmp_path)
        experiment = replace(base, encoder=config)
        plain, ours = plain_subject(experiment, root, CPU), subject(experiment, root, CPU)
        assert plain.batch.tokens.shape[1] == 48 > ours.batch.tokens.shape[1]
        first = train_step(ours.state, ours.batch, experiment.optim)
        assert plain_step(plain) == pytest.approx(first, rel=1e-4)


def test_the_plain_step_learns_what_ours_learns(root, tmp_path) -> None:
    experiment = fed("clip_sdm:tiny", root, 8, tmp_path)
    after = []
    for one, step in (
        (subject(experiment, root, CPU), lambda o: o.step()),
        (plain_subject(experiment, root, CPU), plain_step),
    ):
        one.state.scheduler.base_lrs = [1e-3] * len(one.state.scheduler.base_lrs)
        for group in one.state.optimizer.param_groups:
            group["lr"] = 1e-3
        before = one.encoder.image_out[1].weight.detach().clone()
        step(one)
        after.append(one.encoder.image_out[1].weight.detach() - before)
    assert after[0].abs().max() > 5e-4
    assert torch.allclose(*after, atol=2e-5)


def test_another_loss_is_not_compared(root, tmp_path) -> None:
    experiment = fed("clip_sdm:tiny", root, 8, tmp_path)
    plain = plain_subject(experiment, root, CPU)
    with torch.no_grad():
        plain.encoder.image_out[1].bias += 0.5
    with pytest.raises(RuntimeError, match="cannot be compared"):
        check_same_loss(subject(experiment, root, CPU), plain)


def test_everything_that_is_told_of_words_is_padded(root, tmp_path) -> None:
    short = subject(fed("clip:tiny", root, 8, tmp_path), root, CPU).batch
    long = padded(replace(short, tags=short.tokens, difficulty=short.tokens.float()), 48)
    assert isinstance(long, Batch) and long.support is None
    for told in (long.tokens, long.words, long.tags, long.difficulty):
        assert told is not None and told.shape == (8, 48)
        assert not told[:, short.tokens.shape[1] :].any()
    assert long.tokens[:, : short.tokens.shape[1]].equal(short.tokens)


def test_memory_is_of_a_process_of_its_own(root, tmp_path) -> None:
    assert plain_memory("clip:tiny", root, 8, tmp_path, CPU) > 0
    with pytest.raises(RuntimeError, match="there is no experiment"):
        plain_memory("clip:nothing", root, 8, tmp_path, CPU)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which all costs are known."""
    mib = {(): 60, WAYS["recompute norms"]: 40, WAYS["recompute blocks"]: 20}
    monkeypatch.setattr(training_step, "peak_memory", lambda *a: mib[tuple(a[5])] * MIB)
    monkeypatch.setattr(training_step, "plain_memory", lambda *_: 80 * MIB)
    monkeypatch.setattr(training_step, "in_turn", _known_seconds)


def _known_seconds(works, rounds, device) -> dict[str, list[float]]:
    assert rounds == 3 and device == CPU
    for work in works.values():
        work()
    slow = [1.0, 2.0, 4.0]  # a machine that becomes slower with every round
    shares = {
        "plain": (1, 1, 1),
        "as it is": (0.8, 0.7, 0.9),
        "recompute norms": (1.0, 1.0, 1.0),
        "recompute blocks": (1.1, 1.2, 1.0),
    }
    return {w: [s * r for s, r in zip(slow, shares[w], strict=True)] for w in works}


def test_ratios_are_of_the_same_rounds(known, tmp_path) -> None:
    announced: list[str] = []
    found, skipped = measure(["clip:tiny", "clip:none"], 8, 3, "cpu", announced.append)
    assert announced == ["clip:tiny", "clip:none"] and list(skipped) == ["clip:none"]
    assert found[0] == Step(
        name="clip:tiny", way="as it is", seconds=1.4, plain_seconds=2.0, relative_time=0.8,
        memory=60 * MIB, plain_memory=80 * MIB, relative_memory=0.75,
    )  # fmt: skip
    assert (found[2].way, found[2].relative_memory) == ("recompute blocks", 0.25)
    assert found[2].relative_time == pytest.approx(1.1)
    assert table(found).splitlines()[2:] == [
        "| clip:tiny | as it is | 1.400 s | 2.000 s | 0.80 | 60 | 80 | 0.75 |",
        "| clip:tiny | recompute norms | 2.000 s | 2.000 s | 1.00 | 40 | 80 | 0.50 |",
        "| clip:tiny | recompute blocks | 2.400 s | 2.000 s | 1.10 | 20 | 80 | 0.25 |",
    ]


def test_the_ways_differ_in_what_is_computed_twice(known, monkeypatch) -> None:
    seen = []

    def noted(state, batch, config) -> None:
        blocks = [part for part in state.method.modules() if hasattr(part, "recompute")]
        seen.append({block.recompute for block in blocks})

    monkeypatch.setattr(training_step, "check_same_loss", lambda *_: None)
    monkeypatch.setattr("tipr.bench.subjects.train_step", noted)
    measure(["clip:tiny"], 8, 3, "cpu")
    assert seen == [{"none"}, {"norms"}, {"blocks"}]


def test_freed_memory_goes_back_at_once_only_where_that_is_what_is_measured(
    known, monkeypatch
) -> None:
    seen = []
    monkeypatch.setattr(training_step, "check_same_loss", lambda *_: None)
    monkeypatch.setattr(training_step, "give_back", seen.append)
    measure(["clip:tiny"], 8, 3, "cpu")
    assert seen == [False, False, True, True]  # plain, as it is, norms, blocks


def test_losses_that_differ_leave_a_method_out(known, monkeypatch) -> None:
    monkeypatch.setattr("tipr.bench.plain_step.plain_step", lambda one: {"itc": 0.0})
    found, skipped = measure(["clip:tiny"], 8, 3, "cpu")
    assert found == [] and "cannot be compared" in skipped["clip:tiny"]


def test_the_command_prints_json_or_a_table(known, capsys) -> None:
    words = "bench step --only clip:tiny,clip:none --batch 8 --steps 3 --device cpu"
    app(words.split())
    said = capsys.readouterr()
    assert "| clip:tiny | recompute norms |" in said.out and "Batches of 8, 3 rounds; " in said.out
    assert "clip:none could not be measured: there is no experiment" in said.err
    app([*words.split(), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert [one["way"] for one in facts["found"]] == list(WAYS)
    assert facts["batch"] == 8 and list(facts["skipped"]) == ["clip:none"]


@pytest.mark.parametrize(("batch", "steps"), [(2, 3), (8, 0)])
def test_numbers_that_are_too_small_are_refused(batch, steps) -> None:
    with pytest.raises(ValueError, match="at least"):
        measure(["clip:tiny"], batch, steps)
