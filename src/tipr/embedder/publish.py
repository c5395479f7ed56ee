"""Publishing a model, never without its licence and the terms of its data."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tipr.embedder import graphs
from tipr.embedder.bundle import PARTS, find_bundle
from tipr.embedder.card import fill_terms
from tipr.embedder.embedder import Embedder
from tipr.embedder.hub import upload


def publish(model: Path | str, name: str, license_: str, data: str, *, private: bool = True) -> str:
    """Uploads a model's folder as `hf:ORGANISATION/NAME` with a filled card; its address.

    The folder itself is left as it is.

    Raises:
        ValueError: there is no such model, a term is empty, or the hub refuses.
        ImportError: the extra `hub` is not installed.
    """
    folder = find_bundle(model)
    whole = Embedder.load(folder, "cpu", runtime="pytorch")  # a damaged model is not published
    there = graphs.read(folder)
    if there is not None:
        there.check_all(folder, whole.fingerprint)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "model"
        copy.mkdir()
        for part in sorted(PARTS):  # and nothing else that may lie in the folder
            if (folder / part).is_file():
                shutil.copyfile(folder / part, copy / part)
            elif (folder / part).is_dir():
                shutil.copytree(folder / part, copy / part)
        fill_terms(copy, license_, data)
        return upload(copy, name, private=private)
