"""`tipr index`, `watch`, `reindex` and `calibrate`: pictures into a gallery, and its model."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter
from tqdm import tqdm

from tipr.cli.options import Device, Flag, GalleryName, Json, Zone, shown, zone_here

if TYPE_CHECKING:
    from tipr.gallery.describing import ByFolder
    from tipr.gallery.indexing import Indexing, IndexReport


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of the pictures.

    Parameters
    ----------
    camera
        The camera that all of them come from.
    source
        The video or the place that all of them come from.
    names
        What the names say, as "{camera}/{time:%Y%m%d_%H%M%S}_{track}.jpg", or a preset (market).
    records
        A table of path and facts (.csv, .tsv, .jsonl); records.csv in a folder is read unasked.
    zone
        IANA zone of times that name none, as Europe/Berlin; the machine's own otherwise.
    thumbnails
        Height in pixels of small pictures kept in the gallery; 0 keeps none.
    """

    camera: str = ""
    source: str = ""
    names: str = ""
    records: Path | None = None
    zone: Zone = ""
    thumbnails: int = 0

    def described(self, folders: list[Path]) -> ByFolder:
        from tipr.gallery.describing import described_folders

        for folder in folders:
            if not folder.is_dir():
                raise ValueError(
                    f"there is no folder {folder}; give the folder that holds the crops"
                )
        given = {"camera": self.camera, "source": self.source}
        fixed = {name: value for name, value in given.items() if value}
        zone = self.zone or zone_here()
        return described_folders(folders, fixed, self.names, self.records, zone)

    def indexing(self, describe: ByFolder) -> Indexing:
        from tipr.gallery.indexing import Indexing

        return Indexing(describe=describe, thumbnails=self.thumbnails)


NO_FACTS = Facts()


def index(  # noqa: PLR0913 - one parameter for each flag
    folders: list[Path],
    /,
    *,
    gallery: GalleryName,
    model: str = "shipped:small",
    facts: Facts = NO_FACTS,
    workers: int = 0,
    ray: str = "",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Add the pictures of folders to a gallery; what is there already is not added twice.

    Parameters
    ----------
    folders
        Folders of person crops, searched with all below them.
    model
        A run or bundle folder, or the name of a shipped model.
    workers
        Processes that embed (extra `ray`), each with the device; 0 is this process alone.
    ray
        Address of a Ray cluster on whose machines the workers run; they need the same folders.
    """
    from tipr.embedder import Embedder
    from tipr.gallery.gallery import Gallery
    from tipr.gallery.indexing import files_of, index_files
    from tipr.gallery.spreading import Workers, spread

    describe = facts.described(folders)
    embedder = Embedder.load(model, device)
    opened = Gallery.open_or_create(gallery, embedder)
    with tqdm(desc="index", unit="image", disable=None) as bar:
        how, names = facts.indexing(describe), files_of(opened, folders)
        if workers or ray:
            crew = Workers(
                load=partial(Embedder.load, embedder.source, device),
                count=max(1, workers),
                address=ray,
                gpus=int(embedder.device.type == "cuda"),
            )
            report = spread(opened, embedder, names, crew, shown(bar), how)
        else:
            report = index_files(opened, embedder, names, shown(bar), how)
    unused = describe.unused()
    if as_json:
        told = _told(report, gallery, len(opened))
        print(json.dumps({**told, "unused": unused, "runtime": embedder.runtime.name}))
        return
    if embedder.runtime.name != "PyTorch":
        print(f"vectors by {embedder.runtime.name}", file=sys.stderr)
    for name in unused[:10]:
        print(f"the table tells of {name}, which is not there", file=sys.stderr)
    if len(unused) > 10:
        print(f"and of {len(unused) - 10} more", file=sys.stderr)
    _print(report, gallery, len(opened))


def watch(
    folders: list[Path],
    /,
    *,
    gallery: GalleryName,
    model: str = "shipped:small",
    facts: Facts = NO_FACTS,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Index folders and keep up with what comes into them, until Ctrl-C.

    Parameters
    ----------
    folders
        Folders that cameras or people put crops into.
    model
        A run or bundle folder, or the name of a shipped model.
    """
    from tipr.embedder import Embedder
    from tipr.gallery.gallery import Gallery
    from tipr.gallery.watching import watch_folders

    describe = facts.described(folders)
    embedder = Embedder.load(model, device)
    opened = Gallery.open_or_create(gallery, embedder)
    how = facts.indexing(describe)
    for report in watch_folders(opened, embedder, folders, how=how):
        if as_json:
            print(json.dumps(_told(report, gallery, len(opened))), flush=True)
        else:
            _print(report, gallery, len(opened))
            sys.stdout.flush()


def reindex(
    *,
    gallery: GalleryName,
    model: str,
    drop_lost: Flag = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Make a gallery's vectors anew with another model, beside the old ones, then switch.

    Until the switch the gallery answers as before; a run that was stopped goes on where it was.

    Parameters
    ----------
    model
        A run or bundle folder, or the name of a shipped model.
    drop_lost
        Go on without the rows whose picture is gone and that have no thumbnail.
    """
    from dataclasses import asdict

    from tipr.embedder import Embedder
    from tipr.gallery.gallery import Gallery
    from tipr.gallery.reindexing import reindex as run

    opened = Gallery.open(gallery)
    embedder = Embedder.load(model, device)
    with tqdm(desc="reindex", unit="image", disable=None) as bar:
        done = run(opened, embedder, shown(bar), drop_lost=drop_lost)
    if as_json:
        print(json.dumps({"gallery": gallery, "fingerprint": embedder.fingerprint, **asdict(done)}))
        return
    small = f", {done.small} of them from thumbnails" if done.small else ""
    lost = f"; {len(done.lost)} were dropped" if done.lost else ""
    print(f"{gallery}: {done.rows} rows have vectors of {model}{small}{lost}")


def calibrate(
    *,
    gallery: GalleryName,
    model: str | None = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Learn what scores mean on a gallery, so that answers say likely, possible or nothing found.

    It asks for rendered people that are not there, and for the same people put there in thought.

    Parameters
    ----------
    model
        Where the gallery's model lies now, if it was moved.
    """
    from tipr.gallery.calibrating import fit
    from tipr.gallery.confidence import NOTE
    from tipr.gallery.searcher import Searcher

    with Searcher.open(gallery, device, model) as searcher:
        with tqdm(desc="calibrate", unit="probe", disable=None) as bar:
            calibration = fit(searcher.gallery.store, searcher.embedder, progress=shown(bar))
        searcher.gallery.store.put_note(NOTE, calibration.to_json())
    facts = {"gallery": gallery, "likely": calibration.likely, "possible": calibration.possible,
             **calibration.report}  # fmt: skip
    print(json.dumps(facts) if as_json else json.dumps(facts, indent=2))


def _told(report: IndexReport, gallery: str, images: int) -> dict[str, Any]:
    skipped = [{"path": str(path), "reason": reason} for path, reason in report.skipped]
    facts = {"added": report.added, "already": report.already, "images": images}
    return {"gallery": gallery, **facts, "skipped": skipped}


def _print(report: IndexReport, gallery: str, images: int) -> None:
    for path, reason in report.skipped:
        print(f"skipped {path}: {reason}", file=sys.stderr)
    print(f"{gallery}: {report.added} added, {report.already} there already, "
          f"{len(report.skipped)} skipped; {images} in all")  # fmt: skip
