"""What the authors of the public sets published: counts, folders, and how to get each set.

CUHK-PEDES: Li et al., CVPR 2017; ICFG-PEDES: Ding et al., arXiv 2107.12666; RSTPReid: Zhu et al.,
ACM MM 2021; UFine6926: Zuo et al., CVPR 2024 (its page gives totals, no split).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tipr.data.check.report import Count, Hit
from tipr.data.readers.entries import Entry

SPLITS = ("train", "val", "test")
WHAT = ("images", "captions", "people")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A public set as its authors describe it."""

    name: str
    counts: dict[str, tuple[int, int, int]]  # images, captions, people of each split, or of "all"
    files: re.Pattern[str]  # what its file names look like
    ask: str
    folders: tuple[str, ...] = ()


_CUHK_FOLDERS = ("cam_a", "cam_b", "CUHK01", "CUHK03", "Market", "test_query", "train_query")
PUBLISHED = (
    Published(
        name="CUHK-PEDES",
        counts={
            "train": (34_054, 68_126, 11_003),
            "val": (3_078, 6_158, 1_000),
            "test": (3_074, 6_156, 1_000),
        },
        files=re.compile(rf"(?:^|/)({'|'.join(_CUHK_FOLDERS)})/"),
        folders=_CUHK_FOLDERS,
        ask="CUHK-PEDES is sent by its authors after an e-mail from a university address, for "
        "academic use; reid_raw.json, which holds the split, is a link of its own. See "
        "https://github.com/ShuangLI59/Person-Search-with-Natural-Language-Description",
    ),
    Published(
        name="ICFG-PEDES",
        counts={"train": (34_674, 34_674, 3_102), "test": (19_848, 19_848, 1_000)},
        files=re.compile(r"(?:^|/)(?:train|test)/"),
        ask="ICFG-PEDES is sent by its authors after an e-mail, for academic use. See "
        "https://github.com/zifyloo/SSAN",
    ),
    Published(
        name="RSTPReid",
        counts={
            "train": (18_505, 37_010, 3_701),
            "val": (1_000, 2_000, 200),
            "test": (1_000, 2_000, 200),
        },
        files=re.compile(r"(?:^|/)\d{4}_c\d{1,2}_\d{4}\.jpg$", re.IGNORECASE),
        ask="RSTPReid comes from its authors. See https://github.com/NjtechCVLab/RSTPReid-Dataset",
    ),
    Published(
        name="UFine6926",
        counts={"all": (26_206, 52_412, 6_926)},
        files=re.compile(r"(?:^|/)\d+\.jpg$", re.IGNORECASE),
        ask="UFine6926 is sent by its authors after a signed agreement. See "
        "https://github.com/Zplusdragon/UFineBench",
    ),
)


def published_set(layout: str, rows: Sequence[Entry]) -> Published | None:
    """The public set that this is, by its layout and by what most of its files are called."""
    known = next((p for p in PUBLISHED if layout.upper().startswith(p.name.upper())), None)
    if known is None:
        return None
    fitting = sum(known.files.search(row.file) is not None for row in rows)
    return known if rows and 2 * fitting >= len(rows) else None


def counted(rows: Sequence[Entry], known: Published | None) -> tuple[Count, ...]:
    """Images, captions and people of each split and of all, beside the published numbers."""
    names = [s for s in SPLITS if _of(rows, s) or (known and s in known.counts)]
    told: list[Count] = []
    for split in [*names, "all"]:
        part = rows if split == "all" else _of(rows, split)
        published = _numbers(known, split) or (None, None, None)
        numbers = (len(part), sum(len(r.captions) for r in part), len({r.person for r in part}))
        told += [
            Count(split=split, what=what, found=found, published=number)
            for what, found, number in zip(WHAT, numbers, published, strict=True)
        ]
    return tuple(told)


def is_part(counts: Iterable[Count]) -> bool:
    """Whether there are fewer than half as many images as were published: another, smaller set."""
    return any(
        c.split == "all" and c.what == "images" and c.published and 2 * c.found < c.published
        for c in counts
    )


def count_hits(counts: Iterable[Count]) -> Iterable[Hit]:
    counts = tuple(counts)
    kind = "smaller than the published set" if is_part(counts) else "counts that differ"
    for c in counts:
        if c.difference:
            place = "in all" if c.split == "all" else f"in {c.split}"
            yield Hit(kind, f"{c.found:,} {c.what} {place}; published {c.published:,} "
                            f"({c.difference:+,})")  # fmt: skip


def _of(rows: Sequence[Entry], split: str) -> list[Entry]:
    return [row for row in rows if row.split == split]


def _numbers(known: Published | None, split: str) -> tuple[int, int, int] | None:
    if known is None:
        return None
    if split == "all" and "all" not in known.counts:
        images, captions, people = (sum(n) for n in zip(*known.counts.values(), strict=True))
        return images, captions, people
    return known.counts.get(split)
