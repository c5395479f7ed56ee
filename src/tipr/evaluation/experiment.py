"""What the run that a model lies in says of itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tipr.evaluation.naming import digest

EXPERIMENT = "experiment.json"  # of a run's folder
_SEED = re.compile(r"seed[-_]?\d+")  # in the path of a run
_PLACES = (("data", "workers"), ("data", "cache"), ("optim", "save_minutes"))  # how fast, not what


def experiment_facts(model: Path | str) -> dict[str, Any]:
    """The method, the seed and a digest of all other settings of the run that a model lies in.

    The digest is that of the same model (`best` or `last`) of every seed of an experiment; nothing
    is told of a model without its run.
    """
    folder, settings = Path(model), settings_of(model)
    try:
        method, seed = settings["method"]["is"], settings["seed"]
        told = json.dumps(_told_apart(settings), sort_keys=True)
    except (KeyError, TypeError, AttributeError):
        return {}
    which = "best" if (folder / EXPERIMENT).is_file() else folder.name
    return {"experiment": {"method": method, "digest": digest(which, told)}, "seed": seed}


def trained_on(model: Path | str) -> Path | None:
    """Where the dataset of a model's run lies; None where it does not tell."""
    root = (settings_of(model).get("data") or {}).get("root")
    return Path(root) if root else None


def settings_of(model: Path | str) -> dict[str, Any]:
    """The experiment of the run that a model on disk is or lies in; empty where none is read."""
    folder = Path(model)
    places = [place / EXPERIMENT for place in (folder, folder.parent)]
    for file in places if str(model) and folder.is_dir() else []:
        try:
            settings = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return settings if isinstance(settings, dict) else {}
    return {}


def _told_apart(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without what differs from seed to seed or machine to machine."""
    data = settings["data"]
    data["root"] = Path(str(data["root"])).name  # wherever that lies
    for part, name in _PLACES:
        settings[part].pop(name, None)
    learned_from = ((settings, "init_from"), (settings["method"], "richer"),
                    (data.get("batching", {}), "table"))  # fmt: skip
    for part, name in learned_from:
        if name in part:
            part[name] = _SEED.sub("seed", str(part[name]))
    return {name: value for name, value in settings.items() if name not in ("log", "seed")}
