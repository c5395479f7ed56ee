"""TensorBoard, Weights & Biases and MLflow beside the lines of JSON, each only where asked for.

Nothing leaves the machine unless the user's environment says so: W&B writes its files into the
run's folder unless WANDB_MODE says otherwise (`wandb sync` sends them), MLflow a database there
unless MLFLOW_TRACKING_URI names a server. What a tracker calls the run is kept in trackers.json, so
that a resumed run goes on in it; what came after the checkpoint is then told again, with the same
steps. A tracker that fails is left out with a warning: `metrics.jsonl` has everything.
"""

from __future__ import annotations

import importlib
import json
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tipr.data.whole import put

IDS = "trackers.json"
PROJECT = "tipr"
_MODULES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
_UNLESS_SET = {  # nobody else is told, and a run does not wait long for a server that is down
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_MOST = 100  # settings that MLflow takes at a time
_LONGEST = 500  # characters of a setting that every version of MLflow takes


class Tracker(Protocol):
    """Whoever else is told what goes into `metrics.jsonl`."""

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


class _Kind(Tracker, Protocol):
    """A tracker's own run."""

    id: str

    def describe(self, settings: Mapping[str, Any]) -> None: ...


def opened(
    names: Sequence[str],
    folder: Path,
    settings: Mapping[str, Any],
    *,
    resume: bool = False,
    first: bool = True,
) -> list[Tracker]:
    """The trackers of the run in `folder`; they are sent its settings (experiment.json) once.

    Of several processes only the `first` opens any; the others make sure that they could.

    Raises:
        ValueError: there is no such tracker.
        ImportError: its package is not installed.
    """
    modules = {name: _module(name) for name in names}
    if not modules or not first:
        return []
    ids, found = _known(folder / IDS) if resume else {}, list[Tracker]()
    for name, module in modules.items():
        begun = name in ids
        try:
            tracker = _KINDS[name](module, folder, ids.get(name))
            ids[name] = tracker.id
            if not begun:
                tracker.describe(flattened(settings))
        except Exception as error:  # packages of others raise anything
            again = f"; to begin a new run of it delete {folder / IDS}" if begun else ""
            _warn(name, error, again)
        else:
            found.append(_Forgiving(name, tracker))
    _keep(folder / IDS, ids)
    return found


def flattened(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by their path, as `optim.lr`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        parts = flattened(value, f"{above}{name}.") if isinstance(value, Mapping) else None
        flat |= {above + name: value} if parts is None else parts
    return flat


class _Forgiving:
    """A tracker that is left out from its first failure on."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name = name
        self._tracker: Tracker | None = tracker

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        self._attempt(lambda tracker: tracker.write(kind, step, values))

    def close(self) -> None:
        self._attempt(lambda tracker: tracker.close())
        self._tracker = None

    def _attempt(self, do: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            do(self._tracker)
        except Exception as error:
            self._tracker = None
            _warn(self._name, error)


class _TensorBoard:
    """Event files in the run's folder."""

    id = "events"

    def __init__(self, module: Any, folder: Path, run: str | None) -> None:
        self._board = module.SummaryWriter(str(folder))

    def describe(self, settings: Mapping[str, Any]) -> None:
        told = "\n".join(f"    {name} = {value}" for name, value in settings.items())
        self._board.add_text("settings", told)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)
        self._board.flush()

    def close(self) -> None:
        self._board.close()


class _WeightsAndBiases:
    """A run of the project `tipr`, or of WANDB_PROJECT; offline unless WANDB_MODE is set."""

    def __init__(self, module: Any, folder: Path, run: str | None) -> None:
        mode = os.environ.get("WANDB_MODE", "offline")
        if mode == "online" and not module.login(prompt=False):
            raise ConnectionError("WANDB_MODE is online, but nobody is logged in; `wandb login`")
        self._run = module.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=_called(folder), id=run,
            dir=str(folder), mode=mode, resume="allow",
            settings=module.Settings(console="off", silent=True),
        )  # fmt: skip
        self.id: str = self._run.id
        self._kinds = set[str]()

    def describe(self, settings: Mapping[str, Any]) -> None:
        self._run.config.update(dict(settings))

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Each kind counts its own steps."""
        if kind not in self._kinds:
            self._run.define_metric(f"{kind}/*", step_metric=f"{kind}/number")
            self._kinds.add(kind)
        told = {f"{kind}/{name}": value for name, value in values.items()}
        self._run.log({**told, f"{kind}/number": step})

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """A run of the experiment `tipr`, or of MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, module: Any, folder: Path, run: str | None) -> None:
        local = f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}"
        there = os.environ.get("MLFLOW_TRACKING_URI", local)
        self._client, self._entities = module.MlflowClient(tracking_uri=there), module.entities
        if run is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
            known = self._client.get_experiment_by_name(name)
            home = known.experiment_id if known else self._client.create_experiment(name)
            run = str(self._client.create_run(home, run_name=_called(folder)).info.run_id)
        else:
            self._client.update_run(run, status="RUNNING")
        self.id = run

    def describe(self, settings: Mapping[str, Any]) -> None:
        rows = [self._entities.Param(name, str(value)[:_LONGEST])
                for name, value in settings.items()]  # fmt: skip
        for start in range(0, len(rows), _MOST):
            self._client.log_batch(self.id, params=rows[start : start + _MOST])

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        rows = [self._entities.Metric(f"{kind}/{name}", value, now, step)
                for name, value in values.items()]  # fmt: skip
        self._client.log_batch(self.id, metrics=rows)

    def close(self) -> None:
        self._client.set_terminated(self.id)


_KINDS: dict[str, Callable[[Any, Path, str | None], _Kind]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
    "mlflow": _MLflow,
}


def _module(name: str) -> Any:
    if name not in _MODULES:
        raise ValueError(f"there is no tracker {name!r}; choose from {', '.join(_MODULES)}")
    for variable, value in _UNLESS_SET.items():
        os.environ.setdefault(variable, value)
    try:
        module = importlib.import_module(_MODULES[name])
        if module.__file__ is None:  # a folder that the tool left where Python was started
            raise ImportError(f"{name} is a folder here")
    except ImportError as error:
        raise ImportError(f"--track {name} needs: pip install 'tipr[{name}]'") from error
    return module


def _called(folder: Path) -> str:
    """A run of a table lies in ROW/seed-K, so two folders name it."""
    return "/".join(folder.resolve().parts[-2:])


def _known(file: Path) -> dict[str, str]:
    """What each tracker calls the run; empty when no tracker was ever told of it."""
    try:
        ids = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return ids if isinstance(ids, dict) else {}


def _keep(file: Path, ids: Mapping[str, str]) -> None:
    try:
        put(file, json.dumps(ids) + "\n")
    except OSError as error:
        warnings.warn(f"{file} could not be written ({error}); a resumed run will begin new runs "
                      "of its trackers", stacklevel=3)  # fmt: skip


def _warn(name: str, error: Exception, advice: str = "") -> None:
    told = " ".join(f"{type(error).__name__}: {error}".split())
    warnings.warn(f"{name} failed ({told}); the run goes on without it, metrics.jsonl has "
                  f"everything{advice}", stacklevel=3)  # fmt: skip
