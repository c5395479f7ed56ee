"""`tipr gallery ...`: what is in a gallery, what becomes of it, and whether it is whole."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App
from tqdm import tqdm

from tipr.cli import keeping
from tipr.cli.options import Device, GalleryName, Json, Token, Where, Zone, opened, shown
from tipr.cli.searching import split_filter

if TYPE_CHECKING:
    pass

gallery_app = App(
    name="gallery", help="Look after a gallery: its records, how long they stay, its files."
)


keeping.add_to(gallery_app)


@gallery_app.command
def info(name: GalleryName, /, *, as_json: Json = False) -> None:
    """What a gallery holds: model, rows by camera, times, index, bytes, policy, calibration."""
    from tipr.gallery.confidence import reading
    from tipr.gallery.retention import policy_of

    gallery = opened(name)
    cameras: Counter[str] = Counter()
    times: list[datetime] = []
    for record in gallery.store.records():
        cameras[record.camera] += 1
        if record.time is not None:
            times = [min([record.time, *times[:1]]), max([record.time, *times[1:]])]
    calibration = reading(gallery.store)
    facts = {
        "gallery": name,
        **asdict(gallery.manifest),
        **gallery.store.facts(),
        "cameras": dict(sorted(cameras.items())),
        "first": times[0].isoformat() if times else None,
        "last": times[1].isoformat() if times else None,
        "retention": policy_of(gallery.store).to_json(),
        "calibration": None if calibration is None else {
            "fitted": calibration.fitted, "rows": calibration.rows, **calibration.report
        },
    }  # fmt: skip
    print(json.dumps(facts) if as_json else json.dumps(facts, indent=2))


@gallery_app.command(name="list")
def list_(
    name: GalleryName,
    /,
    *tokens: Token,
    where: Where = "",
    zone: Zone = "",
    export: Path | None = None,
    as_json: Json = False,
) -> None:
    """The records, all or those that filters let through, in the order they came in.

    Parameters
    ----------
    tokens
        Filters, as camera:lobby after:2026-11-01.
    export
        Write them to a .csv, .json or .parquet file, or a folder with the pictures.
    """
    gallery = opened(name)
    _, chosen = split_filter("", tokens, where, zone)
    if export is not None:
        from tipr.gallery.exporting import Row
        from tipr.gallery.exporting import export as write

        rows = [Row(record=record) for record in gallery.store.records(chosen)]
        facts = {"gallery": name, "filter": None if chosen is None else chosen.to_json()}
        written = write(rows, export, facts, gallery.store)
        for id, reason in written.missing:
            print(f"{id}: {reason}", file=sys.stderr)
        print(json.dumps({"export": str(export), "rows": written.rows}) if as_json else export)
        return
    for record in gallery.store.records(chosen):
        told = record.to_json()
        print(json.dumps(told) if as_json else f"{record.id}  {record.camera or '-'}  "
              f"{told['time'] or '-'}  {record.path}")  # fmt: skip


@gallery_app.command
def check(name: GalleryName, /, *, as_json: Json = False) -> None:
    """Read everything and compare it with its checksums; names what is damaged (exit code 1)."""
    from tipr.gallery.local import LocalStore

    gallery = opened(name)
    if not isinstance(gallery.store, LocalStore):
        raise ValueError(f"{name} lies on a server, which checks its own files")
    with tqdm(desc="check", unit="row", disable=None) as bar:
        faults = gallery.store.check(shown(bar))
    print(json.dumps({"gallery": name, "rows": len(gallery), "faults": faults}) if as_json else
          "\n".join(faults) or f"{name}: {len(gallery)} rows, all whole")  # fmt: skip
    if faults:
        sys.exit(1)


@gallery_app.command
def compact(name: GalleryName, /, *, model: str | None = None, device: Device = "auto") -> None:
    """Rewrite the files without what was removed, and build the index again.

    Parameters
    ----------
    model
        Where the gallery's model lies now, if it was moved.
    """
    from tipr.gallery.searcher import Searcher

    with Searcher.open(name, device, model) as searcher:
        searcher.gallery.store.compact()
        searcher.gallery.tidy(searcher.embedder)
        print(json.dumps(searcher.gallery.store.facts()))


@gallery_app.command
def tidy(name: GalleryName, /, *, model: str | None = None, device: Device = "auto") -> None:
    """Bring the index up to date and make anew what is derived and damaged.

    Parameters
    ----------
    model
        Where the gallery's model lies now, if it was moved.
    """
    from tipr.gallery.searcher import Searcher

    with Searcher.open(name, device, model) as searcher:
        searcher.gallery.tidy(searcher.embedder)
        print(json.dumps(searcher.gallery.store.facts()))


@gallery_app.command
def recall(
    name: GalleryName,
    /,
    *tokens: Token,
    queries: int = 100,
    zone: Zone = "",
    model: str | None = None,
    device: Device = "auto",
) -> None:
    """Ask with sentences whether the index finds what an exact scan finds.

    Parameters
    ----------
    tokens
        Filters, as camera:lobby.
    queries
        How many sentences, at most 300.
    model
        Where the gallery's model lies now, if it was moved.
    """
    from tipr.gallery.exactness import exactness
    from tipr.gallery.probes import probes
    from tipr.gallery.searcher import Searcher

    if not 1 <= queries <= 300:
        raise ValueError(f"there are 1 to 300 sentences to ask with, not {queries}")
    _, chosen = split_filter("", tokens, "", zone)
    with Searcher.open(name, device, model) as searcher:
        asked = searcher.embedder.embed_texts(probes()[1][:queries])
        print(json.dumps(exactness(searcher.gallery.store, asked, chosen), indent=2))


@gallery_app.command
def copy(name: GalleryName, to: GalleryName, /) -> None:
    """Copy a gallery to another place, as from a folder to a server; may be run again.

    Parameters
    ----------
    to
        A new folder, milvus://HOST:PORT/NAME, or a copy that was begun.
    """
    from tipr.gallery.copying import copy as run

    gallery = opened(name)
    with tqdm(desc="copy", unit="row", disable=None) as bar:
        count = run(gallery, to, shown(bar))
    print(f"{to}: {count} rows")
