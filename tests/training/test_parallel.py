"""Two processes take the step that one takes with both their batches."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist
from batches import batch
from processes import together
from torch import Tensor, nn

from tipr.data.pairs import Batch
from tipr.experiments import clip, clip_sdm, irra, lcr2s, sen
from tipr.methods.clip import CLIPMethod
from tipr.methods.lcr2s import RicherConfig
from tipr.methods.method import Method
from tipr.methods.sen import SENConfig
from tipr.training.cached import in_chunks
from tipr.training.experiment import Experiment
from tipr.training.optimizer import build_optimizer
from tipr.training.parallel import Parallel, average_gradients, wrapped
from tipr.training.world import World, from_first, highest, mean_over, own_draws, started, world_of

RICHER = RicherConfig(heads=4, dropout=0.0, slots=8, temperature=0.05)
EXPERIMENTS: dict[str, Experiment] = {
    "clip": clip.tiny(),
    "clip_sdm": clip_sdm.tiny(),
    "irra": irra.tiny(),
    "sen": replace(sen.tiny(), method=SENConfig(temperature=0.05, restoration_weight=0.0)),
    "richer": replace(lcr2s.tiny(), method=RICHER),
}
WAYS: dict[str, dict[str, bool]] = {
    "copies": {},
    "chunked": {"chunked": True},
    "sharded": {"sharded": True},
}
CASES = [
    *((name, "copies") for name in EXPERIMENTS),
    *((name, "sharded") for name in ("clip", "irra", "richer")),
    *((name, "chunked") for name in ("clip_sdm", "sen")),
]
ALONE = World()


def here() -> World:
    if not dist.is_initialized():
        return ALONE
    return World(rank=dist.get_rank(), size=dist.get_world_size())


def share(world: World) -> Batch:
    """This process's rows of a batch; its people stand apart, so the processes share them."""
    whole = replace(batch(), support=None)
    whole.images = whole.images.double()
    order = torch.arange(len(whole)).view(-1, 2).T.flatten()
    own = order.chunk(world.size)[world.rank]
    tensors = {f.name: getattr(whole, f.name) for f in fields(whole)}
    return replace(whole, **{n: x[own] for n, x in tensors.items() if isinstance(x, Tensor)})


def first_words(words: Tensor, *_: Any, **__: Any) -> Tensor:
    return words == 1


def blanked(tokens: Tensor, hidden: Tensor, mask_id: int, _: range) -> Tensor:
    return tokens.masked_fill(hidden, mask_id)


@contextmanager
def same_words_hidden() -> Generator[None]:
    """IRRA's masks without chance, as many words on each process."""
    with (
        patch("tipr.methods.irra.chosen_words", first_words),
        patch("tipr.methods.irra.corrupted", blanked),
    ):
        yield


def built(name: str, world: World, **way: bool) -> tuple[Parallel, torch.optim.Optimizer]:
    experiment = EXPERIMENTS[name]
    torch.manual_seed(world.rank)  # the first one's weights count
    method = experiment.method.build(experiment.encoder.build(), num_persons=4).double()
    parallel = wrapped(method, world, **way)
    return parallel, build_optimizer(parallel.method, experiment.optim)


def step(parallel: Parallel, optimizer: torch.optim.Optimizer, rows: int = 0) -> None:
    """Clipped hard, so that the norm of all gradients matters."""
    optimizer.zero_grad()
    with same_words_hidden(), in_chunks(parallel.method, rows) as replay:
        terms = parallel(share(parallel.world))
    torch.stack(list(terms.values())).sum().backward()
    replay()
    parallel.average()
    parallel.clip(0.1)
    optimizer.step()


def moved(name: str, **way: bool) -> dict[str, Tensor]:
    """The parameters after two steps."""
    parallel, optimizer = built(name, here(), **way)
    for _ in range(2):
        step(parallel, optimizer, rows=3 if way.get("chunked") else 0)
    return parallel.state(parallel.method)


def resumed() -> dict[str, Any]:
    """A sharded run that is saved after one step and goes on in a new one."""
    world = here()
    parallel, optimizer = built("clip", world, sharded=True)
    step(parallel, optimizer)
    kept = [[parallel.state(parallel.method), parallel.state(optimizer)]]
    dist.broadcast_object_list(kept, src=0)  # as if all had read the file
    again, moments = built("clip", world, sharded=True)
    again.load(again.method, kept[0][0])
    again.load(moments, kept[0][1])
    step(again, moments)
    return again.state(again.method)


def whole_of_it() -> dict[str, Any]:
    """What the first process shows others of a sharded method."""
    parallel, optimizer = built("clip", here(), sharded=True)
    parallel.method.epoch = 7
    kind = {type(p).__name__ for p in parallel.method.parameters()}
    largest = max(p.numel() for p in parallel.method.parameters())
    held = max(getattr(p, "_local_tensor", p).numel() for p in parallel.method.parameters())
    step(parallel, optimizer)
    with parallel.whole() as method:
        shown = None if method is None else encoded(method)
        epoch = method.epoch if method is not None else -1
    return {"kinds": sorted(kind), "share": held / largest, "shown": shown, "epoch": epoch}


@torch.no_grad()
def encoded(method: Method) -> Tensor:
    return method.encoder.encode_text(share(ALONE).tokens).embedding


class Sometimes(CLIPMethod):
    """One parameter takes part in even epochs, one never."""

    varying = True

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.often, self.never = (nn.Parameter(torch.ones(1).double()) for _ in range(2))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        terms = super().forward(batch)
        return {"itc": terms["itc"] * self.often} if self.epoch % 2 == 0 else terms


def changing() -> dict[str, Tensor]:
    """The parameters of a method whose steps are not alike."""
    experiment = clip.tiny()
    torch.manual_seed(0)
    method = Sometimes(experiment.method, experiment.encoder.build()).double()
    parallel = wrapped(method, here())
    optimizer = build_optimizer(parallel.method, experiment.optim)
    for epoch in range(3):
        parallel.method.epoch = epoch
        step(parallel, optimizer)
    return parallel.state(parallel.method)


def uneven_gradients() -> list[Tensor | None]:
    """Of three parameters: known on both processes, on the second one, on none."""
    world = here()
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad = torch.tensor([1.0, 2.0]) * (1 + world.rank)
    if world.rank == 1:
        parameters[1].grad = torch.tensor([4.0, 6.0])
    average_gradients(parameters, world)
    return [p.grad for p in parameters]


def small_talk() -> dict[str, Any]:
    world = here()
    own_draws(world, 3, 5)
    return {
        "mean": mean_over(world, {"a": 1.0 + world.rank, "b": -2.0}),
        "highest": list(highest(world, world.rank, 7 - world.rank)),
        "first": from_first(world, 10.0 + world.rank),
        "draw": torch.rand(3),
    }


def all_of_it() -> dict[str, Any]:
    found = {f"{name} {way}": moved(name, **WAYS[way]) for name, way in CASES}
    return {
        **found,
        "changing": changing(),
        "resumed": resumed(),
        "whole": whole_of_it(),
        "uneven": uneven_gradients(),
        "talk": small_talk(),
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return together(all_of_it, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def one() -> dict[str, dict[str, Tensor]]:
    return {name: moved(name) for name in EXPERIMENTS}


def assert_alike(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=0, atol=1e-6), name


@pytest.mark.parametrize(("name", "way"), CASES)
def test_two_processes_step_where_one_does(two, one, name: str, way: str) -> None:
    start = built(name, ALONE)[0].method.state_dict()
    assert max((start[n] - value).abs().max() for n, value in one[name].items()) > 1e-4
    assert_alike(two[0][f"{name} {way}"], one[name])


def test_steps_that_differ_in_what_they_use_are_those_of_one_process(two) -> None:
    expected = changing()
    assert_alike(two[0]["changing"], expected)
    assert expected["often"] != 1 and expected["never"] == 1  # not even decayed


def test_only_the_first_process_is_given_a_state(two) -> None:
    assert two[1]["clip copies"] == two[1]["clip sharded"] == {}


def test_a_sharded_run_goes_on_where_it_was_saved(two, one) -> None:
    assert_alike(two[0]["resumed"], one["clip"])


def test_the_first_process_shows_a_sharded_method_whole(two) -> None:
    parallel, optimizer = built("clip", ALONE)
    step(parallel, optimizer)
    first, second = (process["whole"] for process in two)
    assert torch.allclose(first["shown"], encoded(parallel.method), atol=1e-6)
    assert first["epoch"] == 7 and second["shown"] is None


def test_a_sharded_process_holds_half_of_what_there_is(two) -> None:
    assert all(process["whole"]["share"] == 0.5 for process in two)
    assert two[0]["whole"]["kinds"] == ["DTensor", "Parameter"]  # the temperature is one number


def test_what_one_process_learned_counts_half_and_what_none_did_not_at_all(two) -> None:
    for process in two:
        both, half, none = process["uneven"]
        assert both.tolist() == [1.5, 3.0] and half.tolist() == [2.0, 3.0] and none is None


def test_processes_tell_each_other_numbers(two) -> None:
    for process in two:
        talk = process["talk"]
        assert talk["mean"] == {"a": 1.5, "b": -2.0}
        assert talk["highest"] == [1, 7] and talk["first"] == 10.0


def test_the_first_process_draws_what_a_single_one_does_and_others_something_else(two) -> None:
    own_draws(ALONE, 3, 5)
    assert two[0]["talk"]["draw"].equal(torch.rand(3))
    assert not two[0]["talk"]["draw"].equal(two[1]["talk"]["draw"])


def test_alone_nothing_is_wrapped_and_everything_answers() -> None:
    method = clip.tiny().method.build(clip.tiny().encoder.build(), 4)
    parallel = wrapped(method, ALONE, sharded=True)
    assert parallel.step is method and not parallel.sharded
    with parallel.whole() as same:
        assert same is method
    assert mean_over(ALONE, {"a": 2.0}) == {"a": 2.0}
    assert highest(ALONE, 2, 0) == (2, 0) and from_first(ALONE, 3.0) == 3.0
    with started("cpu") as world:
        assert world == ALONE and world.is_first


def test_sharding_and_cached_gradients_exclude_each_other() -> None:
    method = clip.tiny().method.build(clip.tiny().encoder.build(), 4)
    with pytest.raises(ValueError, match=r"optim\.sharded to false or optim\.chunk to 0"):
        wrapped(method, World(rank=0, size=2), sharded=True, chunked=True)


TORCHRUN = {
    "RANK": "2",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "0",
    "MASTER_ADDR": "h",
    "MASTER_PORT": "1",
}


def test_torchruns_variables_say_who_one_is() -> None:
    assert world_of({}, "cpu") == world_of({"WORLD_SIZE": "1"}, "cpu") == ALONE
    assert world_of(TORCHRUN, "cpu") == World(rank=2, size=4)
    with pytest.raises(ValueError, match="WORLD_SIZE is 4, but LOCAL_RANK is not set"):
        world_of({n: v for n, v in TORCHRUN.items() if n != "LOCAL_RANK"}, "cpu")
    with pytest.raises(ValueError, match="RANK is 4, which is no process of 4"):
        world_of({**TORCHRUN, "RANK": "4"}, "cpu")


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert world_of({**TORCHRUN, "LOCAL_RANK": "1"}).device == torch.device("cuda", 1)
    with pytest.raises(ValueError, match="finds only 2 GPUs"):
        world_of({**TORCHRUN, "LOCAL_RANK": "2"})
    with pytest.raises(ValueError, match="cannot all compute on cuda:1"):
        world_of(TORCHRUN, "cuda:1")
