"""Files of weights, whole, broken and hostile."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tipr.encoders.pretrained.tensors import UnsafeWeights, WeightsError, read_checkpoint

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2).half()}


def same(tensors: dict[str, torch.Tensor]) -> bool:
    return tensors.keys() == WEIGHTS.keys() and all(
        torch.equal(tensors[name], value) and tensors[name].dtype == value.dtype
        for name, value in WEIGHTS.items()
    )


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "pytorch_model.bin", "w.safetensors"])
def test_the_bytes_say_what_a_file_is_not_its_name(tmp_path: Path, name: str) -> None:
    torch.save(WEIGHTS, tmp_path / name)
    assert same(read_checkpoint(tmp_path / name).tensors)
    save_file(WEIGHTS, tmp_path / name, {"format": "pt"})
    checkpoint = read_checkpoint(str(tmp_path / name))
    assert same(checkpoint.tensors) and checkpoint.facts == {"format": "pt"}


def test_a_header_as_long_as_a_pickle_is_marked_confuses_nobody(tmp_path: Path) -> None:
    """Safetensors starts with its header's length, and a pickle with the byte 128."""
    path, filling = tmp_path / "w.safetensors", ""
    save_file(WEIGHTS, path)
    while path.read_bytes()[0] != 128:
        filling += "x" * 8
        save_file(WEIGHTS, path, {"filling": filling})
    assert same(read_checkpoint(path).tensors)


def test_files_of_torch_before_1_6_are_read(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert same(read_checkpoint(tmp_path / "w.pth").tensors)


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "net", "module"])
def test_wrappers_and_prefixes_of_training_come_off(tmp_path: Path, wrapper: str) -> None:
    parallel = {f"module.{name}": value for name, value in WEIGHTS.items()}
    saved = {
        wrapper: parallel,
        "epoch": 7,
        "best": 0.5,
        "config": {"lr": [1e-5, 2], "name": "sdm+id"},
        "optimizer": {"state": {0: {"step": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        "scheduler": {"last_epoch": 7},
        "rng": torch.ones(3),
    }
    torch.save(saved, tmp_path / "best.pth")
    checkpoint = read_checkpoint(tmp_path / "best.pth")
    assert same(checkpoint.tensors)
    assert checkpoint.facts == {"epoch": 7, "best": 0.5, "config": saved["config"]}


def test_a_wrapper_in_a_wrapper_comes_off(tmp_path: Path) -> None:
    torch.save({"model": {"state_dict": WEIGHTS, "step": 3}, "epoch": 1}, tmp_path / "w.pt")
    checkpoint = read_checkpoint(tmp_path / "w.pt")
    assert same(checkpoint.tensors) and checkpoint.facts == {"epoch": 1, "step": 3}


def test_a_module_of_that_name_among_others_is_no_prefix(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "w.pt")
    assert set(read_checkpoint(tmp_path / "w.pt").tensors) == {"module.a", "b"}


def test_parameters_become_plain_tensors(tmp_path: Path) -> None:
    torch.save({"a": nn.Parameter(torch.ones(2))}, tmp_path / "w.pt")
    tensor = read_checkpoint(tmp_path / "w.pt").tensors["a"]
    assert type(tensor) is torch.Tensor and not tensor.requires_grad


def shards(folder: Path, places: dict[str, str]) -> Path:
    for name, file in places.items():
        save_file({name: WEIGHTS[name]}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}), encoding="utf-8")
    return index


def test_shards_are_put_together(tmp_path: Path) -> None:
    places = {"a.weight": "1.safetensors", "a.bias": "2.safetensors"}
    assert same(read_checkpoint(shards(tmp_path, places)).tensors)


def test_a_shard_that_is_absent_outside_or_incomplete_is_named(tmp_path: Path) -> None:
    index = shards(tmp_path, {"a.weight": "1.safetensors", "a.bias": "2.safetensors"})
    (tmp_path / "2.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"index\.json names the shard 2\.safetensors"):
        read_checkpoint(index)
    index.write_text('{"weight_map": {"a": "../w.safetensors"}}', encoding="utf-8")
    with pytest.raises(WeightsError, match="must lie in the index's own folder"):
        read_checkpoint(index)
    index.write_text('{"weight_map": {"b": "1.safetensors"}}', encoding="utf-8")
    with pytest.raises(WeightsError, match=r"promises 'b' \(of 1\)"):
        read_checkpoint(index)
    index.write_text('["1.safetensors"]', encoding="utf-8")
    with pytest.raises(WeightsError, match="needs a weight_map"):
        read_checkpoint(index)


class Tower(nn.Module):
    """Has what OpenAI's archives have: parameters of its own, blocks, buffers, lists."""

    def __init__(self) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(3))
        self.blocks = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
        self.attn = nn.MultiheadAttention(4, 2)
        self.register_buffer("input_resolution", torch.tensor(224))
        self.sizes, self.rates = [16, 32], [0.5]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(x) + self.class_embedding


def archive(path: Path, how: str) -> dict[str, torch.Tensor]:
    module = Tower().half()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`?torch\.jit\.", DeprecationWarning)
        example = torch.ones(1, 3).half()
        scripted = torch.jit.script(module) if how == "script" else torch.jit.trace(module, example)
        torch.jit.save(scripted, str(path))
    return module.state_dict()


@pytest.mark.parametrize("how", ["script", "trace"])
def test_a_torchscript_archive_gives_its_tensors_without_its_code(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = archive(tmp_path / "ViT-B-16.pt", how)
    monkeypatch.setattr(torch.jit, "load", None)
    tensors = read_checkpoint(tmp_path / "ViT-B-16.pt").tensors
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


def test_an_archive_saved_on_a_gpu_is_read_without_one(tmp_path: Path) -> None:
    """As OpenAI's were."""
    expected = archive(tmp_path / "here.pt", "script")
    with (
        zipfile.ZipFile(tmp_path / "here.pt") as here,
        zipfile.ZipFile(tmp_path / "there.pt", "w") as there,
    ):
        for name in here.namelist():
            tree = here.read(name).replace(b"X\3\0\0\0cpu", b"X\6\0\0\0cuda:0")
            there.writestr(name, tree)
    assert b"cuda:0" in (tmp_path / "there.pt").read_bytes()
    tensors = read_checkpoint(tmp_path / "there.pt").tensors
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


def test_reading_an_archive_leaves_torch_as_strict_as_before(tmp_path: Path) -> None:
    archive(tmp_path / "w.pt", "script")
    before = set(torch.serialization.get_safe_globals())
    read_checkpoint(tmp_path / "w.pt")
    assert set(torch.serialization.get_safe_globals()) == before


class Trap:
    """Runs a command when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def hostile_script(path: Path, trace: Path) -> None:
    """An archive of TorchScript's layout whose tree holds the trap."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", pickle.dumps({"a": Trap(trace)}, protocol=2))
        file.writestr("w/constants.pkl", pickle.dumps((), protocol=2))
        file.writestr("w/version", "3\n")


HOSTILE = {
    "zip": lambda path, trace: torch.save({"model": WEIGHTS, "x": Trap(trace)}, path),
    "old": lambda path, trace: torch.save(
        {"x": Trap(trace)}, path, _use_new_zipfile_serialization=False
    ),
    "plain": lambda path, trace: path.write_bytes(pickle.dumps(Trap(trace), protocol=2)),
    "newer": lambda path, trace: path.write_bytes(pickle.dumps(Trap(trace), protocol=4)),
    "script": hostile_script,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_named_and_leaves_no_trace(tmp_path: Path, kind: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "best.pth"
    HOSTILE[kind](path, trace)
    with pytest.raises(UnsafeWeights, match=r"best\.pth would import posix\.system.*not executed"):
        read_checkpoint(path)
    assert not trace.exists()


def test_the_trap_is_a_trap(tmp_path: Path) -> None:
    HOSTILE["plain"](tmp_path / "w.pth", tmp_path / "trace")
    pickle.loads((tmp_path / "w.pth").read_bytes())
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        ({"model": WEIGHTS, "args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"model": WEIGHTS, "where": Path("logs")}, "pathlib.PosixPath"),
    ],
)
def test_code_that_a_file_needs_is_named_with_the_way_out(tmp_path: Path, thing, name) -> None:
    torch.save(thing, tmp_path / "best.pth")
    with pytest.raises(UnsafeWeights, match=r"torch\.save\(model\.state_dict\(\)") as caught:
        read_checkpoint(tmp_path / "best.pth")
    assert caught.value.name == name
    assert isinstance(caught.value, WeightsError)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 598641023\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (POINTER, "git lfs pull"),
        (b"\n<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (b"just some words", "neither safetensors nor"),
        (b"PK\x03\x04 and no more", "cut off or damaged"),
        (b"\x80\x02\xffgarbage", r"cut off or damaged \(Unsupported operand 255\)"),
    ],
)
def test_what_is_not_weights_is_told_what_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "ViT-B-16.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=says) as caught:
        read_checkpoint(tmp_path / "ViT-B-16.pt")
    assert "ViT-B-16.pt" in str(caught.value)
    assert not isinstance(caught.value, UnsafeWeights)


@pytest.mark.parametrize("kind", ["torch", "old", "safetensors", "script"])
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_a_truncated_file_is_named(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "w.pt"
    if kind == "script":
        archive(path, "script")
    elif kind == "safetensors":
        save_file(WEIGHTS, path)
    else:
        torch.save(WEIGHTS, path, _use_new_zipfile_serialization=kind == "torch")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=r"w\.pt is cut off or damaged .*again"):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        read_checkpoint(tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="is a folder"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("thing", [[1, 2], {"epoch": 3}, torch.ones(2)])
def test_a_file_without_named_tensors_says_what_to_save(tmp_path: Path, thing) -> None:
    torch.save(thing, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"save model\.state_dict\(\) instead"):
        read_checkpoint(tmp_path / "w.pt")
