"""Patches and hidden words by the book, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from references.matching import Vectors, softmax

Image = Sequence[Vectors]  # channels of rows of pixels


def patches(image: Image, patch: int) -> list[list[float]]:
    height, width = len(image[0]), len(image[0][0])
    found = []
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            pixels = []
            for row in range(top, top + patch):
                for column in range(left, left + patch):
                    pixels += [channel[row][column] for channel in image]
            found.append(pixels)
    return found


def masked_pixels(
    prediction: Sequence[Vectors], images: Sequence[Image], seen: Sequence[set[int]], patch: int
) -> float:
    """`seen` are the patches of each row that are not scored."""
    errors = []
    for row, image in enumerate(images):
        for number, target in enumerate(patches(image, patch)):
            if number not in seen[row]:
                guess = prediction[row][number]
                squares = [(a - b) ** 2 for a, b in zip(guess, target, strict=True)]
                errors.append(sum(squares) / len(squares))
    return sum(errors) / len(errors)


def masked_words(
    logits: Sequence[Vectors], tokens: Sequence[Sequence[int]], weight: Vectors
) -> float:
    """`weight` is 0 where a word is not hidden."""
    total = 0.0
    for row, ids in enumerate(tokens):
        for place, token in enumerate(ids):
            surprise = -math.log(softmax(logits[row][place])[token])
            total += weight[row][place] * surprise
    return total / sum(sum(row) for row in weight)
