"""What a CLIP's tensors cannot say and its publisher's configuration does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tipr.encoders.clip import ACTIVATIONS
from tipr.encoders.pretrained.clip_names import HUGGING_FACE, Naming
from tipr.encoders.pretrained.faults import WeightsError
from tipr.encoders.pretrained.folders import described, whole

HUB, OPEN = "config.json", "open_clip_config.json"
# open_clip's switches that change what is computed, at the values that are the original CLIP
ORIGINAL = {
    "vision_cfg": {
        "pool_type": "tok", "attentional_pool": False, "no_ln_pre": False, "norm_kwargs": None,
        "act_kwargs": None, "input_patchnorm": False, "timm_model_name": None,
    },
    "text_cfg": {
        "pool_type": "argmax", "no_causal_mask": False, "embed_cls": False, "norm_kwargs": None,
        "act_kwargs": None, "hf_model_name": None,
    },
}  # fmt: skip


def clip_facts(folder: Path, naming: Naming) -> dict[str, Any]:
    """What the configuration in the folder says, by the names that `clip_weights` knows."""
    hub = naming is HUGGING_FACE
    name = HUB if hub else OPEN
    fields = described(folder, name)
    if fields is None:
        return {}
    try:
        return _hub(fields) if hub else _open(fields)
    except (AttributeError, KeyError, TypeError, ZeroDivisionError) as error:
        raise WeightsError(f"{folder / name} does not describe a CLIP: {error!r}; use the file "
                           "that was published with the weights") from error  # fmt: skip
    except WeightsError as error:
        raise WeightsError(f"{folder / name}: {error}") from None


def _hub(fields: dict[str, Any]) -> dict[str, Any]:
    """Values that the file leaves out are transformers' defaults."""
    image, text = fields["vision_config"], fields["text_config"]
    activations = {part.get("hidden_act", "quick_gelu") for part in (image, text)}
    if len(activations) > 1:
        raise WeightsError(f"the towers differ in hidden_act, {sorted(activations)}")
    if not activations <= set(ACTIVATIONS):
        raise WeightsError(f"hidden_act is {activations.pop()!r}; only {' and '.join(ACTIVATIONS)} "
                           "can be read")  # fmt: skip
    for part in (image, text):
        _same("layer_norm_eps", part.get("layer_norm_eps", 1e-5), 1e-5)
    return {
        "activation": activations.pop(),
        "image_heads": whole(image.get("num_attention_heads", 12), "num_attention_heads"),
        "text_heads": whole(text.get("num_attention_heads", 8), "num_attention_heads"),
        "end_id": _end(text.get("eos_token_id", 49407)),
    }


def _end(token: object) -> int | None:
    """Early configurations say 2 and mean the highest id of the sentence."""
    return None if token in (None, 2) else whole(token, "eos_token_id")


def _open(fields: dict[str, Any]) -> dict[str, Any]:
    model = fields.get("model_cfg", fields)
    image, text = model["vision_cfg"], model["text_cfg"]
    for part, originals in ORIGINAL.items():
        for switch, value in originals.items():
            _same(f"{part}.{switch}", model[part].get(switch) or value, value)
    return {
        "activation": "quick_gelu" if model.get("quick_gelu") else "gelu",
        "image_heads": whole(image["width"] // image.get("head_width", 64), "width // head_width"),
        "text_heads": whole(text.get("heads", 8), "heads"),
    }


def _same(name: str, value: object, original: object) -> None:
    if value != original:
        raise WeightsError(f"{name} is {value!r}; only {original!r}, the original CLIP's, can be "
                           "read")  # fmt: skip
