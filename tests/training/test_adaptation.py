"""What of an encoder learns, and which weights come out of it."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from batches import batch

from tipr.embedder import Embedder
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.encoder import Encoder
from tipr.experiments import clip, ivt
from tipr.training.adaptation import adapted, merged
from tipr.training.experiment import AdaptConfig, Experiment
from tipr.training.loop import train

CLIP = CLIPConfig(
    image_size=(64, 32), image_width=32, image_layers=3, image_heads=2, text_width=32,
    text_layers=2, text_heads=2, text_length=20, vocabulary=100, embedding=16, end_id=99,
)  # fmt: skip
ENCODERS = {"clip": CLIP, "compact": clip.TINY, "shared": ivt.tiny().encoder}


def encoder(name: str) -> Encoder:
    torch.manual_seed(0)
    return ENCODERS[name].build()


def names(of: Encoder, modality) -> list[set[str]]:
    known = {id(p): name for name, p in of.named_parameters()}
    return [{known[id(p)] for p in stage} for stage in of.stages(modality)]


def learning(of: Encoder) -> set[str]:
    return {name for name, p in of.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", ENCODERS)
def test_the_stages_of_both_towers_are_the_whole_encoder(name) -> None:
    whole = encoder(name)
    image, text = (names(whole, modality) for modality in ("image", "text"))
    assert set().union(*image, *text) == {n for n, _ in whole.named_parameters()}
    for tower in (image, text):
        assert sum(map(len, tower)) == len(set().union(*tower))  # no parameter stands twice


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("modality", ["image", "text"])
def test_only_a_towers_own_stages_matter_to_its_embedding(name, modality) -> None:
    whole = encoder(name).eval()
    given = batch()
    encode = whole.encode_image if modality == "image" else whole.encode_text
    rows = torch.rand(4, 3, *whole.image_size) if modality == "image" else given.tokens % 90
    if modality == "text" and name == "clip":
        rows = rows[:, :20]
    encode(rows).embedding.sum().backward()
    touched = {n for n, p in whole.named_parameters() if p.grad is not None}
    assert touched == set().union(*names(whole, modality))


@pytest.mark.parametrize("name", ["clip", "compact"])
def test_a_frozen_tower_keeps_its_weights_and_the_other_learns(name) -> None:
    whole = encoder(name)
    adapted(whole, AdaptConfig(frozen="text"), None)
    assert learning(whole) == set().union(*names(whole, "image"))
    adapted(whole, AdaptConfig(frozen="both"), None)
    assert learning(whole) == set()


def test_what_towers_share_learns_while_one_of_them_does() -> None:
    whole = encoder("shared")
    adapted(whole, AdaptConfig(frozen="image"), None)
    assert learning(whole) == set().union(*names(whole, "text"))
    assert "blocks.0.attention.qkv.weight" in learning(whole)


def test_the_last_layers_learn_with_their_output() -> None:
    whole = encoder("clip")
    adapted(whole, AdaptConfig(last_layers=1), None)
    stages = names(whole, "image"), names(whole, "text")
    assert learning(whole) == set().union(*(tower[-1] | tower[-2] for tower in stages))
    adapted(whole, AdaptConfig(last_layers=0, frozen="image"), None)
    assert learning(whole) == {"norm_text.weight", "norm_text.bias", "text_out.weight"}
    with pytest.raises(ValueError, match=r"adapt\.last_layers is 3, but a tower has 2 layers"):
        adapted(whole, AdaptConfig(last_layers=3), None)


def test_an_encoder_that_does_not_know_its_layers_says_so() -> None:
    class Own(type(encoder("clip"))):
        stages = Encoder.stages

    own = Own(CLIP)
    adapted(own, AdaptConfig(), None)  # trained as a whole it need not
    with pytest.raises(ValueError, match="Own does not tell its layers apart"):
        adapted(own, AdaptConfig(last_layers=1), None)


def test_low_rank_additions_are_all_that_learns_and_merge_exactly() -> None:
    whole = encoder("clip").double()
    before = {n: p.clone() for n, p in whole.state_dict().items()}
    adapted(whole, AdaptConfig(lora_rank=2, last_layers=1), None)
    assert all("lora_" in name for name in learning(whole))
    assert {name.split(".")[1] for name in learning(whole) if "image" in name} == {"2"}
    images = torch.rand(2, 3, 64, 32).double()
    with torch.no_grad():
        for name, p in whole.named_parameters():
            if "lora_" in name:
                p.add_(0.1 * torch.randn_like(p))
        expected = whole.encode_image(images).embedding
        plain = merged(deepcopy(whole))
        assert torch.allclose(plain.encode_image(images).embedding, expected, atol=1e-10)
    changed = {n for n, p in plain.state_dict().items() if not p.equal(before[n])}
    assert plain.state_dict().keys() == before.keys()
    assert changed == {
        f"{tower}.{part}.weight"
        for tower in ("image_blocks.2", "text_blocks.1")
        for part in ("attention.qkv", "attention.out", "feedforward.0", "feedforward.2")
    }


def test_additions_need_layers_that_learn() -> None:
    with pytest.raises(ValueError, match="finds no matrices in layers that learn"):
        adapted(encoder("clip"), AdaptConfig(lora_rank=2, last_layers=0), None)


def test_an_average_follows_the_weights_slowly() -> None:
    whole = encoder("clip")
    shipped = adapted(whole, AdaptConfig(ema=0.75), None)
    name, values = "text_out.weight", []
    for step in range(3):
        with torch.no_grad():
            whole.text_out.weight.fill_(float(step))
        shipped.follow(whole)
        values.append(shipped.encoder(whole).state_dict()[name].unique().item())
    # the first step is taken as it is, then a quarter of each
    assert values == pytest.approx([0.0, 0.25, 0.25 * 0.75 + 0.5])
    assert whole.text_out.weight.unique().item() == 2.0  # training goes on from its own
    again = adapted(encoder("clip"), AdaptConfig(ema=0.75), None)
    again.load_state_dict(shipped.state_dict())
    again.follow(whole), shipped.follow(whole)
    assert again.encoder(whole).text_out.weight.equal(shipped.encoder(whole).text_out.weight)


def test_what_is_kept_lies_between_the_start_and_the_end() -> None:
    whole = encoder("clip")
    start = deepcopy(whole.state_dict())
    shipped = adapted(whole, AdaptConfig(towards_start=0.25), start)
    with torch.no_grad():
        for p in whole.parameters():
            p.add_(1.0)
    mixed = shipped.encoder(whole).state_dict()
    assert all(torch.allclose(mixed[n], value + 0.75) for n, value in start.items())


@pytest.mark.parametrize(
    "wrong", [{"frozen": "words"}, {"last_layers": -2}, {"lora_rank": -1}, {"ema": 1.0},
              {"towards_start": 1.0}],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=rf"adapt\.{next(iter(wrong))}"):
        AdaptConfig(**wrong)


WAYS = {
    "lora": AdaptConfig(lora_rank=2, lora_dropout=0.2),
    "ema": AdaptConfig(ema=0.5),
    "mixed": AdaptConfig(towards_start=0.5),
    "all": AdaptConfig(lora_rank=2, ema=0.5, towards_start=0.5, last_layers=1),
}


@pytest.fixture(scope="module")
def pretrained(rectangles_root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("pretrained") / "run"
    train(on(clip.tiny(), rectangles_root, 1), out, device="cpu")
    return str(out)


def on(experiment: Experiment, root: Path, epochs: int) -> Experiment:
    return replace(
        experiment,
        data=replace(experiment.data, root=root),
        optim=replace(experiment.optim, epochs=epochs, save_minutes=0.0),
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_run_ships_a_plain_encoder_and_resumes_exactly(
    way, pretrained, rectangles_root, tmp_path, monkeypatch
) -> None:
    experiment = replace(
        on(clip.tiny(), rectangles_root, 2), adapt=WAYS[way], init_from=pretrained
    )  # fmt: skip
    whole = train(experiment, tmp_path / "whole", device="cpu")
    plain = clip.TINY.build().state_dict()
    assert {n: x.shape for n, x in whole.encoder.state_dict().items()} == {
        n: x.shape for n, x in plain.items()
    }
    from test_resume import assert_same_end, broken_at

    broken_at(8, experiment, tmp_path / "died", monkeypatch)
    train(experiment, tmp_path / "died", resume=True, device="cpu")
    assert_same_end(tmp_path / "whole", tmp_path / "died")
    again = Embedder.load(str(tmp_path / "died" / "last"))
    assert again.fingerprint == Embedder.load(str(tmp_path / "whole" / "last")).fingerprint


def test_a_resumed_run_needs_its_start_no_more(pretrained, rectangles_root, tmp_path, monkeypatch):
    start = tmp_path / "start"
    Embedder.load(pretrained).save(start)
    experiment = replace(
        on(clip.tiny(), rectangles_root, 2), adapt=AdaptConfig(towards_start=0.5),
        init_from=str(start),
    )  # fmt: skip
    from test_resume import broken_at

    broken_at(3, experiment, tmp_path / "run", monkeypatch)
    for file in start.iterdir():
        file.unlink()
    facts = json.loads((tmp_path / "run" / "input" / "input.json").read_text())
    assert facts["init_fingerprint"] == Embedder.load(pretrained).fingerprint
    train(experiment, tmp_path / "run", resume=True, device="cpu")
    (tmp_path / "run" / "input" / "start.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"start\.safetensors cannot be read"):
        train(experiment, tmp_path / "run", resume=True, device="cpu")


def test_mixing_with_a_start_needs_one(rectangles_root, tmp_path) -> None:
    experiment = replace(on(clip.tiny(), rectangles_root, 1), adapt=AdaptConfig(towards_start=0.5))
    with pytest.raises(ValueError, match="name them with --init-from"):
        train(experiment, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
