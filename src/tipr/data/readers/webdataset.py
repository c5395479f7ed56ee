"""Image-text WebDatasets: tar archives with KEY.jpg, KEY.txt and KEY.json side by side.

A key is a member's name up to the first dot after the last slash. KEY.json holds what a row of a
table would: caption or captions, person_id, camera, split. KEY.txt is the caption where the JSON
has none, KEY.cls the person where it has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tipr.data.readers.entries import Fault, Report
from tipr.data.readers.fields import CAPTION_KEYS, PERSON_KEYS, BadField, checked_path
from tipr.data.readers.rows import Row
from tipr.data.shards import Index, ShardError, index

PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "ppm", "avif", "jp2")
_TEXTS = ("json", "txt", "cls")
_MOST = 1 << 20  # bytes of a member with text


def samples(shard: Path, report: Report) -> Iterator[Row]:
    """Every picture of an archive with what is said about it, as rows."""
    try:
        places = index(shard)
        with shard.open("rb") as file:
            for number, (key, members) in enumerate(_by_key(places).items()):
                where = f"{shard}, sample {number} ({key})"
                try:
                    yield Row(number, where, _fields(shard, members, places, file))
                except BadField as error:
                    report(Fault(error.kind, where, str(error)))
    except (ShardError, OSError) as error:
        report(Fault("shard", str(shard), str(error).removeprefix(f"{shard} ")))


def _by_key(places: Index) -> dict[str, dict[str, str]]:
    """Members by key and ending, in the order of the archive; hidden files are left out."""
    keys: dict[str, dict[str, str]] = {}
    for name in places:
        folder, slash, base = name.rpartition("/")
        stem, dot, ending = base.partition(".")
        if stem and dot:
            keys.setdefault(folder + slash + stem, {})[ending.lower()] = name
    return {
        key: members
        for key, members in keys.items()
        if not {*PICTURES, *_TEXTS}.isdisjoint(members)
    }


def _fields(shard: Path, members: dict[str, str], places: Index, file: BinaryIO) -> dict[str, Any]:
    picture = next((members[ending] for ending in PICTURES if ending in members), None)
    if picture is None:
        raise BadField("keys", f"has no picture, only {', '.join(members.values())}")
    texts = {end: _text(places[members[end]], file) for end in _TEXTS if end in members}
    fields = _object(texts["json"]) if "json" in texts else {}
    if "txt" in texts and not fields.keys() & set(CAPTION_KEYS):
        fields["caption"] = texts["txt"]
    if "cls" in texts and not fields.keys() & set(PERSON_KEYS):
        fields["person_id"] = texts["cls"]
    return fields | {"file_path": f"{shard.name}/{checked_path(picture)}"}


def _text(place: tuple[int, int], file: BinaryIO) -> str:
    if place[1] > _MOST:
        raise BadField("type", f"its text has {place[1]} bytes; the limit is {_MOST}")
    file.seek(place[0])
    try:
        return file.read(place[1]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadField("json", f"its text is not UTF-8 ({error.reason}); save it so") from error


def _object(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadField("json", f"its .json is not valid JSON ({error})") from error
    if not isinstance(fields, dict):
        raise BadField("type", "its .json is no object with keys; expected {...}")
    return fields
