"""A few rows at a time give the loss and the gradients of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from batches import ROWS, batch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from tipr.data.pairs import Batch
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.encoder import Encoded, Encoder
from tipr.experiments import clip, ivt
from tipr.experiments.find import experiment_names, find_experiment
from tipr.methods.ivt import IVTPretraining
from tipr.methods.method import Method
from tipr.methods.mgrl import MGRLConfig
from tipr.training.cached import CachedEncoder, in_chunks
from tipr.training.checkpoint import State
from tipr.training.parallel import alone
from tipr.training.step import train_step
from tipr.transformer import DropPath

TINY = {name: find_experiment(name) for name in experiment_names() if name.endswith("tiny")}
RICHER = TINY["lcr2s:richer_tiny"]
DROPPING = replace(ivt.tiny().encoder, dropout=0.3, drop_path=0.5)
EXPERIMENTS = TINY | {
    "pretraining": replace(
        TINY["ivt:tiny"], method=IVTPretraining(fusion_layers=1, fusion_heads=4)
    ),
    "ivt, dropping": replace(TINY["ivt:tiny"], encoder=DROPPING),
    "bank": replace(RICHER, method=replace(RICHER.method, supports="bank")),
    "forward": replace(RICHER, method=replace(RICHER.method, supports="forward")),
    "placement": replace(TINY["mgrl:tiny"], method=MGRLConfig(selection="placement", iterations=2)),
}
EXPERIMENTS["pretraining, dropping"] = replace(EXPERIMENTS["pretraining"], encoder=DROPPING)
Grads = dict[str, Tensor | None]


@pytest.fixture(params=EXPERIMENTS)
def method(request: pytest.FixtureRequest, tmp_path: Path) -> Method:
    torch.manual_seed(0)
    experiment = EXPERIMENTS[request.param]
    config = experiment.method
    if getattr(config, "richer", None) == "":
        teacher = config.teacher.build(experiment.encoder.build(), num_persons=4)
        torch.save({"method": teacher.state_dict()}, tmp_path / "last.pt")
        config = replace(config, richer=str(tmp_path))
    return config.build(experiment.encoder.build(), num_persons=4).train()


def without_draws(encoder: nn.Module) -> None:
    """The encoder drops nothing; what heads drop or hide is still drawn."""
    for part in encoder.modules():
        if isinstance(part, DropPath):
            part.rate = 0.0
        if isinstance(part, nn.Dropout):
            part.p = 0.0


def rows_for(method: Method) -> Batch:
    """The batch in the method's precision."""
    rows, kind = batch(), next(method.parameters()).dtype
    assert rows.support is not None
    support = replace(rows.support, images=rows.support.images.to(kind))
    return replace(rows, images=rows.images.to(kind), support=support)


def learned(method: Method, chunk: int, within: Callable = in_chunks) -> tuple[dict, Grads]:
    """The terms, and every parameter's gradient, from the same state of the method."""
    method.zero_grad()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    torch.manual_seed(7)
    with within(method, chunk) as replay:
        terms = method(rows_for(method))
    torch.stack(list(terms.values())).sum().backward()
    replay()
    grads = {n: None if p.grad is None else p.grad.clone() for n, p in method.named_parameters()}
    method.load_state_dict(before)  # a bank remembers what it has seen
    return {name: value.detach() for name, value in terms.items()}, grads


def assert_alike(one: tuple[dict, Grads], other: tuple[dict, Grads], within: float) -> None:
    torch.testing.assert_close(one[0], other[0], atol=within, rtol=within)
    assert {n for n, g in one[1].items() if g is None} == {
        n for n, g in other[1].items() if g is None
    }
    known = [n for n, g in one[1].items() if g is not None]
    assert known
    for name in known:
        torch.testing.assert_close(
            one[1][name],
            other[1][name],
            atol=within,
            rtol=within,
            msg=lambda m, n=name: f"{n}: {m}",
        )


class InPieces(Encoder):
    """The slow obvious way: pieces one after the other, everything kept."""

    def __init__(self, whole: Encoder, rows: int) -> None:
        super().__init__()
        self.whole, self.rows = whole, rows

    def __getattr__(self, name: str):
        return self.__dict__["_modules"].get(name) or getattr(self._modules["whole"], name)

    def encode_image(self, images, keep=None) -> Encoded:
        return self._pieces(self.whole.encode_image, images, keep)

    def encode_text(self, tokens, keep=None) -> Encoded:
        return self._pieces(self.whole.encode_text, tokens, keep)

    def _pieces(self, encode, x, keep) -> Encoded:
        parts = [
            encode(x[i : i + self.rows], None if keep is None else keep[i : i + self.rows])
            for i in range(0, len(x), self.rows)
        ]
        there = parts[0].padding is not None
        return Encoded(
            torch.cat([p.embedding for p in parts]),
            torch.cat([p.tokens for p in parts]),
            torch.cat([p.padding for p in parts]) if there else None,
        )


@contextmanager
def in_pieces(method: Method, rows: int):
    whole = method.encoder
    method.encoder = InPieces(whole, rows)
    yield lambda: None
    method.encoder = whole


def test_chunks_give_the_whole_batchs_terms_and_gradients(method) -> None:
    without_draws(method.encoder)
    method.double()  # single precision differs by its own rounding, 1e-5 of the largest gradient
    assert_alike(learned(method, 0), learned(method, 3), within=1e-9)


def test_chunks_agree_in_single_precision_too(method) -> None:
    without_draws(method.encoder)
    (terms, grads), (found, others) = learned(method, 0), learned(method, 3)
    torch.testing.assert_close(found, terms, atol=1e-5, rtol=1e-5)
    for name, grad in grads.items():
        if grad is not None:
            error = (others[name] - grad).norm() / grad.norm().clamp(min=1e-3)
            assert error < 1e-5, name


def test_what_is_dropped_is_dropped_again_in_the_second_pass(method) -> None:
    method.double()
    assert_alike(learned(method, 3, in_pieces), learned(method, 3), within=1e-9)


def test_a_chunk_of_all_rows_drops_what_the_whole_batch_does(method) -> None:
    everything = 10 * ROWS
    assert_alike(learned(method, 0), learned(method, everything), within=1e-6)


def test_dropping_matters_to_the_tests_above() -> None:
    torch.manual_seed(0)
    method = ivt.tiny().method.build(DROPPING.build(), 4).train()
    noisy = learned(method, 0)[0]
    without_draws(method.encoder)
    assert learned(method, 0)[0] != noisy


def test_mixed_precision_leaves_no_parameter_without_gradient(method) -> None:
    without_draws(method.encoder)
    with torch.autocast("cpu", torch.bfloat16):
        (whole, expected), (chunked, found) = learned(method, 0), learned(method, 3)
    assert {n for n, g in found.items() if g is None} == {
        n for n, g in expected.items() if g is None
    }
    torch.testing.assert_close(chunked, whole, atol=0.05, rtol=0.05)
    for name, grad in expected.items():
        if grad is not None and grad.norm() > 1e-2:
            alike = nn.functional.cosine_similarity(grad.flatten(), found[name].flatten(), dim=0)
            assert alike > 0.8, name


@pytest.fixture
def plain() -> Method:
    torch.manual_seed(0)
    return clip.tiny().method.build(clip.tiny().encoder.build(), 4).train()


@pytest.mark.parametrize("chunk", [1, 4, ROWS - 1, ROWS])
def test_chunks_of_any_size_do(plain, chunk: int) -> None:
    plain.double()
    assert_alike(learned(plain, 0), learned(plain, chunk), within=1e-9)


def test_a_step_in_chunks_moves_every_parameter_as_a_whole_one() -> None:
    moved = []
    for chunk in (0, 3):
        torch.manual_seed(0)
        method = clip.tiny().method.build(clip.tiny().encoder.build(), 4).train()
        optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
        state = State(alone(method), optimizer, LambdaLR(optimizer, lambda step: 1.0))
        config = replace(clip.tiny().optim, chunk=chunk, clip_norm=1.0)
        terms = [train_step(state, batch(), config)["itc"] for _ in range(3)]
        moved.append((terms, method.state_dict()))
    assert moved[0][0] == pytest.approx(moved[1][0], abs=1e-5)
    assert moved[0][0][0] > moved[0][0][-1]
    torch.testing.assert_close(moved[0][1], moved[1][1], atol=1e-5, rtol=1e-5)


def test_the_method_has_its_own_encoder_back_whatever_happens(plain) -> None:
    own, names = plain.encoder, list(plain.state_dict())
    with pytest.raises(KeyError), in_chunks(plain, 2):
        assert isinstance(plain.encoder, CachedEncoder)
        raise KeyError
    assert plain.encoder is own and list(plain.state_dict()) == names


def test_a_stand_in_has_the_encoders_measures() -> None:
    overlapping = CLIPConfig(
        image_size=(48, 32), patch=16, stride=8, image_width=16, image_layers=1, image_heads=2,
        text_width=16, text_layers=1, text_heads=2, text_length=8, vocabulary=9, embedding=16,
        end_id=3,
    ).build()  # fmt: skip
    stand_in = CachedEncoder(overlapping, 2)
    assert stand_in.image_size == overlapping.image_size == (48, 32)
    assert stand_in.num_patches == overlapping.num_patches
    assert stand_in.word is overlapping.word and stand_in.mask_id == 1
    with pytest.raises(AttributeError, match="nothing"):
        _ = stand_in.nothing


def test_an_encoder_may_be_asked_without_gradient_and_twice_the_same(plain) -> None:
    def twice(chunk: int) -> tuple[Tensor, list]:
        plain.zero_grad()
        with in_chunks(plain, chunk) as replay:
            with torch.no_grad():
                known = plain.encoder.encode_image(batch().images).embedding
            first = plain.encoder.encode_image(batch().images).embedding
            again = plain.encoder.encode_image(batch().images).tokens
        loss = (first - known).square().sum() + (first * again[:, 0]).sum() + again.sum()
        loss.backward()
        replay()
        return loss.detach(), [p.grad.clone() for p in plain.encoder.image_blocks.parameters()]

    torch.testing.assert_close(twice(3), twice(0), atol=1e-4, rtol=1e-4)


def test_a_frozen_encoder_stays_without_gradients(plain) -> None:
    plain.encoder.requires_grad_(False)
    _, grads = learned(plain, 3)
    assert [name for name, grad in grads.items() if grad is not None] == ["log_scale"]


def test_a_parameter_that_a_head_shares_with_the_encoder_learns_from_both(plain) -> None:
    def table(chunk: int) -> Tensor:
        plain.zero_grad()
        with in_chunks(plain, chunk) as replay:
            words = plain.encoder.encode_text(batch().tokens).tokens
            scores = words @ plain.encoder.word.weight.T
        scores.square().mean().backward()
        replay()
        return plain.encoder.word.weight.grad.clone()

    torch.testing.assert_close(table(3), table(0), atol=1e-6, rtol=1e-5)


def test_what_cannot_be_cached_is_refused(plain) -> None:
    with in_chunks(plain, 2), pytest.raises(ValueError, match=r"optim\.chunk to 0"):
        plain.encoder.encode_image(batch().images.requires_grad_())
    plain.encoder.stem.append(nn.BatchNorm2d(3))
    with pytest.raises(ValueError, match=r"normalises over the batch.*optim\.chunk"):
        CachedEncoder(plain.encoder, 2)
    with pytest.raises(ValueError, match="at least 0"):
        replace(clip.tiny().optim, chunk=-1)
