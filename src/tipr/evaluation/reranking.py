"""Re-ranking: the best of the dual encoder, ordered again with text and picture read together.

1. The head        `TextGuidedExtraction` of MGRL, saved beside a model by `save_reranker`
2. Scoring pairs   `PairwiseReranker`: global cosine and cosine to what the text finds, blended
3. Full rankings   `tipr.evaluation.shortlist`
4. A split's row   `evaluate_reranked`
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float16
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tipr.data.images import UnreadableImage, open_image
from tipr.data.pairs import Pair
from tipr.embedder import Embedder, find_bundle
from tipr.evaluation.metrics import RetrievalMetrics, retrieval_metrics
from tipr.evaluation.shortlist import reranked, shortlist
from tipr.objectives.extraction import ExtractionConfig, TextGuidedExtraction

FORMAT = 1
FACTS, WEIGHTS = "reranker.json", "reranker.safetensors"
BLEND = 0.3  # the share of the pair's score
_PAIRS = 4096  # scored at once
_PICTURES, _SENTENCES = 64, 256  # encoded at once
_MALFORMED = (KeyError, TypeError, RuntimeError, json.JSONDecodeError, UnicodeDecodeError)


@dataclass(frozen=True)
class Pictures:
    """A gallery as re-ranking reads it, encoded once; the tokens are kept in half precision."""

    embedding: Float[Tensor, "I D"]  # unit length
    tokens: Float16[Tensor, "I N D"]


class PairwiseReranker:
    """An encoder with a head that reads a description and a picture together.

    A pair's score is `(1 - blend) cos(text, image) + blend cos(text, found)`, where `found` is
    what the text finds in the picture's tokens; `global_token` puts the picture's embedding first
    among them.
    """

    def __init__(
        self,
        embedder: Embedder,
        extraction: TextGuidedExtraction,
        blend: float = BLEND,
        global_token: bool = True,
    ) -> None:
        _check_blend(blend)
        self.embedder, self.extraction = embedder, extraction
        self.blend, self.global_token = blend, global_token

    @classmethod
    def load(cls, model: Path | str, embedder: Embedder) -> PairwiseReranker:
        """The head saved beside a model, for the embedder loaded from that model.

        Raises:
            ValueError: the model has no head, or the head is damaged, of another version or of
                another model than the embedder's.
        """
        folder = find_bundle(model)
        if not (folder / FACTS).is_file():
            raise ValueError(f"the model in {folder} has no re-ranking head; search without it, or "
                             "train a model that has one: tipr train mgrl:small")  # fmt: skip
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            _check_facts(facts, folder, embedder)
            extraction = ExtractionConfig(**facts["extraction"]).build()
            weights = load_file(folder / WEIGHTS)
            extraction.load_state_dict({name: value.float() for name, value in weights.items()})
            blend, global_token = float(facts["blend"]), bool(facts["global_token"])
        except (OSError, SafetensorError, *_MALFORMED) as error:
            raise ValueError(f"the re-ranking head in {folder} is damaged: {error}") from error
        return cls(embedder, extraction.to(embedder.device), blend, global_token)

    @classmethod
    def beside(cls, embedder: Embedder) -> PairwiseReranker:
        """The head in the folder that the embedder was loaded from."""
        return cls.load(embedder.source, embedder)

    def scores(self, description: str, images: Sequence[Path]) -> Float[np.ndarray, " N"]:
        """How well the description fits each picture; NaN for a file that cannot be read."""
        pixels = [_pixels(path, self.embedder) for path in images]
        readable = [row for row, picture in enumerate(pixels) if picture is not None]
        result = np.full(len(images), np.nan, np.float32)
        if readable:
            pictures = self._encoded([picture for picture in pixels if picture is not None])
            result[readable] = self.similarity(self.sentences([description]), pictures)[0].numpy()
        return result

    def sentences(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """The embeddings of the texts, as the head reads them: not normalised."""
        encoder, tokenizer = self.embedder.encoder, self.embedder.tokenizer
        with self._inference():
            rows = [
                encoder.encode_text(tokenizer(chunk).to(self.embedder.device)).embedding
                for chunk in _chunks(texts, _SENTENCES)
            ]
        return torch.cat(rows)

    def pictures(self, images: Sequence[Path]) -> Pictures:
        """The pictures, encoded.

        Raises:
            UnreadableImage: a file cannot be read as a picture.
        """
        parts = [
            self._encoded([self.embedder.transform(open_image(path)) for path in chunk])
            for chunk in _chunks(images, _PICTURES)
        ]
        return _joined(parts)

    def similarity(
        self,
        texts: Float[Tensor, "T D"],
        pictures: Pictures,
        asked: Bool[Tensor, "T I"] | None = None,
    ) -> Float[Tensor, "T I"]:
        """The score of every pair, or of those `asked` for; the others are NaN."""
        count, total = len(texts), len(pictures.tokens)
        pairwise = torch.full((count, total), torch.nan)
        step = 1 if asked is not None else min(_PICTURES, max(1, _PAIRS // count))
        with self._inference():
            for start in range(0, total, step):
                block = slice(start, start + step)
                rows = torch.arange(count) if asked is None else asked[:, start].nonzero()[:, 0]
                tokens = pictures.tokens[block].to(texts.device, texts.dtype)
                for part in rows.split(_PAIRS):
                    found = self.extraction.scores(texts[part.to(texts.device)], tokens)
                    pairwise[part, block] = found.float().cpu()
            return (1 - self.blend) * cosines(texts, pictures) + self.blend * pairwise

    def _encoded(self, pixels: Sequence[Tensor]) -> Pictures:
        batches = [torch.stack(list(chunk)) for chunk in _chunks(pixels, _PICTURES)]
        with self._inference():
            parts = [self._batch(batch.to(self.embedder.device)) for batch in batches]
        return _joined(parts)

    def _batch(self, pixels: Float[Tensor, "I 3 H W"]) -> Pictures:
        encoded = self.embedder.encoder.encode_image(pixels)
        embedding, tokens = encoded.embedding, encoded.tokens
        if self.global_token:
            tokens = torch.cat([embedding[:, None], tokens], dim=1)
        return Pictures(F.normalize(embedding.float()).cpu(), tokens.to(torch.float16).cpu())

    @contextmanager
    def _inference(self) -> Generator[None]:
        modules = (self.embedder.encoder, self.extraction)
        training = [module.training for module in modules]
        for module in modules:
            module.eval()
        with torch.inference_mode():
            yield
        for module, before in zip(modules, training, strict=True):
            module.train(before)


def save_reranker(
    extraction: TextGuidedExtraction,
    folder: Path | str,
    *,
    blend: float = BLEND,
    global_token: bool = True,
) -> None:
    """Puts the head beside the model in `folder`, which it then belongs to.

    A head is there once its `reranker.json` is; one that was there is never left with the weights
    of another.

    Raises:
        ValueError: there is no model in `folder`.
        OSError: it could not be written; a head that was there is intact.
    """
    _check_blend(blend)
    folder = find_bundle(folder)
    facts = {
        "format": FORMAT,
        "fingerprint": Embedder.load(folder, "cpu").fingerprint,
        "extraction": asdict(extraction.config),
        "blend": blend,
        "global_token": global_token,
    }
    weights = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in extraction.state_dict().items()
    }
    try:
        _replaced(folder, weights, json.dumps(facts, indent=2) + "\n")
    except (OSError, SafetensorError) as error:
        raise OSError(f"the re-ranking head could not be written to {folder} ({error}); free some "
                      "disk space and try again") from error  # fmt: skip


def _replaced(folder: Path, weights: dict[str, Tensor], facts: str) -> None:
    """Both files are written whole before either takes its place; the facts come last."""
    drafts = [folder / f".{name}.{os.getpid()}" for name in (WEIGHTS, FACTS)]
    try:
        save_file(weights, drafts[0])
        drafts[1].write_text(facts, encoding="utf-8", newline="\n")
        (folder / FACTS).unlink(missing_ok=True)
        drafts[0].replace(folder / WEIGHTS)
        drafts[1].replace(folder / FACTS)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def cosines(texts: Float[Tensor, "T D"], pictures: Pictures) -> Float[Tensor, "T I"]:
    """The dual encoder's scores."""
    return F.normalize(texts.float()).cpu() @ pictures.embedding.T


def evaluate_reranked(
    reranker: PairwiseReranker, pairs: Sequence[Pair], depth: int
) -> RetrievalMetrics:
    """Text-to-image retrieval on a split when the `depth` best of each query are re-ranked.

    Raises:
        ValueError: the split is empty, or no query has a match.
    """
    if not pairs:
        raise ValueError("the split is empty; choose another with --split")
    gallery = {pair.image_id: pair for pair in pairs}
    pictures = reranker.pictures([pair.image for pair in gallery.values()])
    texts = reranker.sentences([pair.caption for pair in pairs])
    similarity = cosines(texts, pictures)
    pairwise = reranker.similarity(texts, pictures, shortlist(similarity, depth))
    return retrieval_metrics(
        reranked(similarity, pairwise, depth),
        torch.tensor([pair.person_id for pair in pairs]),
        torch.tensor([pair.person_id for pair in gallery.values()]),
    )


def _joined(parts: Sequence[Pictures]) -> Pictures:
    embeddings, tokens = [part.embedding for part in parts], [part.tokens for part in parts]
    return Pictures(torch.cat(embeddings), torch.cat(tokens))


def _pixels(path: Path, embedder: Embedder) -> Tensor | None:
    try:
        return embedder.transform(open_image(path))
    except UnreadableImage:
        return None


def _chunks(items: Sequence[Any], size: int) -> list[Any]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _check_facts(facts: dict[str, Any], folder: Path, embedder: Embedder) -> None:
    if facts["format"] != FORMAT:
        raise ValueError(f"the re-ranking head in {folder} has format {facts['format']}, this tipr "
                         f"reads {FORMAT}")  # fmt: skip
    if facts["fingerprint"] != embedder.fingerprint:
        raise ValueError(
            f"the re-ranking head in {folder} belongs to model {facts['fingerprint']}, this is "
            f"{embedder.fingerprint} ({embedder.source}); load both from the same folder"
        )


def _check_blend(blend: float) -> None:
    if not 0 <= blend <= 1:
        raise ValueError(f"blend is the share of the pair's score, from 0 to 1; this is {blend}")
