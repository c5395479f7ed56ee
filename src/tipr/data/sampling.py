"""Which pairs stand together in a batch; drawn from torch's generator, anew for each epoch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.utils.data import Sampler

from tipr.data.pairs import Pair

Rows = list[int]


class Sampling(Protocol):
    """How batches are drawn: a frozen dataclass named in the experiment."""

    def epoch(self, person_ids: Sequence[int], size: int) -> Iterator[Rows]:
        """The batches of one epoch, as rows of the training split: `size` of them or fewer."""
        ...

    def length(self, person_ids: Sequence[int], size: int) -> int:
        """Batches in an epoch; where epochs differ, the most there can be."""
        ...


@dataclass(frozen=True, kw_only=True)
class Shuffled:
    """Every pair once, in any order; what does not fill a batch waits for the next epoch.

    With `keep_last` it is a smaller batch at the end.
    """

    keep_last: bool = False

    def epoch(self, person_ids: Sequence[int], size: int) -> Iterator[Rows]:
        order = torch.randperm(len(person_ids)).tolist()
        for number in range(self.length(person_ids, size)):
            yield order[number * size : (number + 1) * size]

    def length(self, person_ids: Sequence[int], size: int) -> int:
        rest = len(person_ids) % size if self.keep_last else 0
        return len(person_ids) // size + (rest > 1)  # one pair alone has nothing to differ from


@dataclass(frozen=True, kw_only=True)
class PersonBalanced:
    """P x K: each batch holds `per_person` pairs of each of its people (Hermans et al., 2017).

    A person with fewer pairs has some twice; one with more has the rest in later batches of the
    epoch. An epoch shows no more pairs than there are.
    """

    per_person: int = 4

    def epoch(self, person_ids: Sequence[int], size: int) -> Iterator[Rows]:
        people = size // self.per_person
        if people < 1 or size % self.per_person:
            raise ValueError(f"a batch of {size} does not divide into groups of {self.per_person}; "
                             "change data.batch_size")  # fmt: skip
        waiting = {p: self._groups(rows) for p, rows in _rows_of(person_ids).items()}
        for _ in range(self.length(person_ids, size)):
            if len(waiting) < people:
                return
            chosen = _some(sorted(waiting), people)
            yield [row for person in chosen for row in waiting[person].pop()]
            waiting = {p: groups for p, groups in waiting.items() if groups}

    def length(self, person_ids: Sequence[int], size: int) -> int:
        return max(len(person_ids) // size, 1)

    def _groups(self, rows: Rows) -> list[Rows]:
        rows = _some(rows, len(rows))
        short = -len(rows) % self.per_person
        rows += [rows[int(torch.randint(len(rows), ()))] for _ in range(short)]
        return [rows[i : i + self.per_person] for i in range(0, len(rows), self.per_person)]


@dataclass(frozen=True, kw_only=True)
class UpToPerPerson:
    """SEN's `idrannum`: each epoch gives a person groups of 1 to `most` pairs, one size for all.

    Rounds draw batch/2 people with groups left and show one group of each; the flat list is cut
    into batches without regard to rounds. The last people, too few for a round, wait.
    """

    most: int = 2

    def epoch(self, person_ids: Sequence[int], size: int) -> Iterator[Rows]:
        waiting = {p: self._groups(rows) for p, rows in _rows_of(person_ids).items()}
        waiting = {p: groups for p, groups in waiting.items() if groups}
        people, flat = max(size // self.most, 1), list[int]()
        while len(waiting) >= people:
            for person in _some(sorted(waiting), people):
                flat += waiting[person].pop()
            waiting = {p: groups for p, groups in waiting.items() if groups}
            while len(flat) >= size:
                yield flat[:size]
                flat = flat[size:]

    def length(self, person_ids: Sequence[int], size: int) -> int:
        return len(person_ids) // size

    def _groups(self, rows: Rows) -> list[Rows]:
        size = int(torch.randint(1, self.most + 1, ()))
        rows = _some(rows, len(rows))
        return [rows[i : i + size] for i in range(0, len(rows) - size + 1, size)]


class EpochBatches(Sampler[Rows]):
    """A sampling over one training split, as the DataLoader's batch sampler.

    Several `processes` share every batch of `size` rows: each draws the same epoch, from the same
    state of torch's generator, and takes its part of each batch. Parts in the order of ranks are
    the batch, and hold neighbours: people who stand together stay together where that divides.
    Of a smaller batch each has the same number of rows; what is left over waits.
    """

    def __init__(
        self,
        sampling: Sampling,
        pairs: Sequence[Pair],
        size: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if size % processes:
            raise ValueError(f"{processes} processes cannot share a batch of {size} pairs equally; "
                             f"set data.batch_size to a multiple of {processes}")  # fmt: skip
        self.sampling, self.size = sampling, size
        self.person_ids = [pair.person_id for pair in pairs]
        self._rank, self._processes = rank, processes

    def __iter__(self) -> Iterator[Rows]:
        """Drawn whole at the start, so that what a method draws later changes no order."""
        whole = list(self.sampling.epoch(self.person_ids, self.size))
        return iter([part for rows in whole if (part := self._part(rows))])

    def __len__(self) -> int:
        return max(self.sampling.length(self.person_ids, self.size), 1)

    def _part(self, rows: Rows) -> Rows:
        share = len(rows) // self._processes
        return rows[self._rank * share : (self._rank + 1) * share]


def _rows_of(person_ids: Sequence[int]) -> dict[int, Rows]:
    rows: dict[int, Rows] = defaultdict(list)
    for row, person in enumerate(person_ids):
        rows[person].append(row)
    return rows


def _some(items: Sequence[int], count: int) -> list[int]:
    return [items[i] for i in torch.randperm(len(items))[:count].tolist()]
