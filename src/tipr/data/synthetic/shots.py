"""One person's share of a dataset: their pictures on disk and the record of each.

Runs in any process and any order: what it makes depends on the task alone. The pictures of a
family share their keys, so a twin stands where the original stood, in the same light and noise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tipr.data.synthetic.annotators import annotator
from tipr.data.synthetic.camera import CAMERAS
from tipr.data.synthetic.captions import MODES, Caption, describe
from tipr.data.synthetic.facts import Seen, Sight, observe, wears_anything
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.splits import annotators_of, cameras_of
from tipr.data.synthetic.studio import Shot, Studio, Subject, prepare
from tipr.data.synthetic.twins import Member

LEAST_PERSON = 12  # per cent of the picture
TRIES = 12


@dataclass(frozen=True)
class Task:
    """A person to photograph and describe; `folder` holds the dataset in the making."""

    member: Member
    split: str
    folder: Path
    seed: int
    level: str
    images: int
    captions: int


@lru_cache(maxsize=1)
def _studio(seed: int, level: str) -> Studio:
    """Built once per process: cameras, backgrounds and passers-by are the same for everyone."""
    return Studio(seed, level)


def render_member(task: Task) -> list[dict[str, Any]]:
    """Writes the person's pictures and returns their records, in order."""
    subject = prepare(task.member.identity)
    return [_picture(task, subject, number) for number in range(task.images)]


def _picture(task: Task, subject: Subject, number: int) -> dict[str, Any]:
    member = task.member
    shot, seen = _shot(task, subject, number)
    name = f"{task.split}/{member.id // 100}/{member.id}_{shot.camera}_{number}.jpg"
    path = task.folder / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(shot.jpeg)
    return _record(task, shot, seen) | {
        "image": f"images/{name}",
        "captions": [asdict(caption) for caption in _captions(task, seen, number)],
    }


def _shot(task: Task, subject: Subject, number: int) -> tuple[Shot, Seen]:
    """A picture with enough of the person and something they wear."""
    studio = _studio(task.seed, task.level)
    key = (task.seed, "family", task.member.family)
    cameras = Rng(*key, "cameras").shuffled(range(cameras_of(task.split, CAMERAS)))
    camera = cameras[number % len(cameras)]
    for attempt in range(TRIES):
        retry = ("try", attempt) if attempt else ()
        shot = studio.shot(subject, Rng(*key, "shot", number, *retry), camera)
        sight = Sight(shot.visible, shot.view, shot.pose.walking, shot.size[1])
        seen = observe(task.member.identity, sight)
        if person_pixels(shot) * 100 >= LEAST_PERSON * _area(shot) and wears_anything(seen):
            return shot, seen
    raise RuntimeError(f"no picture in {TRIES} showed enough of them; try another seed")


def person_pixels(shot: Shot) -> int:
    """Pixels of the picture that show the person and what they wear."""
    return sum(count for tag, count in shot.visible.items() if tag != "none")


def _area(shot: Shot) -> int:
    width, height = shot.size
    return width * height


def _captions(task: Task, seen: Seen, number: int) -> list[Caption]:
    """Captions by different annotators, short and long in turn."""
    key = (task.seed, "captions", task.member.id, number)
    count = annotators_of(task.split)
    writers = _different(Rng(*key, "writers"), task.captions, count)
    return [
        describe(
            seen.identity,
            seen.sight,
            writer=annotator(task.seed, writer),
            mode=MODES[index % len(MODES)],
            rng=Rng(*key, index),
        )
        for index, writer in enumerate(writers)
    ]


def _different(rng: Rng, count: int, limit: int) -> list[int]:
    """So many different numbers below the limit."""
    numbers: dict[int, None] = {}
    while len(numbers) < count:
        numbers[rng.below(limit)] = None
    return list(numbers)


def _record(task: Task, shot: Shot, seen: Seen) -> dict[str, Any]:
    member = task.member
    return {
        "split": task.split,
        "id": member.id,
        **kinship(member),
        "level": task.level,
        "cam": shot.camera,
        "view": shot.view,
        "yaw": round(float(shot.yaw), 4),
        "pose": "walking" if seen.sight.walking else "standing",
        "box": [int(side) for side in shot.box],
        "size": [int(side) for side in shot.size],
        "visible": {tag: count for tag, count in shot.visible.items() if count and tag != "none"},
        "facts": list(seen),
    }


def kinship(member: Member) -> dict[str, Any]:
    """The family of a person and how they differ from its original."""
    change = member.difference
    diff = {"attr": change.attribute, "from": change.before, "to": change.after} if change else None
    return {
        "family": member.family,
        "twin_of": member.twin_of,
        "relation": member.relation,
        "diff": diff,
    }
