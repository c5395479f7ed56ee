"""The values of one row, each checked before anything is done with it.

Every set of this field names its columns in its own way, and derived files rename them again; all
the spellings found in published code are taken, the first that is there counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from tipr.data.readers.entries import SPLITS, Split

FILE_KEYS = ("file_path", "img_path", "image", "image_path", "file_name", "filename", "path")
CAPTION_KEYS = ("captions", "caption", "text")
PERSON_KEYS = ("person_id", "pid", "person", "id")  # `id` last: it may count the rows
CAMERA_KEYS = ("camera", "camera_id", "cam", "camid")
READ = frozenset((*FILE_KEYS, *CAPTION_KEYS, *PERSON_KEYS, *CAMERA_KEYS, "split", "image_id"))

_LARGEST = 2**63 - 1  # what a tensor of ids can hold
_LONGEST = 4096  # characters of a file's name
_AROUND = 24  # characters shown on each side of what is wrong
_SAME = {"valid": "val", "validation": "val", "dev": "val"}
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_PLAINER = re.compile(r"//|/\.|^\.|/$")  # only such names are not plain already
_HALF = re.compile(r"[\ud800-\udfff]")  # of a letter that UTF-16 writes in two
_BYTE = re.compile(r"[\udc80-\udcff]")  # one that is no UTF-8, as `rows` has it read
_CAMERA = re.compile(r"[-\d]+_c(\d+)|\d{4}_\d{3}_(\d{2})_\d{4}(?:morning|noon|afternoon)")


class BadField(ValueError):
    """A value that cannot be used: the kind of fault, and what is wrong with it."""

    def __init__(self, kind: str, says: str) -> None:
        super().__init__(says)
        self.kind = kind


def missing(names: Iterable[str]) -> str:
    """What is not among these columns, in words; nothing if all that is needed is."""
    there = set(names)
    wanted = {"the image": FILE_KEYS, "the caption": CAPTION_KEYS, "the person": PERSON_KEYS}
    return " and ".join(
        f"{what} ({', '.join(keys)})" for what, keys in wanted.items() if there.isdisjoint(keys)
    )


def doubled(names: Iterable[str]) -> list[str]:
    """Those of the names that are read which stand there more than once."""
    counts = Counter(name for name in names if name in READ)
    return [name for name, count in counts.items() if count > 1]


def _check_whole(what: str, text: str) -> None:
    """Refuses text with half a character in it, or with bytes of another encoding."""
    if text.isascii() or not _HALF.search(text):
        return
    byte = _BYTE.search(text)
    if byte is None:
        raise BadField("type", f"{what} holds half a character: {text[:40]!r}; write it anew")
    around = text[max(0, byte.start() - _AROUND) : byte.end() + _AROUND]
    shown = _BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", around)
    raise BadField("text", f'{what} is not UTF-8: "{shown}"; save it as UTF-8')


def _first(fields: Mapping[str, Any], keys: Sequence[str]) -> Any:
    for key in keys:
        if key in fields:
            return fields[key]
    return None


def file_of(fields: Mapping[str, Any]) -> str:
    """The file's name, which stays below the folder of pictures whatever it says."""
    name = _first(fields, FILE_KEYS)
    if name is None:
        raise BadField("keys", f"names no image; add {FILE_KEYS[0]}")
    if not isinstance(name, str):
        raise BadField("type", f"its image is {_shown(name)}; expected a file's name")
    return checked_path(name)


def checked_path(name: str) -> str:
    """The same relative path in its plain form, or BadField if it could lead anywhere else."""
    if not name.strip():
        raise BadField("path", f"its image {name!r} is no file's name")
    if len(name) > _LONGEST:
        raise BadField("path", f"its image has a name of {len(name)} characters; is it a path?")
    if _UNUSABLE.search(name):
        if _BYTE.search(name):
            _check_whole("the name of its image", name)
        raise BadField("path", f"its image {name!r} has characters that no file name may have")
    if "\\" in name:
        raise BadField("path", f"its image {name!r} has backslashes; write a/b.jpg")
    if name.startswith("/") or name[1:2] == ":":
        raise BadField("path", f"its image {name!r} is an absolute path; write it relative")
    plain = str(PurePosixPath(name)) if _PLAINER.search(name) else name
    if ".." in plain.split("/") or plain == ".":
        raise BadField("path", f"its image {name!r} leaves the folder of pictures; remove the ..")
    return plain


def captions_of(fields: Mapping[str, Any]) -> list[str]:
    """All captions, empty ones among them, with every run of white space made one blank."""
    captions = _first(fields, CAPTION_KEYS)
    if captions is None:
        raise BadField("keys", f"has no caption; add {CAPTION_KEYS[0]}")
    if isinstance(captions, str):
        captions = [captions]
    if not isinstance(captions, list):
        raise BadField("type", f"its captions are {_shown(captions)}; expected a list of sentences")
    if not captions:
        raise BadField("keys", "its list of captions is empty; write one or remove the entry")
    return [_sentence(caption) for caption in captions]


def _sentence(caption: Any) -> str:
    if not isinstance(caption, str):
        raise BadField("type", f"a caption is {_shown(caption)}; expected a sentence")
    _check_whole("a caption", caption)
    return " ".join(caption.split())


def person_of(fields: Mapping[str, Any], keys: Sequence[str] = PERSON_KEYS) -> int | str:
    """The identity: a number from 0, or a name; digits in quotation marks are a number."""
    person = _first(fields, keys)
    if isinstance(person, str):
        _check_whole("its person", person)
        person = _number(person.strip())
    if person is None or person == "":
        extra = "; image_id names a picture, not a person" if "image_id" in fields else ""
        raise BadField("keys", f"has no person; add person_id{extra}")
    if isinstance(person, bool) or not isinstance(person, int | str):
        raise BadField("type", f"its person is {_shown(person)}; expected a whole number or a name")
    if isinstance(person, int) and not 0 <= person <= _LARGEST:
        raise BadField("type", f"its person is {_shown(person)}; ids go from 0 to 2^63 - 1")
    return person


def _number(name: str) -> int | str:
    digits = name.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        return name
    return int(name) if str(int(name)) == name else name


def split_of(fields: Mapping[str, Any], otherwise: Split | None) -> Split | None:
    """The split that the row names; `otherwise` is what its file's name says."""
    value = fields.get("split")
    if value is None:
        return otherwise
    name = value.strip().lower() if isinstance(value, str) else value
    for split in SPLITS:
        if split == (_SAME.get(name, name) if isinstance(name, str) else None):
            if otherwise not in (None, split):
                raise BadField("split", f"its split is {split}, but its file is of {otherwise}")
            return split
    raise BadField("split", f"its split is {_shown(value)}; expected train, val or test")


def camera_of(fields: Mapping[str, Any], file: str) -> str:
    """The camera as written, or from a name like 0000_c5_0022.jpg (RSTPReid, Market-1501) or
    0000_000_01_0303morning_0008_0.jpg (MSMT17, whose pictures ICFG-PEDES shows)."""
    camera = _first(fields, CAMERA_KEYS)
    if camera is None:
        match = _CAMERA.match(file.rsplit("/", 1)[-1])
        return (match[1] or match[2].lstrip("0")) if match else ""
    if isinstance(camera, bool) or not isinstance(camera, int | str):
        raise BadField("type", f"its camera is {_shown(camera)}; expected a number or a name")
    _check_whole("its camera", str(camera))
    return str(camera).strip()


def _shown(value: Any) -> str:
    """A value as it would stand in the file, cut to what a line holds."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."
