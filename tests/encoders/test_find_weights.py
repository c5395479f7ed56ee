"""One entry for all: what a file or folder holds is told by the names in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from references.positions import resized
from safetensors.torch import load_file, save_file
from torch import Tensor

from tipr.encoders.clip import CLIPConfig
from tipr.encoders.pretrained.faults import UnsafeWeights, WeightsError
from tipr.encoders.pretrained.find import load_weights
from tipr.encoders.pretrained.hybrid import bert_half, fitting_config, hybrid, vit_half
from tipr.encoders.pretrained.vit import vit_part
from tipr.encoders.shared import SharedConfig

pytest.importorskip("transformers")
from references.published import openai_entries, small_clip, write_archive, write_open_clip
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

SIZES = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 512}  # fmt: skip


def write(kind: str, folder: Path) -> Path:
    """The file or folder that a user would name."""
    folder.mkdir()
    entries = openai_entries(small_clip())
    if kind == "transformers' CLIP":
        small_clip().save_pretrained(folder)
    elif kind == "open_clip":
        write_open_clip(entries, folder, "quick_gelu", custom=False)
    elif kind == "OpenAI's archive":
        write_archive(entries, folder / "ViT-B-16.pt")
        return folder / "ViT-B-16.pt"
    elif kind == "OpenAI's entries":
        torch.save(entries, folder / "clip.pt")
        return folder / "clip.pt"
    else:
        del entries["logit_scale"]
        table = "visual.positional_embedding"
        entries[table] = resized(entries[table], (14, 14), (24, 8))
        saved = {f"module.base_model.{name}": tensor for name, tensor in entries.items()}
        torch.save({"model": saved}, folder / "best.pth")
        torch.save({"model": {}}, folder / "last.pth")
    return folder


def vit(folder: Path, **sizes: int) -> Path:
    ViTModel(ViTConfig(**(SIZES | sizes), image_size=224, patch_size=16)).save_pretrained(folder)
    return folder


def bert(folder: Path) -> Path:
    config = BertConfig(**SIZES, vocab_size=60, max_position_embeddings=20)
    BertModel(config).save_pretrained(folder)
    return folder


CLIPS = [
    "transformers' CLIP", "open_clip", "OpenAI's archive", "OpenAI's entries", "IRRA's run",
]  # fmt: skip


@pytest.mark.parametrize("kind", CLIPS)
@pytest.mark.parametrize("as_text", [False, True])
def test_every_clip_is_the_same_encoder(kind: str, as_text: bool, tmp_path: Path) -> None:
    source = write(kind, tmp_path / "weights")
    loaded = load_weights(str(source) if as_text else source)
    assert isinstance(loaded.config, CLIPConfig)
    assert loaded.config.image_size == (384, 128) and loaded.build().grid == (24, 8)
    theirs = openai_entries(small_clip())
    assert torch.equal(loaded.state["word.weight"], theirs["token_embedding.weight"])
    expected = resized(theirs["visual.positional_embedding"], (14, 14), (24, 8))
    assert torch.allclose(loaded.state["place"][0], expected, atol=1e-5)
    assert loaded.unknown == ()


@pytest.mark.parametrize("kind", CLIPS)
def test_pictures_may_have_another_size(kind: str, tmp_path: Path) -> None:
    source = write(kind, tmp_path / "weights")
    loaded = load_weights(source, image_size=(256, 128), stride=12)
    assert loaded.config.image_size == (256, 128) and loaded.config.stride == 12
    assert loaded.build().grid == (21, 10)


def test_a_vit_and_a_bert_make_a_shared_encoder(tmp_path: Path) -> None:
    source = f"{vit(tmp_path / 'vit')}+{bert(tmp_path / 'bert')}"
    loaded = load_weights(source)
    sizes = {"width": 128, "layers": 2, "heads": 4, "vocabulary": 60, "text_length": 20}
    assert loaded.config == SharedConfig(**sizes)
    assert loaded.build().grid == (24, 8)
    loaded = load_weights(source, image_size=(256, 128), stride=12)
    assert loaded.config == SharedConfig(**sizes, image_size=(256, 128), stride=12)


@pytest.mark.parametrize(("stride", "count"), [(16, 166_450_176), (12, 166_631_424)])
def test_published_sizes_make_the_released_encoder(stride: int, count: int) -> None:
    """ViT-B/16 and bert-base-uncased, by their shapes alone."""
    with torch.device("meta"):
        words, pictures = BertModel(BertConfig()), ViTModel(ViTConfig())
    picture = vit_half(Path("vit.pt"), pictures.state_dict())
    sentence = bert_half(Path("bert.pt"), words.state_dict())
    config = fitting_config(picture, sentence, (384, 128), stride)
    assert config == SharedConfig(stride=stride)
    state = hybrid(picture, sentence, config).state
    assert sum(tensor.numel() for tensor in state.values()) == count


def test_heads_without_a_config_are_of_64(tmp_path: Path) -> None:
    whole = vit(tmp_path / "vit")
    (whole / "config.json").unlink()
    loaded = load_weights(f"{whole / 'model.safetensors'}+{bert(tmp_path / 'bert')}")
    assert loaded.config.heads == 2


@torch.no_grad()
def test_a_vits_config_comes_before_a_square(tmp_path: Path) -> None:
    """16 patches are 8 x 2 here, and would be 4 x 4."""
    config = ViTConfig(**SIZES, image_size=(128, 32), patch_size=16)
    model = ViTModel(config)
    model.embeddings.position_embeddings.normal_()
    model.save_pretrained(tmp_path / "vit")
    source = f"{tmp_path / 'vit'}+{bert(tmp_path / 'bert')}"
    place = load_weights(source, image_size=(64, 64)).state["picture.place"][0]
    table = model.embeddings.position_embeddings[0]
    assert torch.allclose(place, resized(table, (8, 2), (4, 4)), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_attention_heads": "x"}, "num_attention_heads is 'x'"),
        ({"num_attention_heads": 5}, "num_attention_heads is 5, which does not divide"),
        ({"image_size": "224"}, "image_size is '224'; it must be one whole number above 0"),
        ({"image_size": [224, -1]}, "image_size is -1"),
    ],
)
def test_a_vits_config_that_cannot_be_right_is_named(settings, says, tmp_path: Path) -> None:
    whole = vit(tmp_path / "vit")
    (whole / "config.json").write_text(json.dumps({"model_type": "vit", **settings}))
    with pytest.raises(WeightsError, match=r"config\.json: " + says):
        load_weights(f"{whole}+{bert(tmp_path / 'bert')}")


@pytest.mark.parametrize("number", ["100000000", "9" * 5000], ids=["large", "endless"])
def test_a_block_of_an_absurd_number_is_unknown(number: str, tmp_path: Path) -> None:
    whole, words = vit(tmp_path / "vit"), bert(tmp_path / "bert")
    entries = load_file(whole / "model.safetensors")
    odd = f"encoder.layer.{number}.layernorm_before.weight"
    save_file(entries | {odd: torch.ones(128)}, whole / "model.safetensors")
    loaded = load_weights(f"{whole}+{words}")
    assert loaded.unknown == (odd,) and loaded.config.layers == 2


def test_a_runs_folder_with_several_bests_asks_for_one(tmp_path: Path) -> None:
    """As MLLM4Text-ReID leaves it."""
    for i in range(3):
        (tmp_path / f"best{i}.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"\(best0\.pth, best1\.pth, best2\.pth\)") as error:
        load_weights(tmp_path)
    assert f"name one of them, as {tmp_path / 'best0.pth'}" in str(error.value)


def test_a_plus_in_a_name_joins_nothing(tmp_path: Path) -> None:
    assert load_weights(write("OpenAI's entries", tmp_path / "a+b")).matched
    words = bert(tmp_path / "c+d")
    assert load_weights(f"{vit(tmp_path / 'e+f')}+{words}").config.vocabulary == 60


def test_halves_the_wrong_way_round_are_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="name the ViT first"):
        load_weights(f"{bert(tmp_path / 'bert')}+{vit(tmp_path / 'vit')}")


def test_half_a_start_asks_for_the_other(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="picture transformer alone; name a BERT as well"):
        load_weights(vit(tmp_path / "vit"))
    with pytest.raises(WeightsError, match="BERT alone; name a ViT as well"):
        load_weights(bert(tmp_path / "bert"))


def test_halves_of_two_widths_are_told(tmp_path: Path) -> None:
    small = vit(tmp_path / "vit", hidden_size=64, intermediate_size=256)
    with pytest.raises(WeightsError, match=r"word_embeddings\.weight is 60 x 128") as error:
        load_weights(f"{small}+{bert(tmp_path / 'bert')}")
    assert str(tmp_path / "bert") in str(error.value)


def saved(folder: Path, entries: dict[str, Tensor]) -> Path:
    save_file(entries, folder / "some.safetensors")
    return folder / "some.safetensors"


def test_an_unknown_kind_is_told_by_its_first_entries(tmp_path: Path) -> None:
    path = saved(tmp_path, {f"layer{i}.weight": torch.zeros(1) for i in range(9)})
    with pytest.raises(WeightsError, match=r"layer0\.weight, layer1\.weight.*known are") as error:
        load_weights(path)
    for name in (str(path), "CLIP", "IRRA", "RDE", "SEN", "MLLM4Text-ReID", "HAM", "IVT", "BERT"):
        assert name in str(error.value)
    assert "layer5" not in str(error.value)


def test_one_tower_of_a_clip_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path, {"visual.conv1.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="one tower") as error:
        load_weights(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("source", ["nowhere.pth", "nowhere+neither"])
def test_what_is_not_there_is_told(source: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"nowhere.*does not exist"):
        load_weights(source)


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


@pytest.mark.parametrize("joined", [False, True])
def test_a_file_that_would_run_code_is_refused(joined: bool, tmp_path: Path) -> None:
    bad, witness = tmp_path / "bad.pt", tmp_path / "ran"
    torch.save({"embeddings.word_embeddings.weight": Payload(witness)}, bad)
    source = f"{vit(tmp_path / 'vit')}+{bad}" if joined else bad
    with pytest.raises(UnsafeWeights, match=r"bad\.pt"):
        load_weights(source)
    assert not witness.exists()


def test_an_entry_of_a_vit_that_has_no_counterpart_is_unknown() -> None:
    part = vit_part({"blocks.0.ls1.gamma": torch.zeros(1), "head.bias": torch.zeros(1)})
    assert part.unknown == ("blocks.0.ls1.gamma",) and part.scaffolding == ("head.bias",)
