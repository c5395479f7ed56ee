"""Files of weights that would fill the memory, never end, or surprise; and harmless odd ones."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tipr.encoders.pretrained.folders import LARGEST
from tipr.encoders.pretrained.tensors import UnsafeWeights, WeightsError, read_checkpoint

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


def refused(path: Path, says: str) -> WeightsError:
    """It is, in words that name the file."""
    with pytest.raises(WeightsError, match=says) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    return caught.value


def saved(folder: Path, thing: object, **how: Any) -> Path:
    torch.save(thing, folder / "w.pth", **how)
    return folder / "w.pth"


# ------------------------------------------------------------------------- what is harmless


@pytest.mark.parametrize("module", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_numbers_of_numpy_are_read_as_pythons(tmp_path: Path, module: bytes) -> None:
    """IVT's code saves its best accuracy so; the module moved in numpy 2."""
    numbers = {"best_acc": np.float64(0.625), "half": np.float16(0.5), "epoch": np.int64(-3),
               "loss": np.float32(0.25), "big": np.uint8(200), "best": np.bool_(True)}  # fmt: skip
    path = saved(tmp_path, {"state_dict": WEIGHTS, **numbers}, _use_new_zipfile_serialization=False)
    raw = path.read_bytes()
    assert b"cnumpy._core.multiarray" in raw
    path.write_bytes(raw.replace(b"cnumpy._core.multiarray", b"c" + module))
    checkpoint = read_checkpoint(path)
    assert set(checkpoint.tensors) == set(WEIGHTS)
    assert checkpoint.facts == numbers
    assert {type(value) for value in checkpoint.facts.values()} == {float, int, bool}


def test_the_order_of_a_numbers_bytes_is_kept(tmp_path: Path) -> None:
    path = saved(tmp_path, {**WEIGHTS, "best": np.float64(2.0)})
    with zipfile.ZipFile(path) as here:
        entries = {name: here.read(name) for name in here.namelist()}
    with zipfile.ZipFile(path, "w") as there:
        for name, content in entries.items():  # of 2.0, the eight bytes are a string in a pickle
            there.writestr(name, content.replace(b"X\1\0\0\0<", b"X\1\0\0\0>"))
    assert read_checkpoint(path).facts["best"] == np.frombuffer(np.float64(2.0).tobytes(), ">f8")


def test_arrays_of_numpy_are_still_refused(tmp_path: Path) -> None:
    error = refused(saved(tmp_path, {**WEIGHTS, "scores": np.ones(3)}), "multiarray._reconstruct")
    assert isinstance(error, UnsafeWeights)


def test_states_of_training_are_no_facts(tmp_path: Path) -> None:
    rest = {"scaler": {"scale": 65536.0}, "amp": {"level": "O1"}, "optimizer": 1, "scheduler": 2}
    assert read_checkpoint(saved(tmp_path, {"model": WEIGHTS, **rest})).facts == {}


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.module.", "module._orig_mod."])
def test_prefixes_come_off_one_after_another(tmp_path: Path, prefix: str) -> None:
    named = {prefix + name: tensor for name, tensor in WEIGHTS.items()}
    assert set(read_checkpoint(saved(tmp_path, named)).tensors) == set(WEIGHTS)


def test_tensors_may_share_their_numbers(tmp_path: Path) -> None:
    table = torch.ones(200, 100)
    tied = {"word.weight": table, "head.weight": table, "mask": torch.zeros(1, 1).expand(50, 50)}
    assert set(read_checkpoint(saved(tmp_path, tied)).tensors) == set(tied)


# ------------------------------------------------------------------------- names and kinds


@pytest.mark.parametrize("key", [5, (1, 2), None])
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_entry_without_a_name_is_told(tmp_path: Path, key: Any, wrapped: bool) -> None:
    entries = {**WEIGHTS, key: torch.ones(1)}
    path = saved(tmp_path, {"model": entries} if wrapped else entries)
    assert repr(key) in str(refused(path, "should have a name"))


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [(torch.ones(2, device="meta"), "meta"), (torch.eye(2).to_sparse(), "sparse_coo")],
)
def test_a_tensor_that_is_no_ordinary_one_is_named(tmp_path: Path, tensor, kind: str) -> None:
    error = refused(saved(tmp_path, {**WEIGHTS, "odd": tensor}), f"of the kind {kind}")
    assert "'odd'" in str(error)


# ------------------------------------------------------------------------- what would fill memory


def test_a_tensor_beyond_the_file_is_refused(tmp_path: Path) -> None:
    endless = {**WEIGHTS, "endless": torch.zeros(1).expand(200_000, 100_000)}
    refused(saved(tmp_path, endless), r"tensors would take 8\d{10}, most of all 'endless'")
    one = torch.zeros(1 << 18)
    refused(saved(tmp_path, {f"a{i}": one for i in range(64)}), "would take 67108864")


@pytest.mark.parametrize("script", [False, True])
def test_an_archive_that_unpacks_to_more_than_itself_is_refused(tmp_path, script: bool) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as file:
        file.writestr("w/data.pkl", pickle.dumps({}, protocol=2))
        file.writestr("w/constants.pkl" if script else "w/version", b"")
    content = bytearray((tmp_path / "w.pt").read_bytes())
    entry = content.find(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = (1 << 30).to_bytes(4, "little") * 2
    (tmp_path / "w.pt").write_bytes(content)
    refused(tmp_path / "w.pt", "more than its own size")


def archive(path: Path, program: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("w/data.pkl", program)
        file.writestr("w/constants.pkl", b"\x80\x02).")
        file.writestr("w/version", "3\n")
    return path


@pytest.mark.parametrize("script", [False, True])
def test_a_compressed_entry_is_refused(tmp_path: Path, script: bool) -> None:
    """Which would unpack to a thousand times its size."""
    path = archive(tmp_path / "w.pt", b"\x80\x02" + b"N0" * 9999, zipfile.ZIP_DEFLATED)
    if not script:
        path.write_bytes(path.read_bytes().replace(b"constants.pkl", b"something.pkl"))
    refused(path, r"w/data\.pkl is compressed")


@pytest.mark.parametrize(("at", "value"), [(8, 1), (10, 99)], ids=["encrypted", "unknown method"])
def test_an_entry_that_zipfile_cannot_read_is_refused(tmp_path: Path, at: int, value: int) -> None:
    path = archive(tmp_path / "w.pt", b"\x80\x02}.")
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + at] = value
    path.write_bytes(content)
    refused(path, r"w/data\.pkl is compressed or encrypted")


def test_an_archive_that_zipfile_refuses_is_damaged(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.pt", b"\x80\x02}.")
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + 6] = 200  # the version that is needed to read it
    path.write_bytes(content)
    refused(path, "cut off or damaged")


@pytest.mark.parametrize("old", [False, True])
def test_a_bytearray_is_not_made(tmp_path: Path, old: bool) -> None:
    path = tmp_path / "w.pt"
    program = b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\x00\xe8vH\x17\x85R."
    if old:
        path.write_bytes(program)
    else:
        archive(path, program)
    refused(path, "asks for a bytearray")


def test_values_that_are_endless_are_no_facts(tmp_path: Path) -> None:
    many: list[Any] = [1]
    for _ in range(6):
        many = [many] * 99
    cyclic: dict[str, Any] = {}
    cyclic["again"] = cyclic
    rest = {"many": many, "long": [0] * 200_000, "cyclic": cyclic, "kept": [1, {"a": (2.0, None)}]}
    facts = read_checkpoint(saved(tmp_path, {"model": WEIGHTS, **rest})).facts
    assert facts == {"kept": [1, {"a": (2.0, None)}]}


def test_a_wrapper_that_wraps_itself_comes_off(tmp_path: Path) -> None:
    itself: dict[str, Any] = {**WEIGHTS}
    itself["model"] = itself
    assert set(read_checkpoint(saved(tmp_path, itself)).tensors) == set(WEIGHTS)


# ------------------------------------------------------------------------- TorchScript's tree

PART = b"c__torch__\nM\nq\x00)\x81q\x01"


def text(string: bytes) -> bytes:
    return b"X" + len(string).to_bytes(4, "little") + string


def test_parts_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.pt", b"\x80\x02" + PART + b"}" + text(b"self") + b"h\x01sb.")
    refused(path, "holds no named tensors")


def test_a_chain_of_long_names_ends(tmp_path: Path) -> None:
    """A thousand names of a thousand letters, one within the other, of which one is written."""
    first = b"\x80\x02c__torch__\nM\nq\x00" + text(b"n" * 1000) + b"q\x01"
    path = archive(tmp_path / "w.pt", first + b"h\0)\x81}h\1" * 999 + b"N" + b"sb" * 999 + b".")
    refused(path, "more than 300 letters")


def test_the_tree_is_the_one_not_nested_further(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    with pytest.warns(DeprecationWarning, match=r"torch\.jit"):
        torch.jit.save(torch.jit.script(module), str(tmp_path / "w.pt"))
    with zipfile.ZipFile(tmp_path / "w.pt", "a") as file:
        file.writestr(f"{file.namelist()[0].split('/')[0]}/extra/data.pkl", b"\x80\x02}.")
    assert set(read_checkpoint(tmp_path / "w.pt").tensors) == {"weight", "bias"}


# ------------------------------------------------------------------------- what a pickle imports


class Trap:
    """Runs a command when unpickled."""

    def __reduce__(self):
        return os.system, ("true",)


def test_a_foreign_name_far_into_the_file_is_told(tmp_path: Path) -> None:
    thing = {"notes": "x" * 1_000_000, "model": Trap()}
    (tmp_path / "w.pt").write_bytes(pickle.dumps(thing, protocol=4))
    refused(tmp_path / "w.pt", r"would import posix\.system")


def test_names_out_of_the_memo_are_told_in_their_order(tmp_path: Path) -> None:
    program = b"\x80\x04\x8c\x06system\x94\x8c\x02os\x9400h\x01h\x00\x93\x8c\x01x\x85R."
    (tmp_path / "w.pt").write_bytes(program)
    refused(tmp_path / "w.pt", r"would import os\.system")
    again = program.replace(b"\x94", b"q\x07", 1).replace(b"\x94", b"q\x08", 1)
    (tmp_path / "w.pt").write_bytes(again.replace(b"h\x01h\x00", b"h\x08h\x07"))
    refused(tmp_path / "w.pt", r"would import os\.system")


@pytest.mark.parametrize("protocol", [0, 1])
def test_a_pickle_of_an_old_protocol_is_told(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"a": Trap()}, protocol=protocol))
    assert isinstance(refused(tmp_path / "w.pt", r"would import posix\.system"), UnsafeWeights)
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"a": [1.0]}, protocol=protocol))
    refused(tmp_path / "w.pt", "an unsafe pickle of an old protocol")


# ------------------------------------------------------------------------- indices of shards


@pytest.mark.parametrize("shard", [5, None, "x" * 5000, "\u00e9" * 200, "a\0b", "m.index.json"])
def test_a_shard_that_is_no_file_beside_is_refused(tmp_path: Path, shard: object) -> None:
    index = tmp_path / "m.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}), encoding="utf-8")
    refused(index, "must lie in the index's own folder")


def test_an_index_too_deep_or_too_large_is_refused(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "1.safetensors")
    index = tmp_path / "m.index.json"
    index.write_text('{"weight_map":' + "[" * 200_000, encoding="utf-8")
    refused(index, "needs a weight_map")
    whole = json.dumps({"weight_map": dict.fromkeys(WEIGHTS, "1.safetensors")})
    index.write_text(whole + " " * (LARGEST - len(whole)), encoding="utf-8")
    assert set(read_checkpoint(index).tensors) == set(WEIGHTS)
    index.write_text(whole + " " * LARGEST, encoding="utf-8")
    refused(index, "more than 16 MiB")
