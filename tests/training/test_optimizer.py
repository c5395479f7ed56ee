from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from tipr.data.sampling import Shuffled
from tipr.experiments import clip, clip_sdm, ivt
from tipr.training.experiment import Experiment, OptimConfig
from tipr.training.loop import catch_up, train
from tipr.training.optimizer import _algorithm, build_optimizer, fuse, keep_half, schedule

CONFIG = OptimConfig(
    epochs=60, lr=1.0, head_lr=1.0, warmup_epochs=5, warmup_from=0.1, by_epoch=True
)


def test_the_published_schedule_has_the_published_values() -> None:
    rates = [schedule(epoch * 10 + 3, 10, CONFIG) for epoch in range(60)]
    assert rates[:8] == pytest.approx([0.1, 0.28, 0.46, 0.64, 0.82, 1.0, 0.999185, 0.996741])
    assert rates[29] == pytest.approx(0.599295, abs=1e-6)
    assert rates[44] == pytest.approx(0.194676, abs=1e-6)
    assert rates[59] == pytest.approx(0.000815, abs=1e-6)


def test_a_floor_is_where_the_rate_ends() -> None:
    config = replace(CONFIG, floor=0.002)
    assert schedule(600, 10, config) == pytest.approx(0.002)
    assert schedule(10_000, 10, config) == pytest.approx(0.002)


def test_a_cosine_from_the_start_has_the_values_that_ivt_publishes() -> None:
    """Timm's: the cosine runs under the warm-up and goes on where it is by then."""
    config = ivt.cuhk_pedes().optim
    rates = [config.lr * schedule(epoch * 10 + 3, 10, config) for epoch in range(120)]
    assert rates[:5] == pytest.approx([5e-5, 1.04e-3, 2.03e-3, 3.02e-3, 4.01e-3])
    published = {5: 4.9787e-3, 30: 4.2692e-3, 60: 2.505e-3, 90: 7.408e-4, 119: 1.09e-5}
    assert {e: rates[e] for e in published} == pytest.approx(published, abs=6e-8)


def test_a_short_epoch_leaves_the_schedule_where_the_next_begins() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = LambdaLR(optimizer, lambda step: schedule(step, 10, CONFIG))
    for epoch, batches in enumerate((10, 7, 0, 9), 1):
        for _ in range(batches):
            optimizer.step()
            scheduler.step()
        catch_up(scheduler, 10 * epoch)
        assert scheduler.last_epoch == 10 * epoch
        assert scheduler.get_last_lr() == [schedule(10 * epoch, 10, CONFIG)]


@dataclass(frozen=True, kw_only=True)
class Announced(Shuffled):
    """Gives one batch where it announces three."""

    def epoch(self, person_ids: Sequence[int], size: int) -> Iterator[list[int]]:
        yield next(super().epoch(person_ids, size))

    def length(self, person_ids: Sequence[int], size: int) -> int:
        return 3


def test_a_run_of_short_epochs_ends_where_its_schedule_does(
    tiny: Experiment, tmp_path: Path
) -> None:
    data = replace(tiny.data, sampling=Announced())
    train(replace(tiny, data=data), tmp_path, device="cpu")
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["scheduler"]["last_epoch"] == 3 * tiny.optim.epochs


def groups(**changes) -> list[dict]:
    experiment = clip_sdm.tiny()
    method = experiment.method.build(experiment.encoder.build(), 5)
    config = replace(experiment.optim, lr=1.0, head_lr=3.0, **changes)
    return build_optimizer(method, config).param_groups


def test_vectors_have_their_own_rate_and_decay_only_when_asked() -> None:
    rates = {(g["params"][0].ndim > 1, g["lr"]): g["weight_decay"] for g in groups(bias_lr=2.0)}
    assert rates == {(True, 1.0): 0.02, (False, 2.0): 0.0, (True, 3.0): 0.02, (False, 6.0): 0.0}
    assert all(g["weight_decay"] == 0.02 for g in groups(decay_vectors=True))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)],
)
def test_each_algorithm_can_be_chosen(name, kind) -> None:
    experiment = clip.tiny()
    method = experiment.method.build(experiment.encoder.build(), 5)
    optimizer = build_optimizer(method, replace(experiment.optim, algorithm=name))
    assert type(optimizer) is kind
    with pytest.raises(ValueError, match="adamw, adam, sgd"):
        replace(experiment.optim, algorithm="lion")


def test_the_first_beta_is_the_momentum_of_sgd() -> None:
    assert {g["momentum"] for g in groups(algorithm="sgd", betas=(0.7, 0.999))} == {0.7}


def small_steps(name: str, loads: bool, layout: str, plain: bool = False) -> torch.Tensor:
    """Where five updates take a kernel, its gradients or its saved moments lying otherwise."""
    torch.manual_seed(0)
    wide, vector = nn.Conv2d(16, 32, 3), nn.Parameter(torch.randn(5))
    if layout == "parameter":
        wide.to(memory_format=torch.channels_last)
    config = replace(CONFIG, algorithm=name, lr=1e-2, head_lr=1e-2, weight_decay=0.02)
    groups = [{"params": [*wide.parameters(), vector], "lr": 1e-2, "weight_decay": 0.02}]
    optimizer = _algorithm(groups, config)
    if not plain:
        fuse(optimizer)
    for step in range(5):
        for parameter in (*wide.parameters(), vector):
            gradient = torch.randn(parameter.shape)
            other = layout == "gradient" and gradient.ndim == 4
            parameter.grad = gradient.to(memory_format=torch.channels_last) if other else gradient
        if loads and step == 2:
            optimizer.load_state_dict(_plainly_saved(optimizer))
        optimizer.step()
    return wide.weight.detach().clone()


def _plainly_saved(optimizer: torch.optim.Optimizer) -> dict:
    """As an unfused optimiser would have it, every tensor in the order of its numbers."""
    saved = optimizer.state_dict()
    saved["state"] = {
        number: {name: value.contiguous() for name, value in values.items()}
        for number, values in saved["state"].items()
    }
    saved["param_groups"] = [{**group, "fused": None} for group in saved["param_groups"]]
    return saved


@pytest.mark.parametrize("layout", ["alike", "parameter", "gradient"])
@pytest.mark.parametrize("loads", [False, True])
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_moving_all_in_one_pass_gives_the_same_numbers(name, loads, layout) -> None:
    fused = small_steps(name, loads, layout)
    assert torch.allclose(fused, small_steps(name, False, "alike", plain=True), atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_all_parameters_move_in_one_pass_even_after_an_old_checkpoint(name) -> None:
    experiment = clip.tiny()
    method = experiment.method.build(experiment.encoder.build(), 5)
    optimizer = build_optimizer(method, replace(experiment.optim, algorithm=name))
    assert {group["fused"] for group in optimizer.param_groups} == {True}
    optimizer.load_state_dict(_plainly_saved(optimizer))
    assert {group["fused"] for group in optimizer.param_groups} == {True}


def moved(half: bool, by: float) -> float:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 0.5)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    if half:
        keep_half(optimizer, layer.parameters())
    layer.weight.grad = torch.full_like(layer.weight, by)
    optimizer.step()
    return 0.5 - layer.weight.item()


def test_half_weights_lose_small_updates_and_full_ones_keep_them() -> None:
    assert moved(half=False, by=1e-4) == pytest.approx(1e-4, rel=1e-3)
    assert moved(half=True, by=1e-4) == 0.0
    assert moved(half=True, by=1e-2) == pytest.approx(1e-2, abs=3e-4)


def test_half_gradients_below_the_smallest_half_vanish() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e6)
    keep_half(optimizer, layer.parameters())
    layer.weight.grad = torch.full_like(layer.weight, 1e-8)
    optimizer.step()
    assert layer.weight.item() == 0.0


def test_half_weights_touch_linear_layers_and_spare_norms_and_tables() -> None:
    experiment = clip.tiny()
    method = experiment.method.build(experiment.encoder.build(), 5)
    before = {name: p.detach().clone() for name, p in method.named_parameters()}
    build_optimizer(method, replace(experiment.optim, half_weights=True, epsilon=1e-3))
    changed = {n for n, p in method.named_parameters() if not p.equal(before[n])}
    assert "encoder.image_out.1.weight" in changed
    assert not any("norm" in name or "word" in name or "place" in name for name in changed)


def test_half_weights_ask_for_a_large_epsilon() -> None:
    with pytest.raises(ValueError, match="1e-3"):
        replace(CONFIG, half_weights=True)
