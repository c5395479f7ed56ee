"""Vocabularies read from the files they come in."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tipr.data.bpe import CLIP_HEADER, HEADER, BytePairs, ClipPairs, Merge
from tipr.data.text import OWN_MERGES, Pieces, Tokenizer
from tipr.data.wordpiece import LONGEST, WordPieces

CLIP_VOCABULARY = Path(__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
SUPPORTED = (
    '"own", "clip", or a file or folder with tokenizer.json (CLIP\'s or uncased BERT\'s), '
    "vocab.json and merges.txt (CLIP's), bpe_simple_vocab_16e6.txt.gz, vocab.txt (uncased BERT's) "
    "or a merges.txt of `tipr data tokenizer`"
)
_NAMED = {"own": OWN_MERGES, "clip": CLIP_VOCABULARY}
_FILES = ("tokenizer.json", "vocab.json", CLIP_VOCABULARY.name, "vocab.txt", "merges.txt")
_LIMIT = 64 << 20  # bytes, decompressed; the largest of the released files has 3.7 million
_MOST = 1 << 20  # ids
_RELEASED = 48_894  # merges that CLIP uses of those in its file
_AS_RELEASED = {
    "lowercase": (True,), "strip_accents": (True, None), "handle_chinese_chars": (True,),
    "clean_text": (True,),
}  # fmt: skip
_UNREADABLE = (EOFError, zlib.error, ValueError, RecursionError)


def read_tokenizer(source: Path | str, length: int) -> Tokenizer:
    """A tokenizer that cuts at `length`, from a name, a file or a folder.

    Raises:
        ValueError: there is none, it is damaged, or it is of a kind that is not supported.
    """
    path = _NAMED.get(str(source)) or Path(source)
    places = [path / name for name in _FILES] if path.is_dir() else [path]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        what = f"{path} holds no tokenizer" if path.is_dir() else f"there is no tokenizer at {path}"
        raise ValueError(f"{what}; give {SUPPORTED}")
    return Tokenizer(_pieces(file), length)


def _pieces(path: Path) -> Pieces:
    return _from_json(path) if path.suffix == ".json" else _from_lines(path)


def _from_lines(path: Path) -> Pieces:
    beside = path.with_name("vocab.json")
    with _named(path):
        text = _text(path)
        first, lines = text.partition("\n")[0].rstrip("\r"), text.splitlines()[1:]
        if first == HEADER:
            return BytePairs(_merges(lines))
        if CLIP_HEADER in first and not (path.name == "merges.txt" and beside.is_file()):
            return ClipPairs(_merges(lines[:_RELEASED]))
        if path.name != "merges.txt":
            return WordPieces(_listed(text))
        if CLIP_HEADER not in first:
            raise ValueError(f"it is damaged, or no merges file: its first line should be "
                             f"{HEADER!r} or {CLIP_HEADER!r}")  # fmt: skip
    return _from_json(beside)


def _from_json(path: Path) -> Pieces:
    with _named(path):
        content = json.loads(_text(path))
        if not isinstance(content, dict):
            raise ValueError("it should hold an object at the top")
        if isinstance(content.get("model"), dict):
            return _from_tokenizer_json(content)
    return _clip(path, content, path.with_name("merges.txt"))


def _clip(path: Path, vocabulary: dict[str, Any], merges: Path) -> Pieces:
    """Hugging Face's pair of files."""
    if not merges.is_file():
        raise ValueError(f"{path} is half a tokenizer; put the merges.txt that it came with beside "
                         "it")  # fmt: skip
    with _named(merges):
        lines = _text(merges).splitlines()
        learned = _merges(lines[1:] if lines and lines[0].startswith("#version") else lines)
    with _named(path):
        return ClipPairs(learned, _numbered(vocabulary))


def _from_tokenizer_json(content: dict[str, Any]) -> Pieces:
    """Hugging Face's single file, when it does what CLIP's or uncased BERT's does."""
    model = content["model"]
    kind = model.get("type", "BPE" if "merges" in model else "WordPiece")  # older files say none
    if kind not in ("BPE", "WordPiece"):
        raise ValueError(f"its model is {kind!r}; those read are CLIP's BPE and BERT's WordPiece")
    vocabulary = _numbered({**_added(content.get("added_tokens")), **_object(model, "vocab")})
    if kind == "BPE":
        _expect(model, "end_of_word_suffix", ("</w>",))
        return ClipPairs(_merges(model.get("merges")), vocabulary)
    _expect(model, "continuing_subword_prefix", ("##",))
    _expect(model, "max_input_chars_per_word", (LONGEST,))
    for setting, values in _AS_RELEASED.items():
        _expect(_object(content, "normalizer"), setting, values)
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ValueError(f"the ids of its {len(vocabulary)} pieces should be 0 to "
                         f"{len(vocabulary) - 1}, each once")  # fmt: skip
    return WordPieces(sorted(vocabulary, key=vocabulary.__getitem__))


def _added(tokens: Any) -> dict[str, Any]:
    """The specials that stand outside of the model's own vocabulary."""
    if not isinstance(tokens or [], list) or not all(isinstance(t, dict) for t in tokens or []):
        raise ValueError("added_tokens should be a list of objects")
    return {str(token.get("content")): token.get("id") for token in tokens or []}


def _object(content: dict[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} should be an object, not {json.dumps(value)[:40]}")
    return value


def _expect(content: dict[str, Any], name: str, values: tuple[Any, ...]) -> None:
    value = content.get(name)
    if value not in values:
        raise ValueError(f"its {name} is {json.dumps(value)[:40]}, but only "
                         f"{json.dumps(values[0])} is read")  # fmt: skip


def _numbered(vocabulary: dict[str, Any]) -> dict[str, int]:
    """The vocabulary, when it gives every piece an id of its own."""
    for piece, number in vocabulary.items():
        if type(number) is not int or not 0 <= number < _MOST:
            raise ValueError(f"the id of {piece!r} is {json.dumps(number)[:40]}; ids are whole "
                             f"numbers below {_MOST}")  # fmt: skip
    if len(set(vocabulary.values())) < len(vocabulary):
        raise ValueError("it is damaged: two pieces have the same id")
    "".join(vocabulary).encode()  # half a surrogate pair could not be written again
    return vocabulary


def _merges(entries: Any) -> list[Merge]:
    """From "a b" or ["a", "b"]."""
    if not isinstance(entries, list):
        raise ValueError("merges should be a list")
    return [_merge(entry) for entry in entries if entry != ""]


def _merge(entry: Any) -> Merge:
    parts = entry.split(" ") if isinstance(entry, str) else entry
    if not isinstance(parts, list) or len(parts) != 2 or not all(map(_is_piece, parts)):
        raise ValueError(f"it is damaged: a merge is two pieces with one space between, not "
                         f"{json.dumps(entry)[:60]}")  # fmt: skip
    return parts[0], parts[1]


def _is_piece(part: Any) -> bool:
    return isinstance(part, str) and part != "" and not any(map(str.isspace, part))


def _listed(text: str) -> list[str]:
    """The lines of a vocab.txt, whose pieces may hold what other line ends are made of."""
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
    if "" in lines:
        raise ValueError(f"it is damaged: line {lines.index('') + 1} is empty")
    return lines


def _text(path: Path) -> str:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read(_LIMIT + 1)
    if len(content) > _LIMIT:
        raise ValueError(f"it holds more than {_LIMIT >> 20} MB, which no vocabulary does")
    return content.decode("utf-8-sig")


@contextmanager
def _named(path: Path) -> Generator[None]:
    """What goes wrong within is told with the file's name and what to do."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise ValueError(f"{path} cannot be read ({why}); copy it again from its source") from error
    except _UNREADABLE as error:
        raise ValueError(
            f"{path} cannot be used as a tokenizer: {error}. Copy it again from its source, or "
            f"give another: {SUPPORTED}"
        ) from error
