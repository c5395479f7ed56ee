"""Which file of a downloaded folder holds the weights."""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Any

from tipr.encoders.pretrained.faults import WeightsError

USUAL = (
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
)
ENDINGS = (".safetensors", ".pt", ".pth", ".bin")
LARGEST = 16 * 2**20  # bytes of a file of settings


def weight_file(source: Path | str) -> Path:
    """The file itself, or the one in a folder that has a usual name or is the only candidate."""
    source = Path(source)
    if not source.is_dir():
        return source
    for name in USUAL:
        if (source / name).is_file():
            return source / name
    others = sorted(p.name for p in source.iterdir() if p.suffix in ENDINGS and p.is_file())
    if len(others) == 1:
        return source / others[0]
    if others:
        raise WeightsError(f"{source} has several candidates ({', '.join(others[:5])}); name one "
                           f"of them, as {source / others[0]}")  # fmt: skip
    raise WeightsError(f"{source} has no weights; name the file, one of {', '.join(USUAL)} "
                       f"or any *{', *'.join(ENDINGS)}")  # fmt: skip


def described(folder: Path, name: str) -> dict[str, Any] | None:
    """The JSON object in the folder's file of that name, where there is one."""
    path = folder / name
    if not path.is_file():
        return None
    try:
        fields = json.loads(settings_in(path))
    except WeightsError:
        raise
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not JSON ({error}); download it again") from error
    if not isinstance(fields, dict):
        raise WeightsError(f"{path} is not a JSON object; download it again")
    return fields


def settings_in(path: Path) -> bytes:
    """All of a small file. Raises WeightsError where it is not small."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise WeightsError(f"{path} has more than {LARGEST >> 20} MiB, which no settings have; "
                           "download it again")  # fmt: skip
    return content


def whole(value: object, name: str) -> int:
    """The value of a setting that counts something."""
    if type(value) is not int or value < 1:
        raise WeightsError(f"{name} is {reprlib.repr(value)}; it must be one whole number above 0")
    return value
