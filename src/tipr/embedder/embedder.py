"""An encoder with its image transform and its tokenizer: all that searching needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor

from tipr.data.clauses import chunks_that_fit, cut_word
from tipr.data.images import ImageTransform, open_image
from tipr.data.text import Tokenizer
from tipr.embedder import bundle, graphs
from tipr.embedder.runtime import ENGINES, MAPPED, PYTORCH, Eager, Runtime
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
        self.transform, self.tokenizer = transform, tokenizer
        self.source, self.long_texts = source, long_texts
        self.runtime: Runtime = Eager(encoder)
        self._encoder = encoder
        self._folder: Path | None = None  # of weights that are not read yet
        self._reading = Lock()
        self._own(encoder)

    @property
    def encoder(self) -> Encoder:
        """In PyTorch; where a graph computes the vectors, the weights are read only now.

        Raises:
            ValueError: the model was replaced since it was loaded, or is damaged.
        """
        with self._reading:
            if self._folder is not None:
                encoder = bundle.read(self._folder)[0]
                if self._digest(bundle.half(encoder)) != self.fingerprint:
                    raise ValueError(f"the model in {self._folder} was replaced since it was "
                                     "loaded; load it again")  # fmt: skip
                self._own(encoder)
                self._encoder, self._folder = encoder, None
        return self._encoder

    def _own(self, encoder: Encoder) -> None:
        """Tells the encoder which ids the tokenizer has for words."""
        encoder.mask_id, encoder.word_ids = self.tokenizer.specials.mask, self.tokenizer.word_ids

    def computed_by(self, runtime: Runtime) -> Embedder:
        """The same model, whose vectors another runtime computes."""
        other = copy(self)
        other.runtime = runtime
        return other

    @property
    def width(self) -> int:
        return self._encoder.width

    @property
    def device(self) -> torch.device:
        return self.runtime.device

    @cached_property
    def fingerprint(self) -> str:
        """Names the vectors this model makes: equal exactly when weights and settings are."""
        return self._digest(bundle.half(self.encoder))

    def _digest(self, weights: Mapping[str, Tensor]) -> str:
        """The fingerprint with these weights, in half precision."""
        facts = {"format": 1, **self._description()}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        digest.update(self.tokenizer.pieces.digest())
        for name, value in sorted(weights.items()):
            digest.update(name.encode())
            digest.update(value.numpy())
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

    def pixels(self, images: Iterable[Picture]) -> Float[Tensor, "B 3 H W"]:
        """What the encoder reads of these pictures, on the CPU."""
        opened = (i if isinstance(i, Image.Image) else open_image(i) for i in images)
        resized = [self.transform.resized(picture) for picture in opened]
        return self.transform.normalised(torch.stack(resized).float() / 255)

    def _image_rows(self, images: Sequence[Picture]) -> np.ndarray:
        return _unit(self.runtime.images(self.pixels(images)))

    def _text_rows(self, texts: Sequence[str]) -> np.ndarray:
        return _unit(self.runtime.texts(self.tokenizer(texts)))

    def _description(self) -> dict[str, Any]:
        return {
            "encoder": to_json(self._encoder.config),
            "transform": self.transform.to_json(),
            "text_length": self.tokenizer.length,
        }

    def save(
        self, folder: Path | str, graphs: Path | None = None, beside: Path | None = None
    ) -> None:
        """Writes the bundle, whole or not at all; weights are rounded to half precision.

        `graphs` is a folder of exported graphs to move into it; `beside` is the bundle that this
        model came from, whose card and re-ranking head are taken along.

        Raises:
            OSError: it could not be written; a bundle that was there is intact.
        """
        bundle.write(
            Path(folder), self.encoder, self.tokenizer, self._description(), graphs, beside
        )

    @classmethod
    def load(
        cls,
        path: Path | str = "shipped:small",
        device: str = "auto",
        long_texts: LongTexts = "cut",
        runtime: str = graphs.AUTO,
    ) -> Embedder:
        """A bundle folder, a run folder (its best bundle), the name of a shipped model, or
        `hf:ORGANISATION/NAME` of the Hugging Face hub.

        On a CPU the quickest of the graphs that the bundle carries computes the vectors, if this
        machine has its engine; `runtime` (or `device`) names another (`pytorch`, `openvino`,
        `openvino:int8`, ...). The weights are read then only if somebody asks for the `encoder`.

        Raises:
            ValueError: there is no such model or runtime, or it is damaged or of another version.
        """
        runtime = device if _is_runtime(device) else runtime
        folder, place = bundle.find_bundle(path), place_of(device)
        where = str(path) if str(path).startswith(bundle.HUB) else bundle.name_of(folder)
        found = exported(folder, place, runtime)
        if found is None:
            how = "mapped" if runtime == MAPPED else "read"
            encoder, transform, tokenizer = bundle.read(folder, how)
            return cls(encoder.to(place), transform, tokenizer, where, long_texts)
        graph, there = found
        encoder, transform, tokenizer = bundle.read(folder, "none")
        embedder = cls(encoder, transform, tokenizer, where, long_texts)
        there.check_of(folder, embedder._digest(bundle.halves(folder)))
        embedder.runtime, embedder.fingerprint, embedder._folder = graph, there.of, folder
        return embedder


def exported(
    folder: Path, device: torch.device, runtime: str
) -> tuple[Runtime, graphs.Graphs] | None:
    """The graphs to use in place of PyTorch, and all that the bundle carries.

    Raises:
        ValueError: the runtime that is asked for is not to be had here.
    """
    if runtime in (PYTORCH, MAPPED) or (runtime == graphs.AUTO and device.type != "cpu"):
        return None
    there = graphs.read(folder)
    if there is None:
        if runtime != graphs.AUTO:
            raise ValueError(f"{folder} has no exported graphs for {runtime}; make them with: "
                             f"tipr export {folder} --out MODEL --crops FOLDER")  # fmt: skip
        return None
    if device.type != "cpu":
        raise ValueError(f"the graphs of {runtime} are for CPUs; add --device cpu")
    found = graphs.chosen(folder, there, runtime)
    return None if found is None else (found, there)


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("this machine has no CUDA device; use --device cpu")
    if _is_runtime(name):
        raise ValueError(f"{name} computes the vectors of models that are searched with; here give "
                         "auto, cpu or cuda")  # fmt: skip
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"there is no device {name}; give auto, cpu or cuda") from error


def place_of(name: str) -> torch.device:
    """Where a device, or a runtime of `Embedder.load`, computes vectors."""
    return torch.device("cpu") if _is_runtime(name) else pick_device(name)


def _is_runtime(name: str) -> bool:
    return name.partition(":")[0] in (PYTORCH, *ENGINES)


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


def _unit(vectors: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    if size < 1:
        raise ValueError(f"a batch has at least one row, not {size}")
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
