"""An encoder with its image transform and its tokenizer: all that searching needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from PIL import Image
from torch import Tensor

from tipr.data.clauses import chunks_that_fit, cut_word
from tipr.data.images import ImageTransform, open_image
from tipr.data.text import Tokenizer
from tipr.embedder import bundle
from tipr.encoders.catalogue import to_json
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.encoder import Encoder

Picture = Image.Image | Path | str
LongTexts = Literal["cut", "clauses"]


class Embedder:
    """Embeds pictures and sentences.

    `long_texts` says what becomes of a sentence longer than the encoder reads: `cut` leaves its end
    out (`unread` names the first word that is lost), `clauses` reads it part by part, as many
    clauses at a time as fit, and takes the mean of their unit vectors. Shorter ones are the same.
    """

    def __init__(
        self,
        encoder: Encoder,
        transform: ImageTransform,
        tokenizer: Tokenizer,
        source: str = "",
        long_texts: LongTexts = "cut",
    ) -> None:
        _check(encoder, transform, tokenizer)
        if long_texts not in get_args(LongTexts):
            raise ValueError(f"long_texts is one of {', '.join(get_args(LongTexts))}")
        self.encoder, self.transform, self.tokenizer = encoder, transform, tokenizer
        self.source, self.long_texts = source, long_texts
        encoder.mask_id, encoder.word_ids = tokenizer.specials.mask, tokenizer.word_ids

    @property
    def width(self) -> int:
        return self.encoder.width

    @property
    def device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """Names the vectors this model makes: equal exactly when weights and settings are."""
        facts = {"format": 1, **self._description()}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        digest.update(self.tokenizer.pieces.digest())
        for name, value in sorted(bundle.half(self.encoder).items()):
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
        if self.long_texts == "clauses":
            return self._clause_means(texts, batch_size)
        return self._by_length(texts, batch_size)

    def unread(self, text: str) -> str | None:
        """The first word of this sentence that is not read; None when all of it is."""
        if self.long_texts == "clauses":
            return cut_word(self.tokenizer, text)
        return self.tokenizer.unread(text)

    def _clause_means(self, texts: Sequence[str], batch_size: int) -> Float32[np.ndarray, "N D"]:
        parts = [chunks_that_fit(self.tokenizer, text) for text in texts]
        flat = [part for chunks in parts for part in chunks]
        owners = np.repeat(np.arange(len(texts)), [len(chunks) for chunks in parts])
        sums = np.zeros((len(texts), self.width), np.float32)
        np.add.at(sums, owners, self._by_length(flat, batch_size))
        return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)

    def _by_length(self, texts: Sequence[str], batch_size: int) -> Float32[np.ndarray, "N D"]:
        """Sentences of about one length together: a batch is as long as its longest."""
        found = np.zeros((len(texts), self.width), np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for some in _chunks(order, batch_size):
            found[some] = self._text_rows([texts[place] for place in some])
        return found

    def _image_rows(self, images: Sequence[Picture]) -> np.ndarray:
        pixels = torch.stack(
            [self.transform(i if isinstance(i, Image.Image) else open_image(i)) for i in images]
        )
        with self._inference():
            return _unit(self.encoder.embed_image(pixels.to(self.device)))

    def _text_rows(self, texts: Sequence[str]) -> np.ndarray:
        with self._inference():
            return _unit(self.encoder.embed_text(self.tokenizer(texts).to(self.device)))

    @contextmanager
    def _inference(self) -> Generator[None]:
        training = self.encoder.training
        self.encoder.eval()
        with torch.inference_mode():
            yield
        self.encoder.train(training)

    def _description(self) -> dict[str, Any]:
        return {
            "encoder": to_json(self.encoder.config),
            "transform": self.transform.to_json(),
            "text_length": self.tokenizer.length,
        }

    def save(self, folder: Path | str) -> None:
        """Writes the bundle, whole or not at all; weights are rounded to half precision.

        Raises:
            OSError: it could not be written; a bundle that was there is intact.
        """
        bundle.write(Path(folder), self.encoder, self.tokenizer, self._description())

    @classmethod
    def load(
        cls, path: Path | str = "shipped:small", device: str = "auto", long_texts: LongTexts = "cut"
    ) -> Embedder:
        """A bundle folder, a run folder (its best bundle), the name of a shipped model, or
        `hf:ORGANISATION/NAME` of the Hugging Face hub.

        Raises:
            ValueError: there is no such model, or it is damaged or of another version.
        """
        folder = bundle.find_bundle(path)
        encoder, transform, tokenizer = bundle.read(folder)
        where = str(path) if str(path).startswith(bundle.HUB) else bundle.name_of(folder)
        return cls(encoder.to(pick_device(device)), transform, tokenizer, where, long_texts)


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("this machine has no CUDA device; use --device cpu")
    return torch.device(name)


def _check(encoder: Encoder, transform: ImageTransform, tokenizer: Tokenizer) -> None:
    """Raises ValueError when the three do not belong together."""
    if tuple(transform.size) != encoder.image_size:
        raise ValueError(f"pictures of {transform.size}, but the encoder is built for "
                         f"{encoder.image_size}")  # fmt: skip
    if tokenizer.vocabulary > encoder.vocabulary:
        raise ValueError(f"the tokenizer knows {tokenizer.vocabulary} pieces, the encoder only "
                         f"{encoder.vocabulary}")  # fmt: skip
    config = encoder.config
    if tokenizer.length > config.text_length:
        raise ValueError(f"the tokenizer gives up to {tokenizer.length} tokens, the encoder reads "
                         f"{config.text_length}")  # fmt: skip
    if isinstance(config, CLIPConfig) and config.end_id != tokenizer.specials.end:
        raise ValueError(f"the encoder reads a sentence at token {config.end_id}, the tokenizer "
                         f"ends it with {tokenizer.specials.end}; set encoder.end_id or "
                         "data.tokenizer")  # fmt: skip


def _unit(embedding: Tensor) -> Float32[np.ndarray, "N D"]:
    return F.normalize(embedding.float()).cpu().numpy()


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
