"""What a plain English sentence denies: "a man without a bag" is "a man", and not "a bag".

Models embed "no hat" beside "a hat", so what is denied has to be taken out of the sentence. How
far a denial reaches goes by grammar: "without", "not" and "neither" reach over "or", lists and
"and" as far as the next verb or preposition, "no" only to the next "and". What is not understood
stays in the sentence.
"""

from __future__ import annotations

import re

_VERB = r"(?:wear|carry|hold|hav|us|show)ing|wears?|carr(?:y|ies)|holds?|ha[sd]|have|got"
_WHO = r"(?:who|that|which|s?he|they|it|there)"
_IS = r"(?:is|are|was|were|does|do|did|has|have|had)"
_CUE = re.compile(
    rf"\b(?:(?:{_WHO}(?:'s)?\s+){{0,3}}(?:{_IS}\s+not|{_IS}n't|not)\s+(?:(?:{_VERB})\s+){{0,2}}"
    rf"|without\s+(?:(?:{_VERB})\s+)?|(?:{_WHO}\s+)?lack(?:s|ing)?\s+|neither\s+|(?P<no>no)\s+)",
    re.IGNORECASE,
)
_OTHER = re.compile(  # what follows a cue that denies nothing one could see
    r"(?:only|just|sure|visible|seen|shown|clear|quite|very|really|so|too|longer|one|matter|\d+)\b",
    re.IGNORECASE,
)
_NEXT = (
    rf"(?:{_WHO}|but|while|with|without|not|no|neither|{_VERB}|{_IS}(?:n't)?|walking|standing|facing"
    r"|riding|in(?!\s+(?:his|her|their|the|either)(?:\s+\w+)?\s+hands?\b))\b"
)
_ITEM = r"(?>\s*(?:(?:an?|any)\s+)?(?!n?or\b)[\w-]+(?:\s+(?!n?or\b)[\w-]+)?)"  # never tried twice
_LIST = rf"(?:{_ITEM}\s*,)*{_ITEM}\s*,?\s*n?or\b"
_FAR = re.compile(rf"[.;:!?]|,(?!{_LIST}|\s*n?or\b)|(?<!\bor )\b{_NEXT}|\band\s+{_NEXT}", re.I)
_NEAR = re.compile(rf"{_FAR.pattern}|\band\b", re.I)
_BETWEEN = re.compile(r"\s*(?:,|\b(?:n?or|and)\b)\s*", re.IGNORECASE)
_DANGLING = re.compile(rf"(?:[\s,]|\b(?:and|but|with|{_WHO}(?:'s)?|{_IS}|{_VERB})\b)+$", re.I)
_LEADING = re.compile(r"^(?:\s|\band\b|\bbut\b)+", re.IGNORECASE)
_ARTICLE = re.compile(r"(?:an?|any|the)\s", re.IGNORECASE)


def affirmed(sentence: str) -> tuple[str, tuple[str, ...]]:
    """What is left of the sentence without what it denies, and the things denied, in order.

    The sentence comes back as it was, and nothing beside it, where it denies nothing.
    """
    rest, denied, start = sentence.replace("\u2019", "'"), [], 0
    while cue := _CUE.search(rest, start):
        start = cue.end()
        reach = (_NEAR if cue["no"] else _FAR).search(rest, start)
        end = reach.start() if reach else len(rest)
        things = [] if _OTHER.match(rest, start) else _things(rest[start:end])
        if things:
            denied += things
            rest, start = _joined(rest[: cue.start()], rest[end:])
    return (rest.strip(" ,"), tuple(denied)) if denied else (sentence, ())


def _things(phrase: str) -> list[str]:
    """ "a hat or a bag" are two things, "black or white hat" is one."""
    parts = [part for part in _BETWEEN.split(phrase.strip(" ,")) if part]
    if len(parts) < 2:
        return parts
    shared = " " not in parts[0] and " " in parts[-1] and not _ARTICLE.match(parts[-1])
    return [phrase.strip(" ,")] if shared else parts


def _joined(head: str, tail: str) -> tuple[str, int]:
    """The sentence without what stood between, and where its tail begins."""
    goes_on = re.match(r"\s*and\s+(?!" + _NEXT + ")", tail, re.IGNORECASE)
    head = head.rstrip(" ,") if goes_on else _DANGLING.sub("", head)
    if goes_on or not head or head[-1] in ".;:!?":
        head, tail = re.sub(r"\s+(?:and|but)$", "", head), tail.lstrip(" ,.;:!?")
    tail = _LEADING.sub("", tail)
    gap = " " if head and tail and tail[0] not in ",.;:!?" else ""
    return head + gap + tail, len(head)
