"""What a texel shows. Counting the tags of a picture's pixels says what is visible in it."""

from __future__ import annotations

TAGS: tuple[str, ...] = (
    "none",
    "skin",
    "face",
    "hair",
    "beard",
    "glasses",
    "sunglasses",
    "mask",
    "hat",
    "upper",
    "print",
    "inner",
    "outer",
    "lower",
    "leg",
    "shoe",
    "sole",
    "bag",
    "strap",
    "obj",
    "scarf",
    "belt",
    "glove",
    "collar",
    "eyes",
    "metal",
    "tie",
)

TAG: dict[str, int] = {name: index for index, name in enumerate(TAGS)}
