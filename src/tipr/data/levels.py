"""A pair at several levels of language: its attributes, a clause, the whole sentence.

Multi-level alignment (IVT, Shu et al., ECCV workshops 2022) shows every pair once a level, each
time under an augmentation of its own. No parser is needed: clauses come from punctuation, as
released. The attributes of CUHK-PEDES came with a file of the authors; here they are read off the
sentence by a list of function words. Every choice is drawn from torch's generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, Batcher, Pair
from tipr.data.text import words

Level = Literal["word", "phrase", "sentence"]
WordLevel = Literal["phrases", "clause"]
SHORTEST = 6  # characters of a clause that is worth showing


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COLOURS = _listed(
    "amber aqua azure beige black blond blonde blue bronze brown burgundy camel charcoal cobalt "
    "copper coral cream crimson cyan fuchsia gold golden gray green grey indigo ivory khaki "
    "lavender lilac lime magenta maroon mauve mustard navy olive orange peach pink plum purple red "
    "rose rust salmon scarlet silver tan taupe teal turquoise violet white yellow"
)
_SHADES = _listed("bright dark deep light medium neon pale pastel royal solid")
_DENIALS = _listed("without not nor neither never 't")
# Words that carry no attribute: they stand between noun phrases.
_FUNCTION = _listed(
    # determiners, pronouns, numerals without a noun of their own
    "a an the this that these those some any each every all both another other others such its "
    "his her hers their theirs him he she they them it who whom whose which what i we you one "
    "there here someone something everything "
    # prepositions, conjunctions, particles
    "of in on at by for from to into onto with over under above below behind beside between "
    "against around about across along through towards toward up down off out near after before "
    "during until upon within inside outside as than like and or but nor so if while when where "
    "because then also too just only very quite rather really slightly almost mostly possibly "
    "probably maybe perhaps well still away pair "
    # auxiliaries and the verbs of captions
    "is are was were be been being am has have had having do does did can could will would may "
    "might must should doesn don didn isn aren wasn hasn haven appears seems seem appear "
    "looks look wears wear wore worn carries carry carried "
    "holds hold held walks walk stands stand sits sit faces face uses use talks talk goes go "
    "comes come gets got keeps kept shows show shown seen visible dressed clad paired combined "
    "featuring includes include features matched tied pulled rolled tucked turned covered "
    "consists consist made known called makes make has says say rides ride moves move runs "
    "sports strides strolls steps waits"
)
# What looks like a verb or an adverb by its ending and is none.
_NOT_VERBS = _listed(
    "clothing earring ring string building stocking legging lining piping sling fitting matching "
    "drawstring stripping lettering spring wing king padding trimming stitching "
    "running shopping hiking"
)
_NOT_ADVERBS = _listed("curly woolly wooly frilly elderly belly family polly")


def sentence(caption: str) -> str:
    """The caption as it is."""
    return caption


def phrase(caption: str) -> str:
    """One part of one sentence, as released: its longest clause, or all of its other clauses.

    Parts of five characters or fewer do not count; where none is longer the caption stays whole.
    """
    parts: list[str] = []
    for told in caption.strip(".[] ").split("."):
        clauses = [clause.strip() for clause in told.split(",")]
        longest = clauses.pop(max(range(len(clauses)), key=lambda i: len(clauses[i])))
        parts += [longest, ", ".join(clause for clause in clauses if clause)]
    return _one_of([part for part in parts if len(part) >= SHORTEST], caption)


def clause(caption: str) -> str:
    """What stands between two commas: the word level as released for ICFG-PEDES and RSTPReid."""
    clauses = [part.strip(" .[]") for part in caption.split(",")]
    return _one_of([part for part in clauses if len(part) >= SHORTEST], caption)


def attributes(caption: str) -> str:
    """A random number of the caption's noun phrases, in random order, with commas between."""
    phrases = noun_phrases(caption)
    if not phrases:
        return phrase(caption)
    count = int(torch.randint(1, len(phrases) + 1, ()))
    return ", ".join(phrases[i] for i in torch.randperm(len(phrases))[:count].tolist())


def noun_phrases(caption: str) -> list[str]:
    """Runs of words between function words, verbs and punctuation: "red and white shoes".

    What the caption denies is left out ("without a hat"), unless the denial is part of the phrase
    ("no hat"). A rule of closed word classes, not a parser: it errs on rare words.
    """
    found: list[list[str]] = [[]]
    tokens, inside, denied = words(caption), False, False
    for i, token in enumerate(tokens):
        before, inside = inside, _joins(tokens, i) or not _separates(token)
        if token in _DENIALS:
            denied = True
        elif not inside and (before or not token[0].isalnum()):
            denied = False
        if not inside or token == "no":
            found.append([])
        if inside and not denied:
            found[-1].append(token)
    told = (" ".join(run).replace(" - ", "-").replace(" , ", ", ") for run in found if run)
    return list(dict.fromkeys(told))


def _separates(token: str) -> bool:
    """Whether no noun phrase goes on across this word."""
    if not token[0].isalnum() or token in _FUNCTION or token in _DENIALS:
        return True
    verb = token.endswith("ing") and token not in _NOT_VERBS
    return verb or (token.endswith("ly") and token not in _NOT_ADVERBS)


def _joins(tokens: Sequence[str], i: int) -> bool:
    """Whether this is the "-up" of "button-up", or the "and" of "red and dark blue shoes"."""
    if i > 1 and tokens[i - 1] == "-" and not _separates(tokens[i - 2]):
        return tokens[i].isalnum()
    if not 0 < i < len(tokens) - 1:
        return False
    before, token, after = tokens[i - 1 : i + 2]
    if token == "-":
        return not _separates(before) and after.isalnum()
    colours = before in _COLOURS and (after in _COLOURS or after in _SHADES)
    return colours and token in {"and", "or", ",", "/", "&"}


def _one_of(parts: Sequence[str], otherwise: str) -> str:
    return parts[int(torch.randint(len(parts), ()))] if parts else otherwise


_WORD_LEVEL: dict[WordLevel, Callable[[str], str]] = {"phrases": attributes, "clause": clause}


@dataclass(frozen=True, kw_only=True)
class Levels:
    """One block of rows per level, in this order, each with its own view of the same pictures.

    A batch of B pairs has as many times B rows as there are levels.
    """

    levels: tuple[Level, ...] = ("word", "phrase", "sentence")
    word: WordLevel = "phrases"  # "clause" as released for ICFG-PEDES and RSTPReid

    def __post_init__(self) -> None:
        if not self.levels or set(self.levels) - set(get_args(Level)):
            raise ValueError(f"levels are some of {', '.join(get_args(Level))}, not {self.levels}")
        if self.word not in _WORD_LEVEL:
            raise ValueError(f"the word level is one of {', '.join(_WORD_LEVEL)}")

    def build(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batcher:
        texts = {"word": _WORD_LEVEL[self.word], "phrase": phrase, "sentence": sentence}
        return LevelBatcher(plain, [texts[level] for level in self.levels])


class LevelBatcher:
    """The plain batcher on every pair once a level."""

    def __init__(self, plain: PairBatcher, texts: Sequence[Callable[[str], str]]) -> None:
        self.plain, self.texts = plain, tuple(texts)

    def __call__(self, pairs: Sequence[Pair]) -> Batch:
        told = [replace(pair, caption=text(pair.caption)) for text in self.texts for pair in pairs]
        return replace(self.plain(told), levels=len(self.texts))
