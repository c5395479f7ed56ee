"""Pictures and sentences in, unit vectors out. What training saves and searching loads: a bundle.

A bundle is a folder of three files that execute nothing: `bundle.json` (encoder, transform, where
it came from), `encoder.safetensors` (half-precision weights) and `merges.txt` (the tokenizer).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tipr.data.images import ImageTransform, open_image
from tipr.data.text import Tokenizer
from tipr.encoders.catalogue import from_json, to_json
from tipr.encoders.encoder import Encoder

FORMAT = 1
_MALFORMED = (RuntimeError, TypeError, AttributeError)
SHIPPED = Path(__file__).parent / "weights"
Picture = Image.Image | Path | str


class Embedder:
    """An encoder with its image transform and its tokenizer: all that searching needs."""

    def __init__(
        self,
        encoder: Encoder,
        transform: ImageTransform,
        tokenizer: Tokenizer,
        source: str = "",
    ) -> None:
        if tuple(transform.size) != encoder.image_size:
            raise ValueError(f"pictures of {transform.size}, but the encoder is built for "
                             f"{encoder.image_size}")  # fmt: skip
        if tokenizer.vocabulary > encoder.vocabulary:
            raise ValueError(f"the tokenizer knows {tokenizer.vocabulary} pieces, the encoder only "
                             f"{encoder.vocabulary}")  # fmt: skip
        self.encoder, self.transform, self.tokenizer = encoder, transform, tokenizer
        self.source = source

    @property
    def width(self) -> int:
        return self.encoder.width

    @property
    def device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """Names the vectors this model makes: equal exactly when weights and settings are."""
        digest = hashlib.sha256(json.dumps(self._description(), sort_keys=True).encode())
        digest.update("\n".join(map(" ".join, self.tokenizer.merges)).encode())
        for name, value in sorted(_half(self.encoder).items()):
            digest.update(name.encode() + value.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def embed_images(
        self, images: Iterable[Picture], batch_size: int = 64
    ) -> Float32[np.ndarray, "N D"]:
        """Unit vectors, one row per picture.

        Raises:
            UnreadableImage: a file cannot be read as a picture.
        """
        rows = [self._image_rows(chunk) for chunk in _chunks(images, batch_size)]
        return np.concatenate(rows) if rows else np.zeros((0, self.width), np.float32)

    def embed_texts(
        self, texts: Sequence[str], batch_size: int = 256
    ) -> Float32[np.ndarray, "N D"]:
        """Unit vectors, one row per sentence."""
        if isinstance(texts, str):
            raise TypeError("embed_texts takes a list of sentences; wrap a single one in [ ]")
        rows = [self._text_rows(chunk) for chunk in _chunks(texts, batch_size)]
        return np.concatenate(rows) if rows else np.zeros((0, self.width), np.float32)

    def _image_rows(self, images: Sequence[Picture]) -> np.ndarray:
        pixels = torch.stack(
            [self.transform(i if isinstance(i, Image.Image) else open_image(i)) for i in images]
        )
        with self._inference():
            return _unit(self.encoder.encode_image(pixels.to(self.device)).embedding)

    def _text_rows(self, texts: Sequence[str]) -> np.ndarray:
        with self._inference():
            return _unit(self.encoder.encode_text(self.tokenizer(texts).to(self.device)).embedding)

    @contextmanager
    def _inference(self) -> Generator[None]:
        training = self.encoder.training
        self.encoder.eval()
        with torch.inference_mode():
            yield
        self.encoder.train(training)

    def _description(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "encoder": to_json(self.encoder.config),
            "transform": self.transform.to_json(),
            "text_length": self.tokenizer.length,
        }

    def save(self, folder: Path | str) -> None:
        """Writes the bundle, whole or not at all; weights are rounded to half precision.

        Raises:
            OSError: it could not be written; a bundle that was there is intact.
        """
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            save_file(_half(self.encoder), draft / "encoder.safetensors")
            self.tokenizer.save(draft / "merges.txt")
            text = json.dumps(self._description(), indent=2) + "\n"
            (draft / "bundle.json").write_text(text, encoding="utf-8", newline="\n")
            draft.chmod(0o755)
            _swapped_in(draft, folder)
        except (OSError, SafetensorError) as error:
            raise OSError(f"the model could not be written to {folder} ({error}); free some disk "
                          "space and try again") from error  # fmt: skip
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    @classmethod
    def load(cls, path: Path | str = "small", device: str = "auto") -> Embedder:
        """A bundle folder, a run folder (its best bundle), or the name of a shipped model.

        Raises:
            ValueError: there is no such model, or it is damaged or of another version.
        """
        folder = find_bundle(path)
        try:
            facts = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"the model in {folder} has format {facts['format']}, this tipr "
                                 f"reads {FORMAT}")  # fmt: skip
            weights = load_file(folder / "encoder.safetensors")
            tokenizer = Tokenizer.load(folder / "merges.txt", facts["text_length"])
            encoder = from_json(facts["encoder"]).build()
            encoder.load_state_dict({name: value.float() for name, value in weights.items()})
            transform = ImageTransform.from_json(facts["transform"])
        except (OSError, KeyError, json.JSONDecodeError, SafetensorError, *_MALFORMED) as error:
            raise ValueError(f"the model in {folder} is damaged: {error}") from error
        return cls(encoder.to(pick_device(device)), transform, tokenizer, source=_name(folder))


def find_bundle(path: Path | str) -> Path:
    """The folder that holds `bundle.json`, for a bundle, a run or a shipped name."""
    places = [SHIPPED / str(path), Path(path), Path(path) / "best"]
    for place in places:
        if (place / "bundle.json").is_file():
            return place
    shipped = ", ".join(sorted(p.parent.name for p in SHIPPED.glob("*/bundle.json"))) or "none"
    raise ValueError(
        f"there is no model at {path}; give a run folder of `tipr train` or a shipped model "
        f"({shipped})"
    )


def _name(folder: Path) -> str:
    """How a bundle is found again from anywhere: a shipped name, or the absolute path."""
    return folder.name if folder.parent == SHIPPED else str(folder.resolve())


def _swapped_in(draft: Path, folder: Path) -> None:
    """Puts a finished folder in place of an older one, which is removed last."""
    old = folder.with_name(f".{folder.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    try:
        draft.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("this machine has no CUDA device; use --device cpu")
    return torch.device(name)


def _half(encoder: Encoder) -> dict[str, Tensor]:
    return {k: v.detach().half().cpu().contiguous() for k, v in encoder.state_dict().items()}


def _unit(embedding: Tensor) -> Float32[np.ndarray, "N D"]:
    return F.normalize(embedding.float()).cpu().numpy()


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
