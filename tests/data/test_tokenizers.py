"""Vocabularies as they come: the same tokenizer whatever file, and a clear no to all others."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tipr.data.bpe import BytePairs, ClipPairs, learn_merges
from tipr.data.text import Tokenizer
from tipr.data.tokenizers import SUPPORTED, read_tokenizer
from tipr.data.wordpiece import WordPieces

MERGES = learn_merges(["a man in a red coat", "a woman in a red dress", "red shoes, red hat"], 60)
NATIVE = ClipPairs(MERGES).vocabulary
BERT = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "co", "##at", "'"]
# ------------------------------------------------------------------------- the formats


def _gz(folder: Path) -> None:
    text = '"bpe_simple_vocab_16e6.txt#version: 0.2\n' + "\n".join(map(" ".join, MERGES)) + "\n"
    (folder / "bpe_simple_vocab_16e6.txt.gz").write_bytes(gzip.compress(text.encode()))


def _pair(folder: Path) -> None:
    ClipPairs(MERGES).save(folder)


def _lone_merges(folder: Path) -> None:
    _pair(folder)
    (folder / "vocab.json").unlink()


def clip_json(**model: object) -> dict:
    told = {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": NATIVE, "merges": MERGES}
    return {"model": told | model, "added_tokens": []}


def bert_json(normalizer: dict | None = None, **model: object) -> dict:
    ids = {piece: i for i, piece in enumerate(BERT)}
    told = {"type": "WordPiece", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": ids}  # fmt: skip
    plain = {"type": "BertNormalizer", "lowercase": True, "strip_accents": None,
             "clean_text": True, "handle_chinese_chars": True}  # fmt: skip
    return {"model": told | model, "normalizer": plain | (normalizer or {}), "added_tokens": []}


def written(folder: Path, content: object, name: str = "tokenizer.json") -> Path:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder / name


def _with_pairs(folder: Path) -> None:
    written(folder, clip_json())


def _with_strings(folder: Path) -> None:
    written(folder, clip_json(merges=[" ".join(pair) for pair in MERGES]))


def _without_type(folder: Path) -> None:
    content = clip_json()
    del content["model"]["type"]
    written(folder, content)


def _with_added(folder: Path) -> None:
    signs = ("<|startoftext|>", "<|endoftext|>")
    content = clip_json(vocab={p: i for p, i in NATIVE.items() if p not in signs})
    content["added_tokens"] = [{"content": sign, "id": NATIVE[sign]} for sign in signs]
    written(folder, content)


@pytest.mark.parametrize(
    "write", [_gz, _pair, _lone_merges, _with_pairs, _with_strings, _without_type, _with_added]
)
def test_clip_reads_alike_from_every_format(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    text = ["a red coat, and 2 caf\u00e9s \U0001f45f"]
    for source in (tmp_path, str(tmp_path), *tmp_path.iterdir()):
        found = read_tokenizer(source, 77)
        assert found.pieces.digest() == ClipPairs(MERGES).digest()
        assert found(text).equal(Tokenizer(ClipPairs(MERGES), 77)(text))


def test_bert_reads_alike_from_every_format(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    content = bert_json()
    del content["model"]["type"]
    written(tmp_path, content)
    (tmp_path / "b" / "vocab.txt").write_bytes(
        "\r\n".join(["\ufeff" + BERT[0], *BERT[1:], "\x85", ""]).encode()
    )
    one, other = read_tokenizer(tmp_path, 9), read_tokenizer(tmp_path / "b", 9)
    assert one.pieces.digest() == WordPieces(BERT).digest()
    assert other.pieces.digest() == WordPieces([*BERT, "\x85"]).digest()


@pytest.mark.parametrize(
    "pieces", [BytePairs(MERGES), ClipPairs(MERGES), WordPieces(BERT)], ids=["own", "clip", "bert"]
)
def test_what_is_saved_reads_alike(
    tmp_path: Path, pieces: BytePairs | ClipPairs | WordPieces
) -> None:
    Tokenizer(pieces, 20).save(tmp_path)
    again = read_tokenizer(tmp_path, 20)
    text = ["a red coat, the man's", "\u00e9 \u5979"]
    assert type(again.pieces) is type(pieces)
    assert again.length == 20
    assert again.pieces.digest() == pieces.digest()
    assert again(text).equal(Tokenizer(pieces, 20)(text))


def test_the_whole_vocabulary_of_clip_is_saved_as_it_was(tmp_path: Path) -> None:
    whole = read_tokenizer("clip", 77)
    whole.save(tmp_path)
    assert read_tokenizer(tmp_path, 77).pieces.digest() == whole.pieces.digest()
    assert (tmp_path / "merges.txt").read_text(encoding="utf-8").startswith("#version: 0.2\ni n\n")


def test_different_vocabularies_have_different_digests() -> None:
    swapped = NATIVE | {"a": NATIVE["b"], "b": NATIVE["a"]}
    kinds = [
        BytePairs(MERGES), BytePairs(MERGES[::-1]), ClipPairs(MERGES), ClipPairs(MERGES[::-1]),
        ClipPairs(MERGES, swapped), WordPieces(BERT), WordPieces([*BERT, "x"]),
    ]  # fmt: skip
    assert len({kind.digest() for kind in kinds}) == len(kinds)


def test_a_vocabulary_in_another_order_keeps_its_ids(tmp_path: Path) -> None:
    size = len(NATIVE)
    ids = {piece: (i + 3) % size for piece, i in NATIVE.items()}  # the signs become 1 and 2
    _pair(tmp_path)
    written(tmp_path, ids, "vocab.json")
    found = read_tokenizer(tmp_path, 77)
    native = Tokenizer(ClipPairs(MERGES), 77)
    assert found.encode("a red coat!") == [(i + 3) % size for i in native.encode("a red coat!")]
    assert (found.specials.start, found.specials.end) == (1, 2)
    assert found.word_ids == range(3, size - 1)
    masked = ids | {"<|mask|>": size, "unused": size + 1}
    named = read_tokenizer(written(tmp_path, masked, "vocab.json"), 77)
    assert named.specials.mask == size
    assert named.vocabulary == size + 2


# ------------------------------------------------------------------------- what is refused


def _without(names: list[str]) -> str:
    return "\n".join(piece for piece in BERT if piece not in names)


LINES = {
    "merges.txt": [
        (b"#tipr merges 1\nonly-one-piece\n", "damaged: a merge is two pieces"),
        (b"#tipr merges 1\na b c\n", "damaged: a merge is two pieces"),
        (b"#tipr merges 1\na  b\n", "damaged: a merge is two pieces"),
        (b"#tipr merges 1\na b\nb c\na b\n", "the merge 'a b' stands in it twice"),
        (b"#version: 0.2\na b\na b\n", "the merge 'a b' stands in it twice"),
        (b"something else\n", "damaged, or no merges file"),
        (b"", "damaged, or no merges file"),
        (b"\xff\xfe\x00", "cannot be used as a tokenizer"),
    ],
    "vocab.txt": [
        (b"hello\nworld\n", r"has \[PAD\], \[UNK\], \[CLS\], \[SEP\], \[MASK\] and this one"),
        (_without(["[MASK]"]).encode(), r"has \[MASK\] and this one has not"),
        (("a\n" + _without(["a"])).encode(), r"\[PAD\] is entry 1"),
        ("\n".join([*BERT, "", "b"]).encode(), "line 12 is empty"),
        ("\n".join([*BERT, "a"]).encode(), "'a' stands in it twice"),
        ("\n".join([*BERT, "The"]).encode(), "'The' is in capitals.*bert-base-uncased"),
    ],
    "bpe_simple_vocab_16e6.txt.gz": [
        (b"no gzip", "cannot be read"),
        (gzip.compress(b"#version: 0.2\na b\n" * 99)[:-9], "cannot be used"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff", "cannot be used"),
        (gzip.compress(b"#version: 0.2\na b c\n"), "two pieces with one space"),
    ],
}  # fmt: skip
CASES = [(name, *case) for name, cases in LINES.items() for case in cases]


def refused(source: Path, says: str) -> None:
    """It is, with the file's name and what can be given instead."""
    with pytest.raises(ValueError, match=says) as told:
        read_tokenizer(source, 77)
    assert str(source) in str(told.value)
    assert "copy it again" in str(told.value).lower() or SUPPORTED in str(told.value)


@pytest.mark.parametrize(("name", "content", "says"), CASES, ids=range(len(CASES)))
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, says)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "Expecting"), ("[]", "an object at the top"), ("[" * 100_000, "cannot be used"),
     ('{"model": {"type": "Unigram"}}', "its model is 'Unigram'; those read are CLIP's"),
     ('{"model": {"type": "BPE"}}', "vocab should be an object, not null"),
     ('{"model": {"type": ["BPE"]}}', "its model is"),
     ('{"model": {}, "added_tokens": 3}', "added_tokens should be a list")],
)  # fmt: skip
def test_a_damaged_json_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    refused(tmp_path / "tokenizer.json", says)


@pytest.mark.parametrize(
    ("content", "says"),
    [(clip_json(end_of_word_suffix=None), "end_of_word_suffix is null, but only \"</w>\""),
     (clip_json(merges=None), "merges should be a list"),
     (clip_json(merges={"a": "b"}), "merges should be a list"),
     (clip_json(merges=[["a", 1]]), "a merge is two pieces"),
     (clip_json(merges=[["a", "b", "c"]]), "a merge is two pieces"),
     (clip_json(merges=[3]), "a merge is two pieces"),
     (clip_json(merges=[*MERGES, MERGES[0]]), "stands in it twice"),
     (clip_json(merges=[["x", "y"]]), "has a piece 'xy' and this one has not"),
     (clip_json(vocab=[]), "vocab should be an object"),
     (clip_json(vocab=NATIVE | {"a": "7"}), "the id of 'a' is \"7\""),
     (clip_json(vocab=NATIVE | {"a": True}), "the id of 'a' is true"),
     (clip_json(vocab=NATIVE | {"a": -1}), "the id of 'a' is -1"),
     (clip_json(vocab=NATIVE | {"a": 10**15}), "the id of 'a' is 10{15}"),
     (clip_json(vocab=NATIVE | {"a": NATIVE["b"]}), "two pieces have the same id"),
     (clip_json(vocab=NATIVE | {"\ud83d": 9999}), "surrogates not allowed"),
     (clip_json(vocab={p: i for p, i in NATIVE.items() if p != "!</w>"}), "a piece '!</w>'"),
     (clip_json(vocab={p: i for p, i in NATIVE.items() if "end" not in p}), r"endoftext\|>'"),
     (clip_json(vocab=NATIVE | {"!": NATIVE["<|endoftext|>"], "<|endoftext|>": 0}), "id 0 fills"),
     (clip_json() | {"added_tokens": [3]}, "added_tokens should be a list of objects"),
     (clip_json() | {"added_tokens": {"a": 1}}, "added_tokens should be a list of objects"),
     (clip_json() | {"added_tokens": [{"content": "xx"}]}, "the id of 'xx' is null"),
     (bert_json({"lowercase": False}), "its lowercase is false, but only true is read"),
     (bert_json({"strip_accents": False}), "its strip_accents is false"),
     (bert_json() | {"normalizer": None}, "normalizer should be an object, not null"),
     (bert_json(continuing_subword_prefix="@@"), "continuing_subword_prefix is \"@@\""),
     (bert_json(max_input_chars_per_word=200), "max_input_chars_per_word is 200"),
     (bert_json(vocab={"[PAD]": 0, "a": 2}), "its 2 pieces should be 0 to 1"),
     (bert_json(vocab={"[PAD]": 0}), r"has \[UNK\]")],
)  # fmt: skip
def test_a_tokenizer_json_that_does_something_else_is_refused(
    tmp_path: Path, content: object, says: str
) -> None:
    refused(written(tmp_path, content), says)


def test_files_of_gpt2_are_told_from_those_of_clip(tmp_path: Path) -> None:
    written(tmp_path, {"!": 0, "\u0120t": 1, "<|endoftext|>": 2}, "vocab.json")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n\u0120 t\n", encoding="utf-8")
    refused(tmp_path / "vocab.json", "GPT-2")


def test_half_a_pair_is_refused_with_the_name_of_the_other_half(tmp_path: Path) -> None:
    _pair(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(ValueError, match=r"vocab\.json is half.*merges\.txt.*beside"):
        read_tokenizer(tmp_path, 77)


def test_damage_in_the_merges_of_a_pair_names_the_merges(tmp_path: Path) -> None:
    _pair(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"merges\.txt cannot be used .* not \"a\""):
        read_tokenizer(tmp_path / "vocab.json", 77)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bpe_simple_vocab_16e6.txt.gz", "wb", 1) as file:
        for _ in range(65):
            file.write(bytes(1 << 20))
    refused(tmp_path / "bpe_simple_vocab_16e6.txt.gz", "more than 64 MB")


def test_no_more_is_unpacked_than_may_be_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tipr.data.tokenizers._LIMIT", 1000)
    sizes, read = [], gzip.GzipFile.read

    def counted(file: gzip.GzipFile, size: int | None = -1) -> bytes:
        content = read(file, size)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    (tmp_path / "vocab.txt.gz").write_bytes(gzip.compress(bytes(9999)))
    refused(tmp_path / "vocab.txt.gz", "more than 0 MB")
    assert sum(sizes) == 1001


def test_where_there_is_none_one_is_told_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'there is no tokenizer at .*none; give "own", "clip"'):
        read_tokenizer(tmp_path / "none", 77)
    with pytest.raises(ValueError, match=r"holds no tokenizer; give .*vocab\.txt"):
        read_tokenizer(tmp_path, 77)
