"""`tipr gallery set | remove | erase | keep | expire`: what becomes of rows, and for how long."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from tqdm import tqdm

from tipr.cli.options import Flag, GalleryName, Json, Token, Where, Zone, opened, shown, zone_here
from tipr.cli.searching import split_filter
from tipr.data.whole import put

if TYPE_CHECKING:
    from tipr.gallery.filters import Filter

Ids = Annotated[list[str] | None, Parameter(name="--id", negative=(), help="A row; repeatable.")]
Force = Annotated[str, Parameter(help="Why rows go before their least age; told in the report.")]


def add_to(gallery_app: App) -> None:
    gallery_app.command(set_, name="set")
    for verb in (remove, erase, keep, expire):
        gallery_app.command(verb)


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


def set_(
    name: GalleryName,
    /,
    *tokens: Token,
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

    gallery, chosen = opened(name), _chosen(tokens, where, zone, id)
    changes = dict(assignment(text, zone or zone_here()) for text in to)
    with tqdm(desc="set", unit="row", disable=None) as bar:
        count = edit(gallery.store, chosen, changes, shown(bar))
    print(json.dumps({"changed": count}) if as_json else f"{count} rows changed")


def remove(
    name: GalleryName,
    /,
    *tokens: Token,
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

    gallery, chosen = opened(name), _chosen(tokens, where, zone, id)
    done = take_out(gallery.store, chosen, datetime.now(UTC), force)
    if as_json:
        print(json.dumps(asdict(done)))
        return
    print(f"{done.removed} rows removed")
    if done.protected:
        print(f"{done.protected} are younger than the policy's minimum and stay; --force REASON "
              "removes them")  # fmt: skip


def erase(  # noqa: PLR0913 - one parameter for each flag
    name: GalleryName,
    /,
    *tokens: Token,
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

    gallery, chosen = opened(name), _chosen(tokens, where, zone, id)
    failure = None
    try:
        report = wipe(gallery.store, chosen, datetime.now(UTC), force, pictures=pictures)
    except ErasureError as error:
        report, failure = error.proof, error
    text = json.dumps(report.to_json(), indent=2)
    if proof is not None:
        put(proof, text + "\n")
    print(text)
    if failure is not None:
        raise failure


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

    gallery = opened(name)
    if none:
        retention.keep(gallery.store, retention.Policy({}))
    elif ages:
        cameras = retention.policy_of(gallery.store).cameras
        new = dict(_ages(text) for text in ages)
        retention.keep(gallery.store, retention.Policy({**cameras, **new}))
    facts = retention.policy_of(gallery.store).to_json()
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


def expire(name: GalleryName, /, *, dry_run: Flag = False, as_json: Json = False) -> None:
    """Remove what the policy keeps no longer, from the files too.

    Parameters
    ----------
    dry_run
        Only count.
    """
    from tipr.gallery.retention import expire as run

    gallery = opened(name)
    with tqdm(desc="expire", unit="row", disable=None) as bar:
        done = run(gallery.store, datetime.now(UTC), dry_run, shown(bar))
    facts = asdict(done)
    facts |= {
        side: facts[side].isoformat() if facts[side] else None for side in ("oldest", "newest")
    }
    verb = "are past their time" if dry_run else "were removed"
    print(json.dumps(facts) if as_json else f"{done.ids} rows {verb}")
