"""Which file of a downloaded folder holds the weights."""

from __future__ import annotations

import json
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
    found = f"several candidates ({', '.join(others[:5])})" if others else "no weights"
    raise WeightsError(f"{source} has {found}; name the file, one of {', '.join(USUAL)} "
                       f"or any *{', *'.join(ENDINGS)}")  # fmt: skip


def described(folder: Path, name: str) -> dict[str, Any] | None:
    """The JSON object in the folder's file of that name, where there is one."""
    path = folder / name
    if not path.is_file():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON ({error}); download it again") from error
    if not isinstance(fields, dict):
        raise WeightsError(f"{path} is not a JSON object; download it again")
    return fields
