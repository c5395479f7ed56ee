"""Random numbers addressed by name: every decision has its own stream, so none shifts another.

`Rng(seed, "id", 7, "hat")` gives the same values on every machine and in every process, whatever
was drawn before. An attribute added later leaves all others as they were, and two people who share
a key share the decision. A stream re-created with the same key repeats itself: inside a retry loop
add the number of the try to the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Value = TypeVar("Value")

_WORD = 0xFFFFFFFFFFFFFFFF


class Rng:
    """A splitmix64 stream (Steele et al., OOPSLA 2014) seeded by the BLAKE2b hash of a key."""

    __slots__ = ("_state",)

    def __init__(self, *key: object) -> None:
        name = "/".join(map(str, key)).encode()
        self._state = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")

    def bits(self) -> int:
        """The next 64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
        return z ^ (z >> 31)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * ((self.bits() >> 11) * (1.0 / 9007199254740992.0))

    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """A bounded bell (sum of four uniforms): no libm, so the same bits on every platform."""
        total = self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2.0
        return mean + deviation * total * 1.7320508

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def below(self, count: int) -> int:
        return self.bits() % count

    def pick(self, options: Sequence[Value]) -> Value:
        return options[self.bits() % len(options)]

    def weighted(self, options: Sequence[tuple[Value, float]]) -> Value:
        """One value of `(value, weight)` pairs."""
        left = self.uniform() * sum(weight for _, weight in options)
        for value, weight in options:
            left -= weight
            if left < 0:
                return value
        return options[-1][0]

    def shuffled(self, options: Sequence[Value]) -> list[Value]:
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in range(len(options))]

    def generator(self) -> np.random.Generator:
        """A NumPy generator for noise arrays; draw only `random` from it, to stay portable."""
        return np.random.Generator(np.random.PCG64(self.bits()))
