"""`tipr gallery ...`: what is in a gallery, what becomes of it, and whether it is whole."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from tqdm import tqdm

from tipr.cli.options import Device, Flag, GalleryName, Json, Zone, shown, zone_here
from tipr.cli.searching import split_filter
from tipr.data.whole import put

if TYPE_CHECKING:
    from tipr.gallery.filters import Filter
    from tipr.gallery.gallery import Gallery

gallery_app = App(
    name="gallery", help="Look after a gallery: its records, how long they stay, its files."
)

Ids = Annotated[list[str] | None, Parameter(name="--id", negative=(), help="A row; repeatable.")]
Where = Annotated[str, Parameter(name="--filter", help="A filter as JSON, beside the tokens.")]
Force = Annotated[str, Parameter(help="Why rows go before their least age; told in the report.")]


def _opened(name: str) -> Gallery:
    from tipr.gallery.gallery import Gallery

    return Gallery.open(name)


def _chosen(tokens: tuple[str, ...], where: str, zone: str, ids: list[str] | None) -> Filter:
    """Refuses to mean all rows where nothing was said."""
    from tipr.gallery.filters import All, Among

    _, found = split_filter("", tokens, where, zone)
    parts = ([] if found is None else [found]) + ([Among("id", tuple(ids))] if ids else [])
    if not parts:
        raise ValueError(
            "say which rows: filters as camera:lobby before:2026-11-01, or --id; all of them are "
            "( camera:x OR -camera:x )"
        )
    return parts[0] if len(parts) == 1 else All(tuple(parts))


@gallery_app.command
def info(name: GalleryName, /, *, as_json: Json = False) -> None:
    """What a gallery holds: model, rows by camera, times, index, bytes, policy, calibration."""
    from tipr.gallery.confidence import reading
    from tipr.gallery.retention import policy_of

    opened = _opened(name)
    cameras: Counter[str] = Counter()
    times: list[datetime] = []
    for record in opened.store.records():
        cameras[record.camera] += 1
        if record.time is not None:
            times = [min([record.time, *times[:1]]), max([record.time, *times[1:]])]
    calibration = reading(opened.store)
    facts = {
        "gallery": name,
        **asdict(opened.manifest),
        **opened.store.facts(),
        "cameras": dict(sorted(cameras.items())),
        "first": times[0].isoformat() if times else None,
        "last": times[1].isoformat() if times else None,
        "retention": policy_of(opened.store).to_json(),
        "calibration": None if calibration is None else {
            "fitted": calibration.fitted, "rows": calibration.rows, **calibration.report
        },
    }  # fmt: skip
    print(json.dumps(facts) if as_json else json.dumps(facts, indent=2))


@gallery_app.command(name="list")
def list_(
    name: GalleryName,
    /,
    *tokens: str,
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
    opened = _opened(name)
    _, chosen = split_filter("", tokens, where, zone)
    if export is not None:
        from tipr.gallery.exporting import Row
        from tipr.gallery.exporting import export as write

        rows = [Row(record=record) for record in opened.store.records(chosen)]
        facts = {"gallery": name, "filter": None if chosen is None else chosen.to_json()}
        written = write(rows, export, facts, opened.store)
        for id, reason in written.missing:
            print(f"{id}: {reason}", file=sys.stderr)
        print(json.dumps({"export": str(export), "rows": written.rows}) if as_json else export)
        return
    for record in opened.store.records(chosen):
        told = record.to_json()
        print(json.dumps(told) if as_json else f"{record.id}  {record.camera or '-'}  "
              f"{told['time'] or '-'}  {record.path}")  # fmt: skip


@gallery_app.command(name="set")
def set_(
    name: GalleryName,
    /,
    *tokens: str,
    to: list[str],
    where: Where = "",
    id: Ids = None,
    zone: Zone = "",
    as_json: Json = False,
) -> None:
    """Change facts of records, as `set people camera:3 --to camera=lobby`; vectors stay.

    Parameters
    ----------
    tokens
        Filters, as camera:lobby.
    to
        FIELD=VALUE, repeatable; FIELD= clears it; names that are no field are the owner's own.
    """
    from tipr.gallery.editing import assignment, edit

    opened, chosen = _opened(name), _chosen(tokens, where, zone, id)
    changes = dict(assignment(text, zone or zone_here()) for text in to)
    with tqdm(desc="set", unit="row", disable=None) as bar:
        count = edit(opened.store, chosen, changes, shown(bar))
    print(json.dumps({"changed": count}) if as_json else f"{count} rows changed")


@gallery_app.command
def remove(
    name: GalleryName,
    /,
    *tokens: str,
    where: Where = "",
    id: Ids = None,
    zone: Zone = "",
    force: Force = "",
    as_json: Json = False,
) -> None:
    """Take rows out: they are found no more. Their bytes go with the next `compact` or `erase`.

    Parameters
    ----------
    tokens
        Filters, as source:a.mp4.
    """
    from tipr.gallery.erasure import remove as take_out

    opened, chosen = _opened(name), _chosen(tokens, where, zone, id)
    done = take_out(opened.store, chosen, datetime.now(UTC), force)
    if as_json:
        print(json.dumps(asdict(done)))
        return
    print(f"{done.removed} rows removed")
    if done.protected:
        print(f"{done.protected} are younger than the policy's minimum and stay; --force REASON "
              "removes them")  # fmt: skip


@gallery_app.command
def erase(  # noqa: PLR0913 - one parameter for each flag
    name: GalleryName,
    /,
    *tokens: str,
    where: Where = "",
    id: Ids = None,
    zone: Zone = "",
    force: Force = "",
    pictures: Flag = False,
    proof: Path | None = None,
) -> None:
    """Take rows out, rewrite the files, and prove that nothing of them is left in there.

    Parameters
    ----------
    tokens
        Filters, as track:7 source:a.mp4.
    pictures
        Delete the original picture files too, those that are still the same.
    proof
        A .json file for the proof, which is printed as well.
    """
    from tipr.gallery.erasure import ErasureError
    from tipr.gallery.erasure import erase as wipe

    opened, chosen = _opened(name), _chosen(tokens, where, zone, id)
    failure = None
    try:
        report = wipe(opened.store, chosen, datetime.now(UTC), force, pictures=pictures)
    except ErasureError as error:
        report, failure = error.proof, error
    text = json.dumps(report.to_json(), indent=2)
    if proof is not None:
        put(proof, text + "\n")
    print(text)
    if failure is not None:
        raise failure


@gallery_app.command
def keep(name: GalleryName, /, *ages: str, none: Flag = False, as_json: Json = False) -> None:
    """How long rows stay, in days, by camera: `keep people lobby=1..3 *=..30`.

    Without ages it shows the policy. `tipr gallery expire` carries it out.

    Parameters
    ----------
    ages
        CAMERA=MINIMUM..MAXIMUM, either may be left out; * is every other camera.
    none
        Forget the policy.
    """
    from tipr.gallery import retention

    opened = _opened(name)
    if none:
        retention.keep(opened.store, retention.Policy({}))
    elif ages:
        cameras = retention.policy_of(opened.store).cameras
        new = dict(_ages(text) for text in ages)
        retention.keep(opened.store, retention.Policy({**cameras, **new}))
    facts = retention.policy_of(opened.store).to_json()
    print(json.dumps(facts) if as_json else json.dumps(facts, indent=2))


def _ages(text: str) -> tuple[str, Any]:
    from tipr.gallery.retention import Ages, PolicyError

    camera, equals, limits = text.rpartition("=")
    low, dots, high = limits.partition("..")
    try:
        if not (equals and camera and dots):
            raise ValueError
        return camera, Ages(minimum=float(low or 0), maximum=float(high) if high else None)
    except PolicyError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no age; write CAMERA=MINIMUM..MAXIMUM in days, as lobby=1..30 or *=..30"
        ) from error


@gallery_app.command
def expire(name: GalleryName, /, *, dry_run: Flag = False, as_json: Json = False) -> None:
    """Remove what the policy keeps no longer, from the files too.

    Parameters
    ----------
    dry_run
        Only count.
    """
    from tipr.gallery.retention import expire as run

    opened = _opened(name)
    with tqdm(desc="expire", unit="row", disable=None) as bar:
        done = run(opened.store, datetime.now(UTC), dry_run, shown(bar))
    facts = asdict(done)
    facts |= {
        side: facts[side].isoformat() if facts[side] else None for side in ("oldest", "newest")
    }
    verb = "are past their time" if dry_run else "were removed"
    print(json.dumps(facts) if as_json else f"{done.ids} rows {verb}")


@gallery_app.command
def check(name: GalleryName, /, *, as_json: Json = False) -> None:
    """Read everything and compare it with its checksums; names what is damaged (exit code 1)."""
    from tipr.gallery.local import LocalStore

    opened = _opened(name)
    if not isinstance(opened.store, LocalStore):
        raise ValueError(f"{name} lies on a server, which checks its own files")
    with tqdm(desc="check", unit="row", disable=None) as bar:
        faults = opened.store.check(shown(bar))
    print(json.dumps({"gallery": name, "rows": len(opened), "faults": faults}) if as_json else
          "\n".join(faults) or f"{name}: {len(opened)} rows, all whole")  # fmt: skip
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
    *tokens: str,
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

    opened = _opened(name)
    with tqdm(desc="copy", unit="row", disable=None) as bar:
        count = run(opened, to, shown(bar))
    print(f"{to}: {count} rows")
