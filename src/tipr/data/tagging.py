"""What part of speech each word of a caption is, told offline and without learning.

The tagger is textblob's PatternTagger (De Smedt & Daelemans, JMLR 2012), whose lexicon comes with
the package; a list of the words that descriptions of people are made of corrects it where it reads
newspapers: `left` is no past participle here, and a `dress` is nothing one does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache, lru_cache, partial

import torch

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, Batcher, Pair
from tipr.data.text import Tokenizer, words


class Tag(IntEnum):
    """What `Batch.tags` holds."""

    OTHER = 0
    NOUN = 1
    ADJECTIVE = 2
    PRONOUN = 3


_NOUNS = """
    pedestrian individual build figure dress top tops tank jeans pants shorts sports cut fit knit
    tote strap straps handle brolly stocking slip taper lining writing lettering trim colour color
    rose plaid heel heels check checks t-shirt t-shirts
"""
_ADJECTIVES = """
    left right male female attired bareheaded colored coloured striped hooded sleeved collared
    checkered chequered checked pleated patterned printed dotted spotted pinstriped quilted padded
    knitted ripped faded washed bleached burnt cropped fitted tailored relaxed layered trimmed
    buttoned unbuttoned zipped unzipped laced heeled toed brimmed peaked rimmed shaved braided
    wheeled twisted blocked tied rolled rounded pointed curled dyed aged tanned toned greying
    graying flowing matching open kelly black white grey gray red green blue yellow orange purple
    pink brown navy teal maroon khaki beige burgundy turquoise indigo violet lavender lilac magenta
    cyan olive crimson scarlet golden silver charcoal ivory cream mustard coral aqua mauve fuchsia
"""
_OTHERS = """
    wear wears wearing wore worn carry carries carrying carried hold holds holding held have has
    having walk walks walking stand stands standing look looks looking move moves moving march
    marches sporting totes toting haul hauls tow tows grasp grasps grips clasps clutches stares
    advances touches chats stroll strolls pause pauses appears seems past
"""


def _corrections() -> dict[str, Tag]:
    lists = {Tag.OTHER: _OTHERS, Tag.ADJECTIVE: _ADJECTIVES, Tag.NOUN: _NOUNS}
    return {word: kind for kind, text in lists.items() for word in text.split()}


_CORRECTIONS = _corrections()
_ENDINGS = {"s", "t", "re", "ve", "m", "ll", "d"}  # after an apostrophe
_PENN = {"NN": Tag.NOUN, "JJ": Tag.ADJECTIVE, "PR": Tag.PRONOUN}


def tag(caption: str) -> list[tuple[str, Tag]]:
    """The words of a caption in order, lower-case, with what they are; `t-shirt` is one word."""
    return [("".join(parts), kind) for parts, kind in _tagged(caption, tuple(words(caption)))]


def word_tags(caption: str, spelled: Sequence[str] | None = None) -> list[Tag]:
    """One tag for every word; the parts of `t-shirt` share one.

    `spelled` are the caption's words as a tokenizer counts them, if it does not as `words` does.
    """
    told = tuple(words(caption) if spelled is None else spelled)
    return [kind for parts, kind in _tagged(caption, told) for _ in parts]


def with_tags(batch: Batch, captions: Sequence[str], tokenizer: Tokenizer) -> Batch:
    """The batch with the tag of every token; `captions` are those that it holds."""
    tags = torch.zeros_like(batch.words)
    for row, caption in enumerate(captions):
        kinds = word_tags(caption, tokenizer.words(caption))
        tags[row] = torch.tensor([Tag.OTHER, *kinds])[batch.words[row]]
    return replace(batch, tags=tags)


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """One row per pair, with the part of speech of every token."""

    def build(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batcher:
        tagger()  # if it is missing, say so now and not in a worker
        return partial(self._batch, plain)

    def _batch(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batch:
        return with_tags(*plain.captioned(pairs), plain.tokenizer)


@cache
def tagger() -> Callable[..., list[tuple[str, str]]]:
    """Textblob's tagger, its word lists read. Raises ImportError when it is not installed."""
    try:
        from textblob.en.taggers import PatternTagger
    except ImportError as error:
        raise ImportError("telling nouns from verbs needs: pip install 'tipr[nlp]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # textblob does not close its word lists
        PatternTagger().tag("a pedestrian qwertily bezazzed", tokenize=False)
    return PatternTagger().tag


@lru_cache(maxsize=1 << 14)
def _tagged(caption: str, spelled: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], Tag], ...]:
    compounds = _compounds(caption.lower(), spelled)
    texts = ["".join(parts) if parts[0].isalpha() else "," for parts in compounds]
    penn = tagger()(" ".join(texts), tokenize=False) if texts else []
    return tuple(
        (tuple(parts), _kind(text, name))
        for parts, text, (_, name) in zip(compounds, texts, penn, strict=True)
    )


def _compounds(text: str, spelled: Sequence[str]) -> list[list[str]]:
    """The words, those that hyphens join in one list: [["a"], ["t", "-", "shirt"]].

    So are an apostrophe and what it stands before, which BERT tells apart: [["'", "s"]].
    """
    out = list[list[str]]()
    for part, following in zip(spelled, [*spelled[1:], ""], strict=False):
        before = out[-1] if out else [""]
        within = len(before) > 1 and before[-1] == "-"
        joins = part == "-" and before[-1].isalpha() and following.isalpha()
        ends = before == ["'"] and part in _ENDINGS and f"'{part}" in text
        if within or ends or (joins and f"{before[-1]}-{following}" in text):
            before.append(part)
        else:
            out.append([part])
    return out


def _kind(text: str, penn: str) -> Tag:
    """From a tag of the Penn treebank; a compound with a participle (short-sleeved) describes."""
    if not text[0].isalpha():
        return Tag.OTHER
    if "-" in text and penn.startswith("VB"):
        return Tag.ADJECTIVE
    return _CORRECTIONS.get(text, _PENN.get(penn[:2], Tag.OTHER))
