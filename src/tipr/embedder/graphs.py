"""The exported graphs that a bundle carries, and which of them this machine uses.

`graphs/graphs.json` lists them, the quickest on the machine that exported them first, with the
SHA-256 of each file and what the export measured. `graphs/image.int8.onnx` and the like are read by
every engine; nothing in them executes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from tipr.embedder.bundle import GRAPHS as FOLDER
from tipr.embedder.runtime import (
    ENGINES,
    PYTORCH,
    Engine,
    Exported,
    Precision,
    Runtime,
    does_int8,
    missing,
)
from tipr.encoders.encoder import MODALITIES, Modality

FACTS = "graphs.json"
AUTO = "auto"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Way:
    """An engine and a precision, with what the export measured of them."""

    engine: Engine
    precision: Precision
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.engine}:{self.precision}"


@dataclass(frozen=True, kw_only=True)
class Graphs:
    """`of` is the fingerprint of the model they were made of, `sha256` that of each file."""

    of: str
    ways: tuple[Way, ...]
    sha256: dict[str, str]

    def write(self, folder: Path) -> None:
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=2)
        (folder / FACTS).write_text(text + "\n", encoding="utf-8", newline="\n")

    def check_of(self, bundle: Path, fingerprint: str) -> None:
        """Raises ValueError where they were made of another model than this one."""
        if self.of != fingerprint:
            raise ValueError(f"the exported graphs in {bundle} are of another model; export it "
                             f"again, or add --device {PYTORCH}")  # fmt: skip

    def check_all(self, bundle: Path, fingerprint: str) -> None:
        """Raises ValueError where they are of another model, or a file is not as exported."""
        self.check_of(bundle, fingerprint)
        for name in self.sha256:
            self.check(bundle / FOLDER / name)

    def check(self, path: Path) -> None:
        """Raises ValueError where this is not the file that was exported."""
        try:
            found = sha256(path)
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error.strerror}); export the model again, "
                             f"or add --device {PYTORCH}") from error  # fmt: skip
        if found != self.sha256.get(path.name):
            raise ValueError(f"{path} is damaged: it is not the file that was exported; export the "
                             f"model again, or add --device {PYTORCH}")  # fmt: skip


def file_of(modality: Modality, precision: Precision) -> str:
    return f"{modality}.{precision}.onnx"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(bundle: Path) -> Graphs | None:
    """None for a bundle without. Raises ValueError where they are damaged."""
    path = bundle / FOLDER / FACTS
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != _FORMAT:
            raise ValueError(f"it has format {facts['format']}, this tipr reads {_FORMAT}")
        ways = tuple(_way(one) for one in facts["ways"])
        return Graphs(of=str(facts["of"]), ways=ways, sha256=dict(facts["sha256"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the exported graphs in {bundle} are damaged ({error}); export the model "
                         "again, or add --device pytorch") from error  # fmt: skip


def chosen(bundle: Path, graphs: Graphs, wanted: str) -> Runtime | None:
    """The runtime of that name, or with `auto` the first that this machine has; None for PyTorch.

    Raises:
        ValueError: there is no such graph, or its engine is not installed; and once a file is
            opened, if it is not the one that was exported.
    """
    if wanted == AUTO:
        way = next((way for way in graphs.ways if _usable(way)), None)
    else:
        way = _named(graphs.ways, wanted)
        if missing(way.engine):
            raise ValueError(f"{ENGINES[way.engine]} is not installed: "
                             f"pip install 'tipr[{extra(way.engine)}]'")  # fmt: skip
    if way is None:
        return None
    files = {one: bundle / FOLDER / file_of(one, way.precision) for one in MODALITIES}
    return Exported(way.engine, way.precision, files, graphs.check)


def _usable(way: Way) -> bool:
    """Whether its engine is here, and it is worth while."""
    if missing(way.engine) or way.measured.get("pictures", 1) < 1:  # times as quick as PyTorch
        return False
    return way.precision != "int8" or does_int8(way.engine)


def _named(ways: Sequence[Way], wanted: str) -> Way:
    for way in ways:
        if wanted in (way.name, way.engine):
            return way
    names = ", ".join([AUTO, PYTORCH, *(way.name for way in ways)])
    raise ValueError(f"this model has no graphs for {wanted!r}; choose from {names}, or make them "
                     "with tipr export")  # fmt: skip


def _way(facts: dict[str, Any]) -> Way:
    engine, precision = facts["engine"], facts["precision"]
    if engine not in ENGINES or precision not in get_args(Precision):
        raise ValueError(f"{engine} {precision} is not known to this version")
    return Way(engine=cast("Engine", engine), precision=precision, measured=facts["measured"])


def extra(engine: Engine) -> str:
    """The extra of this package that installs it."""
    return {"openvino": "openvino", "onnxruntime": "onnx"}[engine]
