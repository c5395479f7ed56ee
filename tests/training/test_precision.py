"""Precision, recomputing and compiling change how a step is computed, not what it learns."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import get_args

import pytest
import torch
from batches import batch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from tipr.encoders.compact import Stem, stem
from tipr.encoders.shared import SharedBlock
from tipr.experiments import clip, clip_sdm, irra, ivt
from tipr.methods.method import Method
from tipr.training.checkpoint import State
from tipr.training.experiment import Experiment
from tipr.training.loop import train
from tipr.training.optimizer import build_optimizer
from tipr.training.parallel import alone
from tipr.training.precision import arithmetic, gradient_scaler, products_in
from tipr.training.step import prepare, train_step
from tipr.transformer import Block, Recompute

CPU = torch.device("cpu")
DROPPING = replace(ivt.tiny().encoder, dropout=0.3, drop_path=0.5)


def built(experiment: Experiment) -> Method:
    torch.manual_seed(0)
    return experiment.method.build(experiment.encoder.build(), 4).train()


def state_of(experiment: Experiment) -> State:
    method = built(experiment)
    optimizer = build_optimizer(method, experiment.optim)
    scaler = gradient_scaler(CPU, experiment.optim.precision)
    return State(alone(method), optimizer, LambdaLR(optimizer, lambda step: 1.0), scaler)


def changed_to(experiment: Experiment, **optim) -> Experiment:
    return replace(experiment, optim=replace(experiment.optim, **optim))


# -- precision


def test_each_precision_has_its_products() -> None:
    kinds = {"full": None, "auto": None, "mixed": torch.bfloat16, "bf16": torch.bfloat16}
    assert {name: products_in(CPU, name) for name in kinds} == kinds
    assert products_in(CPU, "fp16") is torch.float16
    with pytest.raises(ValueError, match="auto, full, bf16, fp16, mixed"):
        changed_to(clip.tiny(), precision="int8")


def test_a_gpu_without_bfloat16_is_told_what_it_has(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: False)
    with pytest.raises(ValueError, match="to fp16 or full"):
        products_in(torch.device("cuda"), "bf16")
    assert products_in(torch.device("cuda"), "auto") is None


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("full", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_products_are_computed_as_wanted_and_weights_stay_whole(precision, kind) -> None:
    method, seen = built(clip.tiny()), []
    method.encoder.image_blocks[0].attention.qkv.register_forward_hook(
        lambda *args: seen.append(args[-1].dtype)
    )
    with arithmetic(CPU, precision):
        sum(method(batch()).values()).backward()
    assert seen == [kind]
    assert {p.dtype for p in method.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16", "fp16", "mixed"])
def test_lower_precision_learns_as_full_does(precision) -> None:
    lost = {}
    for name in ("full", precision):
        experiment = changed_to(clip.tiny(), precision=name)
        state = state_of(experiment)
        lost[name] = [train_step(state, batch(), experiment.optim)["itc"] for _ in range(8)]
        while state.progress.skipped > len(lost[name]) - 8:  # as often as half precision skipped
            lost[name].append(train_step(state, batch(), experiment.optim)["itc"])
    assert lost[precision][-1] < 0.7 * lost[precision][0]
    assert lost[precision][-1] == pytest.approx(lost["full"][-1], rel=0.25)


def test_scaled_gradients_move_parameters_as_plain_ones_would() -> None:
    moved = []
    for scale in (1.0, 1024.0):
        experiment = changed_to(clip.tiny(), precision="fp16", algorithm="sgd", clip_norm=1.0)
        state = state_of(experiment)
        state.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        train_step(state, batch(), experiment.optim)
        moved.append(state.method.state_dict())
    torch.testing.assert_close(moved[0], moved[1], atol=2e-5, rtol=1e-2)


def exploding(state: State, times: int) -> None:
    """The next gradients overflow."""
    parameter, left = next(state.method.parameters()), [times]

    def overflow(grad: torch.Tensor) -> torch.Tensor:
        left[0] -= 1
        return grad if left[0] < 0 else torch.full_like(grad, torch.inf)

    parameter.register_hook(overflow)


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_step_that_overflows_is_skipped_and_counted(clip_norm) -> None:
    experiment = changed_to(clip.tiny(), precision="fp16", clip_norm=clip_norm)
    state = state_of(experiment)
    before, scale = copy.deepcopy(state.method.state_dict()), state.scaler.get_scale()
    exploding(state, 1)
    train_step(state, batch(), experiment.optim)
    assert all(value.equal(before[name]) for name, value in state.method.state_dict().items())
    assert (state.progress.skipped, state.scaler.get_scale()) == (1, scale / 2)
    train_step(state, batch(), experiment.optim)
    assert state.progress.skipped == 1 and state.scheduler.last_epoch == 2
    assert not all(v.equal(before[name]) for name, v in state.method.state_dict().items())


def test_a_loss_that_is_no_number_is_an_error_in_full_precision_and_skipped_in_half() -> None:
    for precision in ("full", "fp16"):
        experiment = changed_to(clip.tiny(), precision=precision)
        state = state_of(experiment)
        state.method.encoder.image_out[1].weight.data.fill_(torch.inf)
        if precision == "full":
            with pytest.raises(FloatingPointError, match=r"lower optim\.lr"):
                train_step(state, batch(), experiment.optim)
            continue
        state.progress.add(train_step(state, batch(), experiment.optim))
        assert (state.progress.skipped, state.progress.summed, state.progress.steps) == (1, 0, 1)


def test_what_overflows_at_any_scale_is_an_error() -> None:
    experiment = changed_to(clip.tiny(), precision="fp16")
    state = state_of(experiment)
    exploding(state, 1000)
    with pytest.raises(FloatingPointError, match="at any scale"):
        for _ in range(30):
            train_step(state, batch(), experiment.optim)


def test_half_weights_are_kept_under_a_scaler_too() -> None:
    experiment = changed_to(clip.tiny(), precision="fp16", half_weights=True, epsilon=1e-3)
    state = state_of(experiment)
    train_step(state, batch(), experiment.optim)
    weight = state.method.encoder.image_out[1].weight
    assert weight.equal(weight.half().float())


def test_a_run_in_half_precision_tells_what_it_skipped(tiny, tmp_path) -> None:
    train(changed_to(tiny, precision="fp16", epochs=1), tmp_path, device="cpu")
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert saved["scaler"]["scale"] > 0
    assert '"skipped": 0.0' in (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(ValueError, match="does not fit"):  # a scaler needs its state
        torch.save({**saved, "scaler": {}}, tmp_path / "last.pt")
        state_of(changed_to(tiny, precision="fp16")).load(tmp_path / "last.pt")


# -- recomputing and compiling


RECOMPUTED = [
    clip_sdm.tiny(),
    irra.tiny(),
    ivt.tiny(),
    replace(ivt.tiny(), encoder=DROPPING),
]


@pytest.mark.parametrize("chunk", [0, 3])
@pytest.mark.parametrize("experiment", RECOMPUTED, ids=["clip_sdm", "irra", "ivt", "dropping"])
def test_recomputed_activations_give_the_same_losses_and_gradients(experiment, chunk) -> None:
    found = []
    for recompute in get_args(Recompute):
        method = built(experiment)
        config = replace(experiment.optim, recompute=recompute, chunk=chunk, algorithm="sgd")
        prepare(method, config)
        optimizer = build_optimizer(method, config)
        state = State(alone(method), optimizer, LambdaLR(optimizer, lambda step: 1.0))
        torch.manual_seed(3)
        terms = train_step(state, batch(), config)
        found.append((terms, {n: p.grad for n, p in method.named_parameters()}, torch.rand(())))
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, atol=0, rtol=0)


def kept(block: nn.Module, x: torch.Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, of what is not a weight."""
    weights, sizes = {p.data_ptr() for p in block.parameters()}, {}

    def noted(value: torch.Tensor) -> torch.Tensor:
        if value.data_ptr() not in weights:
            sizes[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(noted, lambda value: value):
        held = block(x)  # held, so that no place in memory is counted as two
    del held
    return sum(sizes.values())


def test_a_block_that_recomputes_keeps_next_to_nothing_and_only_in_training() -> None:
    block, x = Block(16, 2).train(), torch.randn(4, 8, 16, requires_grad=True)
    plain = kept(block, x)
    block.recompute = "blocks"
    assert kept(block, x) <= x.nbytes < plain / 10
    assert kept(block.eval(), x) == plain
    with torch.no_grad():
        assert block(x).equal(block.train()(x))


@pytest.mark.parametrize("block", [Block(64, 2), SharedBlock(64, 2, 0.0), stem((16, 32))])
def test_what_norms_and_activations_give_need_not_be_kept(block: nn.Module) -> None:
    x = torch.randn(4, 3, 32, 64) if isinstance(block, Stem) else torch.randn(4, 32, 64)
    x.requires_grad_()
    given = (x, "image") if isinstance(block, SharedBlock) else (x,)
    run = _Given(block, given)
    plain = kept(run, x)
    block.recompute = "norms"
    assert kept(run, x) < 0.75 * plain


class _Given(nn.Module):
    """A module with all that it is called with."""

    def __init__(self, module: nn.Module, given: tuple) -> None:
        super().__init__()
        self.module, self.given = module.train(), given

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.module(*self.given)


@pytest.mark.parametrize("recompute", ["norms", "blocks"])
def test_every_block_of_a_method_recomputes_when_asked(recompute: Recompute) -> None:
    method = built(irra.tiny())
    prepare(method, replace(irra.tiny().optim, recompute=recompute))
    parts = [part for part in method.modules() if hasattr(part, "recompute")]
    assert {part.recompute for part in parts} == {recompute}
    assert any(isinstance(part, Stem) for part in parts)
    towers = [part for part in method.encoder.modules() if part in parts]
    assert 0 < len(towers) < len(parts)  # the head's blocks too
    assert list(method.state_dict()) == list(built(irra.tiny()).state_dict())


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # dynamo's own
@pytest.mark.parametrize("how", get_args(Recompute))
def test_compiled_blocks_compute_the_same_and_are_saved_alike(how: Recompute) -> None:
    method, compiled = built(clip.tiny()), built(clip.tiny())
    prepare(compiled, replace(clip.tiny().optim, compile=True, recompute=how), backend="eager")
    blocks = [block for block in compiled.modules() if isinstance(block, Block)]
    assert blocks and all(block._compiled_call_impl is not None for block in blocks)
    losses = []
    for each in (method, compiled):
        loss = sum(each(batch()).values())
        loss.backward()
        losses.append((loss.detach(), [p.grad for p in each.parameters()]))
    torch.testing.assert_close(losses[0], losses[1])
    assert list(compiled.state_dict()) == list(method.state_dict())
    assert isinstance(copy.deepcopy(compiled.encoder), nn.Module)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_a_compiled_run_is_trained_validated_saved_and_loaded(tiny, tmp_path, monkeypatch) -> None:
    eager = partial(prepare, backend="eager")
    monkeypatch.setattr("tipr.training.loop.prepare", eager)
    whole = train(changed_to(tiny, epochs=1), tmp_path / "whole", device="cpu")
    compiled = changed_to(tiny, epochs=1, compile=True)
    assert train(compiled, tmp_path / "compiled", device="cpu").fingerprint == whole.fingerprint
