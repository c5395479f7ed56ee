"""Index a folder of person crops and ask for someone.

python examples/search_a_folder.py CROPS "a woman in a red coat"
"""

from __future__ import annotations

import sys
from pathlib import Path

from tipr import Embedder, Gallery, Searcher
from tipr.gallery.indexing import index_folders


def main(folder: str, description: str, gallery: str = "people") -> None:
    embedder = Embedder.load("small", device="cpu")
    people = Gallery.open_or_create(Path(gallery), embedder)
    report = index_folders(people, embedder, [Path(folder)])
    print(f"{report.added} added, {report.already} there already, {len(report.skipped)} skipped")
    for hit in Searcher(embedder, people).search(description, k=5):
        print(f"{hit.score:.3f}  {hit.record.path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
