"""What IVT takes of BERT (Devlin et al., NAACL 2019): the embedding of words, the feed-forwards.

Its attention and norms stay behind, since the shared encoder has those of a picture transformer.
Read are the names of transformers, with or without `bert.`, and of the first release.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from tipr.encoders.pretrained.vit import NUMBER, Part, translated

WORDS: tuple[tuple[str, str], ...] = (
    (r"embeddings\.word_embeddings\.weight", "sentence.word"),
    (r"embeddings\.position_embeddings\.weight", "sentence.place"),
    (r"embeddings\.token_type_embeddings\.weight", "sentence.segment"),
    (r"embeddings\.LayerNorm\.(?:weight|gamma)", "sentence.norm.weight"),
    (r"embeddings\.LayerNorm\.(?:bias|beta)", "sentence.norm.bias"),
)
_LAYER = rf"(?:bert\.)?encoder\.layer\.{NUMBER}\."
_OURS = r"blocks.\1.feedforward.text."
_RULES = (
    *((r"(?:bert\.)?" + theirs, ours) for theirs, ours in WORDS),
    (_LAYER + r"intermediate\.dense\.(weight|bias)", _OURS + r"0.\2"),
    (_LAYER + r"output\.dense\.(weight|bias)", _OURS + r"2.\2"),
)
_BEHIND = (
    r"(bert\.)?(encoder\.layer\.\d+\.(attention\..*|output\.LayerNorm\..*)"
    r"|embeddings\.position_ids|pooler\..*|cls\..*)"
)


def is_bert(names: Iterable[str]) -> bool:
    return any(n.removeprefix("bert.") == "embeddings.word_embeddings.weight" for n in names)


def bert_part(tensors: dict[str, Tensor]) -> Part:
    return translated(tensors, _RULES, scaffolding=_BEHIND)
