"""The encoders that a saved bundle may name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tipr.encoders.clip import CLIPConfig
from tipr.encoders.compact import CompactConfig
from tipr.encoders.shared import SharedConfig

EncoderConfig = CompactConfig | CLIPConfig | SharedConfig
KINDS: dict[str, Callable[..., EncoderConfig]] = {
    "compact": CompactConfig,
    "clip": CLIPConfig,
    "shared": SharedConfig,
}


def to_json(config: EncoderConfig) -> dict[str, Any]:
    kind = next(name for name, build in KINDS.items() if build is type(config))
    return {"kind": kind, **asdict(config)}


def from_json(fields: dict[str, Any]) -> EncoderConfig:
    """Raises ValueError when the kind or a field is unknown to this version."""
    kind = fields.get("kind")
    if kind not in KINDS:
        raise ValueError(f"the model has an encoder {kind!r}; this version knows {sorted(KINDS)}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items() if k != "kind"}
    try:
        return KINDS[kind](**values)
    except TypeError as error:
        raise ValueError(f"the model's encoder does not fit this version: {error}") from error
