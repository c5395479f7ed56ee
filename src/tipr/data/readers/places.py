"""Where annotations lie, and what each is called by those who ship it.

Names are compared without regard to case. ICFG-PEDES goes by three: ICFG-PEDES.json (as shipped),
ICFG_PEDES.json and ICFG-PDES.json (both in read-me files of the field). The file name of UFine6926
is not documented: a list whose name, or whose folder's name, begins with "ufine" is taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tipr.data.readers.entries import SPLITS, DatasetError, refused
from tipr.data.readers.gathered import named_split

CUHK, ICFG, RSTP, UFINE = "CUHK-PEDES", "ICFG-PEDES", "RSTPReid", "UFine6926"
RENDERED = "rendered people"
KNOWN = {
    "reid_raw.json": CUHK,
    "icfg-pedes.json": ICFG,
    "icfg_pedes.json": ICFG,
    "icfg-pdes.json": ICFG,
    "icfg_pdes.json": ICFG,
    "data_captions.json": RSTP,
}
OF_APTM = re.compile(r"(cuhk|icfg|rstp)_(train|val|test)\.json", re.IGNORECASE)
_APTM = {"cuhk": CUHK, "icfg": ICFG, "rstp": RSTP}
_FOLDERS = {CUHK: [CUHK], ICFG: [ICFG, "ICFG_PEDES"], RSTP: [RSTP]}
_WITHOUT_SPLITS = "caption_all.json"
_TABLES = (".csv", ".tsv", ".jsonl")
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip", ".rar", ".7z")
_MOST = 1000  # folders that are looked into for datasets

_BY_FILE = {
    CUHK: re.compile(r"(imgs/)?(cam_a|cam_b|CUHK01|CUHK03|Market|test_query|train_query)/"),
    ICFG: re.compile(r"(imgs/)?(train|test)/\d{4}/\d{4}_\d{3}_\d\d_"),
    RSTP: re.compile(r"(imgs/)?\d{4}_c\d+_\d+\.\w+$"),
}


@dataclass(frozen=True)
class Found:
    """Annotations, before anything in them was read; no name where they do not tell it."""

    name: str | None
    root: Path
    annotations: tuple[Path, ...]


def found_in(root: Path) -> Found:
    """The annotations of a dataset's folder, or of one file of it.

    Raises:
        DatasetError: there are none, or those of several datasets.
    """
    if root.is_file():
        return _file(root)
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; `tipr data synth {root}` renders a dataset there")
    found = _look(root)
    if found is None:
        raise DatasetError(f"{root} {_explained(root)}")
    return found


def named_by(file: str) -> str | None:
    """The dataset that has pictures of such names."""
    return next((name for name, shape in _BY_FILE.items() if shape.match(file)), None)


def image_folders(root: Path, name: str | None) -> list[Path]:
    """Where the pictures may lie, the usual places first; others only where they are."""
    inner = [
        f"{outer}{folder}{end}"
        for folder in _FOLDERS.get(name or "", [])
        for outer in ("images/", "imgs/", "")
        for end in ("/imgs", "")
    ]
    there = [root / folder for folder in inner]
    return [root / "imgs", root / "images", *filter(is_folder, there), root]


def is_folder(path: Path) -> bool:
    """Whether a folder is there, as far as the folders above it may be entered."""
    try:
        return path.is_dir()
    except OSError:
        return False


def without_splits(annotation: Path) -> str:
    """Why a list of CUHK-PEDES without splits cannot be used."""
    return (
        f"{annotation} has no splits, and its ids are others than those of the benchmark; "
        f"get reid_raw.json, which the authors of {CUHK} offer separately, and put it beside"
    )


def _file(file: Path) -> Found:
    name = file.name.lower()
    if name == _WITHOUT_SPLITS:
        raise DatasetError(without_splits(file))
    if name.endswith(_PACKED):
        raise DatasetError(f"{file} is compressed; unpack it, or make it a plain .tar")
    if not name.endswith((".json", ".tar", *_TABLES)):
        raise DatasetError(f"{file} is no annotation; pass a folder, .json, .jsonl, .csv or .tar")
    return Found(_known(file), _above(file.parent), (file,))


def _above(folder: Path) -> Path:
    """The dataset's folder, where RaSa or APTM keep their lists in this one; else itself."""
    if any(is_folder(folder / name) for name in ("imgs", "images")):
        return folder
    here = folder.absolute()
    if here.name == "processed_data":
        return here.parent
    if here.name == "finetune":
        return here.parents[here.parent.name == "data"]
    return folder


def _known(file: Path) -> str | None:
    """The dataset that an annotation's name stands for."""
    aptm = OF_APTM.fullmatch(file.name)
    if aptm:
        return _APTM[aptm[1].lower()]
    if any(part.lower().startswith("ufine") for part in (file.name, file.absolute().parent.name)):
        return UFINE
    if all((file.parent / name).is_file() for name in ("dataset.json", "identities.jsonl")):
        return RENDERED
    return KNOWN.get(file.name.lower())


def _look(root: Path) -> Found | None:
    try:
        files = sorted(path for path in root.iterdir() if _may_annotate(path))
    except OSError as error:
        raise DatasetError(f"{root} {refused(root, error)}") from error
    looks: tuple[Callable[[Path, Sequence[Path]], Found | None], ...]
    looks = (_published, _of_rasa, _of_aptm, _tables, _shards, _lists)
    for look in looks:
        found = look(root, files)
        if found is not None:
            return found
    return None


def _may_annotate(path: Path) -> bool:
    """Goes by the name first: a folder may hold every picture beside its table."""
    named = path.suffix.lower() in (".json", ".tar", *_TABLES) and not path.name.startswith(".")
    return named and path.is_file()


def _published(root: Path, files: Sequence[Path]) -> Found | None:
    known = [file for file in files if file.name.lower() in KNOWN]
    if len(known) > 1:
        raise DatasetError(f"{root} holds {_listed(known)}; pass the one to read instead of it")
    return Found(_known(known[0]), root, (known[0],)) if known else None


def _of_rasa(root: Path, files: Sequence[Path]) -> Found | None:
    parts = [root / "processed_data" / f"{split}.json" for split in SPLITS]
    there = tuple(part for part in parts if part.is_file())
    return Found(None, root, there) if there else None


def _of_aptm(root: Path, files: Sequence[Path]) -> Found | None:
    """APTM's lists in the folder itself, below it, or beside the `images` that it stands in."""
    base = _above(root)
    for folder in (root, root / "data" / "finetune", root / "finetune"):
        sets = _aptm_sets(folder)
        if len(sets) > 1:
            raise DatasetError(f"{folder} holds lists of {len(sets)} datasets; {_one(base, sets)}")
        for name, lists in sets.items():
            return Found(name, base, tuple(lists))
    if root.absolute().parent.name.lower() == "images":
        base, own = root.absolute().parent.parent, root.absolute().name
        for name, lists in _aptm_sets(base / "data" / "finetune").items():
            if own in _FOLDERS[name]:
                return Found(name, base, tuple(lists))
    return None


def _one(base: Path, sets: Iterable[str]) -> str:
    """How to choose one of APTM's sets: by the folder of its pictures."""
    folders = [base / "images" / name for name in sets]
    there = [folder for folder in folders if is_folder(folder)]
    if there:
        return f"pass {' or '.join(map(str, there))}"
    return f"put the pictures into {' and '.join(map(str, folders))} and pass one of these"


def _aptm_sets(folder: Path) -> dict[str, list[Path]]:
    sets: dict[str, list[Path]] = {}
    for file in _by_split(sorted(folder.glob("*.json"))):
        match = OF_APTM.fullmatch(file.name)
        if match:
            sets.setdefault(_APTM[match[1].lower()], []).append(file)
    return sets


def _tables(root: Path, files: Sequence[Path]) -> Found | None:
    return _one_or_splits(root, [file for file in files if file.suffix.lower() in _TABLES])


def _shards(root: Path, files: Sequence[Path]) -> Found | None:
    """Archives, unless they lie beside datasets that may have come out of them."""
    shards = tuple(file for file in files if file.suffix.lower() == ".tar")
    return Found(None, root, shards) if shards and not _datasets_below(root) else None


def _lists(root: Path, files: Sequence[Path]) -> Found | None:
    lists = [file for file in files if file.suffix.lower() == ".json"]
    return _one_or_splits(root, [file for file in lists if file.name.lower() != _WITHOUT_SPLITS])


def _one_or_splits(root: Path, files: list[Path]) -> Found | None:
    """One annotation, or several that are each named after a split."""
    if len(files) > 1 and not all(named_split(file) for file in files):
        raise DatasetError(f"{root} holds {_listed(files)}; pass the one to read instead of it")
    return Found(_known(files[0]), _above(root), tuple(_by_split(files))) if files else None


def _by_split(files: Sequence[Path]) -> list[Path]:
    """Train before val before test, as published annotations have it."""
    return sorted(files, key=lambda file: SPLITS.index(named_split(file) or "train"))


def _explained(root: Path) -> str:
    """Why a folder is no dataset, and which way is out."""
    names = {path.name.lower(): path for path in sorted(root.iterdir())}
    if _WITHOUT_SPLITS in names:
        return f"is not enough: {without_splits(names[_WITHOUT_SPLITS])}"
    datasets = _datasets_below(root)
    if datasets:
        return f"holds {len(datasets)} datasets; pass {' or '.join(map(str, datasets))}"
    packed = [path for name, path in names.items() if name.endswith(_PACKED)]
    if packed:
        return f"holds {_listed(packed)}, which is compressed; unpack it (shards: to plain .tar)"
    pickles = sorted((root / "processed_data").glob("*.pkl"))
    if pickles:
        return f"holds {_listed(pickles)}; pickles can run programs, put the original JSON beside"
    return (
        "holds none of reid_raw.json, ICFG-PEDES.json, data_captions.json, nor a table (.csv, "
        ".jsonl) with the columns image, caption and person_id, nor .tar archives; "
        "is it a dataset folder?"
    )


def _datasets_below(root: Path) -> list[Path]:
    folders = islice((path for path in root.iterdir() if path.is_dir()), _MOST)
    return sorted(folder for folder in folders if _is_dataset(folder))


def _is_dataset(folder: Path) -> bool:
    try:
        return not folder.name.startswith(".") and _look(folder) is not None
    except (DatasetError, OSError):
        return True  # several, or one that cannot be entered: better named than passed over


def _listed(files: Sequence[Path]) -> str:
    names = [file.name for file in files]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
