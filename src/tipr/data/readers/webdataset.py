"""Image-text WebDatasets: tar archives with KEY.jpg, KEY.txt and KEY.json side by side.

A key is a member's name up to the first dot after the last slash. KEY.json holds what a row of a
table would: caption or captions, person_id, camera, split. KEY.txt is the caption where the JSON
has none, KEY.cls the person where it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tipr.data.plain import plain
from tipr.data.readers.entries import Fault, Report, Row
from tipr.data.readers.fields import CAPTION_KEYS, PERSON_KEYS, BadField, checked_path
from tipr.data.readers.objects import Doubled, decoded
from tipr.data.shards import Index, Member, ShardError, index

PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "ppm", "avif", "jp2")
_TEXTS = ("json", "txt", "cls")
_MOST = 1 << 20  # bytes of a member with text

Parts = dict[str, list[str]]  # names of members by their ending in lower case


def samples(shard: Path, report: Report) -> Iterator[Row]:
    """Every picture of an archive with what is said about it, as rows."""
    try:
        places = index(shard)
        with shard.open("rb") as file:
            for number, (key, parts) in enumerate(_by_key(places).items()):
                where = f"{shard}, sample {number} ({key})"
                try:
                    yield Row(number, where, _fields(shard, parts, places, file))
                except BadField as error:
                    report(Fault(error.kind, where, str(error)))
    except (ShardError, OSError) as error:
        report(Fault("shard", str(shard), str(error).removeprefix(plain(f"{shard} "))))


def _by_key(places: Index) -> dict[str, Parts]:
    """The parts of each sample, in the order of the archive; hidden files are left out."""
    keys: dict[str, Parts] = {}
    for name in places:
        folder, slash, base = name.rpartition("/")
        stem, dot, ending = base.partition(".")
        if stem and dot:
            parts = keys.setdefault(folder + slash + stem, {})
            parts.setdefault(ending.lower(), []).append(name)
    wanted = {*PICTURES, *_TEXTS}
    return {key: parts for key, parts in keys.items() if not wanted.isdisjoint(parts)}


def _fields(shard: Path, parts: Parts, places: Index, file: BinaryIO) -> dict[str, Any]:
    picture = _only("pictures", [name for end in PICTURES for name in parts.get(end, ())], places)
    if picture is None:
        names = ", ".join(name for names in parts.values() for name in names)
        raise BadField("keys", f"has no picture, only {names}")
    named = {end: _only(f".{end}", parts[end], places) for end in _TEXTS if end in parts}
    texts = {end: _text(name, places[name], file) for end, name in named.items() if name}
    fields = _object(texts["json"]) if "json" in texts else {}
    if "txt" in texts and not fields.keys() & set(CAPTION_KEYS):
        fields["caption"] = texts["txt"]
    if "cls" in texts and not fields.keys() & set(PERSON_KEYS):
        fields["person_id"] = texts["cls"]
    return fields | {"file_path": f"{shard.name}/{checked_path(picture)}"}


def _only(what: str, names: Sequence[str], places: Index) -> str | None:
    """The one member of its kind, which can be read; None where there is none."""
    if len(names) > 1:
        says = f"has {len(names)} {what}, {' and '.join(names)}; give each a key of its own"
        raise BadField("twice", says)
    for name in names:
        if places[name].unread:
            raise BadField("shard", f"{name} {places[name].unread}")
        return name
    return None


def _text(name: str, member: Member, file: BinaryIO) -> str:
    if member.size > _MOST:
        raise BadField("type", f"{name} has {member.size} bytes; the limit is {_MOST}")
    file.seek(member.begins)
    try:
        return file.read(member.size).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadField("text", f"{name} is not UTF-8 ({error.reason}); save it so") from error


def _object(text: str) -> dict[str, Any]:
    try:
        fields = decoded(text)
    except ValueError as error:
        raise BadField("json", f"its .json is not valid JSON ({error})") from error
    if isinstance(fields, Doubled):
        raise BadField("twice", f"its .json {fields}")
    if not isinstance(fields, dict):
        raise BadField("type", "its .json is no object with keys; expected {...}")
    return fields
