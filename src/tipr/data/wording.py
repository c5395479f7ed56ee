"""Changes that leave a sentence true: words dropped, clauses in another order, sides exchanged.

Everything draws from torch's generator. Nothing is drawn for a change that is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby, pairwise, takewhile
from typing import Any

import torch

_DENIALS = {"no", "not", "without", "nothing", "neither", "nor", "never", "none", "cannot"}
_BOUNDS = {"and", "but", "with", "while", "on", "in", "at", "over", "under", "of", "to"}
_SIDES = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r"(\s*[.!?]+(?:\s+|$))")
_COMMAS = re.compile(r"(\s*[,;]\s*(?:and\s+)?)")
_PLAIN = re.compile(r"[\w\s'/-]+")  # anything else in a clause may tie it to another


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MEN = _listed("man male boy guy gentleman he him his")
_WOMEN = _listed("woman female girl lady she her hers")
_PEOPLE = _MEN | _WOMEN | _listed("person pedestrian individual adult youth teenager")
_SUBJECTS = _PEOPLE - _listed("him his her hers")
_COMPANY = _listed(
    "men males women females girls boys ladies people persons pedestrians couple group child "
    "children kid kids baby toddler friend friends companion dog another other others"
)
_POINTING = _listed(
    "it its they them their theirs this these those which who whose whom one ones each both same "
    "similar matching former latter first second then respectively underneath"
)
_ARTICLES = _listed("a an his her no two some")
_LINKS = _listed("with in on of over under at that to from for")
_DOING = _listed(
    "wearing carrying holding walking standing running sitting looking facing talking using "
    "pushing pulling riding having sporting gripping moving"
)
_DOES = _listed(
    "is was are were has had wears wore carries holds walks stands runs sits looks faces talks "
    "uses pushes pulls rides sports grips moves seems appears"
)
_THINGS = _listed(
    "shirt t-shirt tee blouse top polo tunic sweater sweatshirt hoodie cardigan jacket coat vest "
    "suit dress skirt shorts pants jeans trousers slacks leggings capris shoes sneakers trainers "
    "boots sandals heels flats loafers socks hat cap scarf tie belt gloves mask glasses sunglasses "
    "bag handbag backpack purse satchel suitcase umbrella phone hair ponytail beard pair"
)


def reworded(caption: str, mirror: bool, drop_words: float, shuffle_clauses: float) -> str:
    """The caption told otherwise; the last two are chances, of each word and of the caption."""
    if mirror:
        caption = mirrored(caption)
    if shuffle_clauses and float(torch.rand(())) < shuffle_clauses:
        caption = shuffled(caption)
    return thinned(caption, drop_words) if drop_words else caption


def mirrored(caption: str) -> str:
    """What the caption says of the mirror image: left and right exchanged."""
    return _SIDE.sub(lambda side: _SIDES[side.group().lower()], caption)


def thinned(caption: str, chance: float) -> str:
    """Words are dropped with this chance (random deletion of EDA, Wei and Zou, EMNLP 2019).

    What denies is kept with what it denies, for "no hat, white shoes" is neither "hat, white shoes"
    nor "no white shoes", and a caption that would lose all its words is left as it is; EDA keeps
    none of these. TBPS-CLIP (Cao et al., AAAI 2024) drops 0.05.
    """
    words = caption.split()
    chances = torch.rand(len(words)).tolist()
    kept = [
        word
        for word, drawn, denied in zip(words, chances, _denied(words), strict=True)
        if drawn >= chance or denied
    ]
    return " ".join(kept) or caption


def _denied(words: Sequence[str]) -> list[bool]:
    """Which words deny or are denied: up to a comma, or to a link, where something else begins."""
    found, within = [], False
    for word in words:
        bare = word.lower().strip(",;.!?")
        denies = bare in _DENIALS or bare.endswith(("n't", "n\u2019t"))
        within = denies or (within and bare not in _BOUNDS)
        found.append(within)
        within = within and word[-1] not in ",;.!?"
    return found


def shuffled(caption: str) -> str:
    """Sentences, and what stands between the commas of one, change places where none relies on it.

    1. The first sentence, and the first clause of each, stay: they say whom the rest is about.
       Sentences move when the first names a person and they begin with that person ("he", "her",
       "the man"); clauses when each is a thing, each says what a thing is like, or each begins
       with what the person does or is doing.
    2. Only neighbours of one such kind change places, and their last stays where the sentence goes
       on in another way, since what follows may belong to it ("a long, dark coat").
    3. What points at something else ("it", "these", "matching") stays where it is, and so does all
       of a caption that tells of several people.

    Commas, full stops and every "and" after a comma stay in their places between the words.
    """
    told = _words(caption)
    if told & _COMPANY or (told & _MEN and told & _WOMEN):
        return caption
    sentences = _SENTENCE_ENDS.split(caption)
    named = bool(_words(sentences[0]) & _SUBJECTS)
    kinds = ["about them" if named and _is_about_them(text) else "" for text in sentences[2::2]]
    sentences[::2] = _exchanged(sentences[::2], ["", *kinds])
    return "".join(_shuffled_clauses(text) for text in sentences)


def check_shares(owner: Any, *names: str) -> None:
    """Raises ValueError unless these fields of an augmentation are from 0 to 1."""
    for name in names:
        value = getattr(owner, name)
        if not 0 <= value <= 1:
            raise ValueError(f"data.augmentation.{name} is a share from 0 to 1, not {value}")


def _shuffled_clauses(sentence: str) -> str:
    parts = _COMMAS.split(sentence)
    clauses = parts[::2]
    kinds = [_kind(clause, before) for before, clause in pairwise(clauses)]
    parts[::2] = _exchanged(clauses, ["", *kinds])
    return "".join(parts)


def _exchanged(parts: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Neighbours of the same kind in a new order; those of no kind stay."""
    exchanged = list(parts)
    for kind, run in groupby(range(len(parts)), kinds.__getitem__):
        places = list(run)
        if places[-1] < len(parts) - 1 and parts[places[-1] + 1]:
            places.pop()
        if kind and len(places) > 1:
            drawn = torch.randperm(len(places)).tolist()
            for place, i in zip(places, drawn, strict=True):
                exchanged[place] = parts[places[i]]
    return exchanged


def _is_about_them(sentence: str) -> bool:
    """Whether it begins with the person that the caption is about."""
    first, told = sentence.lower().split()[:1], _words(sentence)
    if told & _POINTING:
        return False
    return bool(_PEOPLE & {*first}) or (first == ["the"] and bool(told & _SUBJECTS))


def _kind(clause: str, before: str) -> str:
    """What a clause is; empty where it may hang on another, or another on it."""
    told = _words(clause)
    if not _PLAIN.fullmatch(clause) or told & (_POINTING | _SUBJECTS):
        return ""
    words = clause.lower().split()
    if words[0] in _DOING:
        return "doing"
    if words[0] in _DOES:
        return "does"
    begins = words[0] in _ARTICLES
    if told & _DOES:
        return "is like" if begins else ""
    follows = begins or _THINGS & {*before.lower().split()[-1:]}  # not "a long", "dark coat"
    return "thing" if follows and _is_thing(clause) else ""


def _is_thing(clause: str) -> bool:
    """Whether it names something to wear or carry, and no deed: "jeans and hauls a case"."""
    if any(word.endswith("ing") for word in _words(clause)):
        return False
    pieces = [piece.split() for piece in clause.lower().split(" and ")]
    named = [list(takewhile(lambda word: word not in _LINKS, piece)) for piece in pieces]
    if any(_ARTICLES & {*words[1:]} for words in named):
        return False
    return bool(_THINGS & {*named[-1][-1:]})


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text.lower()))
