"""Who is told of a run besides its own file, and that none of them can stop it."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tipr.training.log import Log
from tipr.training.trackers import IDS, flattened, opened

SETTINGS = {"optim": {"lr": 0.001, "betas": [0.9, 0.98]}, "seed": 0}
FLAT = {"optim.lr": 0.001, "optim.betas": [0.9, 0.98], "seed": 0}


class Calls(list[tuple[Any, ...]]):
    """What the fake packages below were asked to do, in order."""

    failing: str = ""

    def add(self, name: str, *told: Any) -> None:
        if name == self.failing:
            raise OSError(f"the network is down\nin {name}")
        self.append((name, *told))

    def of(self, name: str) -> list[list[Any]]:
        return [told for call, *told in self if call == name]


def _wandb(calls: Calls) -> Any:
    """As wandb 0.31 has it."""

    def init(  # noqa: PLR0913 - those that are given
        *, project: str, name: str, id: str | None, dir: str, mode: str, resume: str, settings: Any
    ) -> Any:  # fmt: skip
        calls.add("init", {"project": project, "name": name, "id": id, "dir": dir, "mode": mode,
                           "resume": resume, **settings})  # fmt: skip
        return SimpleNamespace(
            id=id or f"new{len(calls)}",
            config=SimpleNamespace(update=lambda d: calls.add("config", d)),
            define_metric=lambda name, step_metric: calls.add("define", name, step_metric),
            log=lambda data: calls.add("log", data),
            finish=lambda: calls.add("finish"),
        )

    def login(*, prompt: bool) -> bool:
        assert not prompt
        return False

    return SimpleNamespace(__file__="wandb.py", init=init, login=login, Settings=dict)


def _mlflow(calls: Calls) -> Any:
    """As mlflow 3.17 has it."""

    class MlflowClient:
        def __init__(self, tracking_uri: str | None = None) -> None:
            calls.add("client", tracking_uri)

        def get_experiment_by_name(self, name: str) -> Any:
            known = [told for (told,) in calls.of("experiment")]
            return SimpleNamespace(experiment_id=name) if name in known else None

        def create_experiment(self, name: str) -> str:
            calls.add("experiment", name)
            return name

        def create_run(self, experiment_id: str, *, run_name: str) -> Any:
            calls.add("run", experiment_id, run_name)
            return SimpleNamespace(info=SimpleNamespace(run_id=f"run{len(calls)}"))

        def update_run(self, run_id: str, status: str) -> None:
            calls.add("update", run_id, status)

        def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
            calls.add("batch", run_id, list(metrics), list(params))

        def set_terminated(self, run_id: str) -> None:
            calls.add("end", run_id)

    entities = SimpleNamespace(
        Param=lambda key, value: (key, value),
        Metric=lambda key, value, timestamp, step: (key, value, step),
    )
    return SimpleNamespace(__file__="mlflow.py", MlflowClient=MlflowClient, entities=entities)


def _tensorboard(calls: Calls) -> Any:
    def writer(log_dir: str) -> Any:
        calls.add("writer", log_dir)
        return SimpleNamespace(
            add_text=lambda tag, text: calls.add("text", tag, text),
            add_scalar=lambda tag, value, step: calls.add("scalar", tag, value, step),
            flush=lambda: calls.add("flush"),
            close=lambda: calls.add("close"),
        )

    return SimpleNamespace(__file__="tensorboard.py", SummaryWriter=writer)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    told = Calls()
    for name, fake in (("wandb", _wandb), ("mlflow", _mlflow),
                       ("torch.utils.tensorboard", _tensorboard)):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, fake(told))
    for name in ("WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY",
                 "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):  # fmt: skip
        monkeypatch.setenv(name, "as set")
    return told


def _told(folder: Path, *names: str, resume: bool = False) -> None:
    """Two kinds of lines, then the end."""
    trackers = opened(names, folder, SETTINGS, resume=resume)
    for tracker in trackers:
        tracker.write("step", 50, {"sdm": 2.0})
        tracker.write("step", 100, {"sdm": 1.0})
        tracker.write("val", 1, {"R1": 0.5, "mAP": 0.25})
        tracker.close()


def _ids(folder: Path) -> dict[str, str]:
    return json.loads((folder / IDS).read_text())


def test_settings_are_named_by_their_path() -> None:
    assert flattened({**SETTINGS, "data": {"a": {"is": "B"}, "none": {}}}) == {
        **FLAT, "data.a.is": "B",
    }  # fmt: skip


def test_tensorboard_is_told_everything(calls: Calls, tmp_path: Path) -> None:
    _told(tmp_path, "tensorboard")
    assert calls.of("writer") == [[str(tmp_path)]]
    assert "    optim.lr = 0.001" in calls.of("text")[0][1]
    assert calls.of("scalar") == [["step/sdm", 2.0, 50], ["step/sdm", 1.0, 100],
                                  ["val/R1", 0.5, 1], ["val/mAP", 0.25, 1]]  # fmt: skip
    assert [name for name, *_ in calls][-2:] == ["flush", "close"]


def test_wandb_is_told_everything_offline(calls: Calls, tmp_path: Path) -> None:
    folder = tmp_path / "SDM" / "seed-1"
    folder.mkdir(parents=True)
    _told(folder, "wandb")
    begun = {"project": "tipr", "name": "SDM/seed-1", "id": None, "dir": str(folder),
             "mode": "offline", "resume": "allow", "console": "off", "silent": True}  # fmt: skip
    assert calls.of("init") == [[begun]]
    assert calls.of("config") == [[FLAT]]
    assert calls.of("define") == [["step/*", "step/number"], ["val/*", "val/number"]]
    assert calls.of("log") == [
        [{"step/sdm": 2.0, "step/number": 50}],
        [{"step/sdm": 1.0, "step/number": 100}],
        [{"val/R1": 0.5, "val/mAP": 0.25, "val/number": 1}],
    ]
    assert calls[-1] == ("finish",)


def test_mlflow_is_told_everything_in_the_folder(calls: Calls, tmp_path: Path) -> None:
    _told(tmp_path, "mlflow")
    assert calls.of("client") == [[f"sqlite:///{tmp_path.as_posix()}/mlflow.db"]]
    run = _ids(tmp_path)["mlflow"]
    flat = [(name, str(value)) for name, value in FLAT.items()]
    assert calls.of("batch") == [
        [run, [], flat],
        [run, [("step/sdm", 2.0, 50)], []],
        [run, [("step/sdm", 1.0, 100)], []],
        [run, [("val/R1", 0.5, 1), ("val/mAP", 0.25, 1)], []],
    ]
    assert calls[-1] == ("end", run)


def test_many_settings_go_to_mlflow_in_parts(calls: Calls, tmp_path: Path) -> None:
    opened(["mlflow"], tmp_path, {f"s{i}": "long" * 500 for i in range(250)})
    sent = [params for _, _, params in calls.of("batch")]
    assert [len(params) for params in sent] == [100, 100, 50]
    assert {len(value) for params in sent for _, value in params} == {500}


def test_the_environment_says_where_to(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WANDB_MODE", "disabled"), ("WANDB_PROJECT", "mine"),
                        ("MLFLOW_TRACKING_URI", "http://there"),
                        ("MLFLOW_EXPERIMENT_NAME", "ours")):  # fmt: skip
        monkeypatch.setenv(name, value)
    _told(tmp_path, "wandb", "mlflow")
    ((begun,),) = calls.of("init")
    assert (begun["mode"], begun["project"]) == ("disabled", "mine")
    assert calls.of("client") == [["http://there"]]
    assert calls.of("run")[0][0] == "ours"


def test_the_log_tells_its_file_and_its_trackers_the_same(calls: Calls, tmp_path: Path) -> None:
    log = Log(tmp_path, opened(["tensorboard"], tmp_path, SETTINGS))
    log.write("val", 3, {"R1": 0.5})
    log.close()
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert (line["kind"], line["step"], line["R1"]) == ("val", 3, 0.5)
    assert calls.of("scalar") == [["val/R1", 0.5, 3]]
    assert calls[-1] == ("close",)


def test_nobody_else_is_told_unless_the_user_wants_it(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    opened(["mlflow"], tmp_path, SETTINGS)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["WANDB_ERROR_REPORTING"] == "as set"


def test_wandb_never_asks_for_a_login(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.warns(UserWarning, match="wandb login"):
        assert not opened(["wandb"], tmp_path, SETTINGS)
    assert not calls.of("init")


def test_a_resumed_run_goes_on_where_it_was(calls: Calls, tmp_path: Path) -> None:
    names = ("tensorboard", "wandb", "mlflow")
    _told(tmp_path, *names)
    ids = _ids(tmp_path)
    _told(tmp_path, *names, resume=True)
    assert _ids(tmp_path) == ids
    assert [begun["id"] for (begun,) in calls.of("init")] == [None, ids["wandb"]]
    assert calls.of("update") == [[ids["mlflow"], "RUNNING"]]
    assert len(calls.of("run")) == len(calls.of("experiment")) == 1
    assert len(calls.of("config")) == len(calls.of("text")) == 1
    assert sum(bool(params) for _, _, params in calls.of("batch")) == 1


def test_a_tracker_that_joins_a_resumed_run_begins(calls: Calls, tmp_path: Path) -> None:
    _told(tmp_path, "mlflow")
    first = _ids(tmp_path)
    _told(tmp_path, "wandb", resume=True)
    assert calls.of("config") == [[FLAT]]
    assert _ids(tmp_path) == {**first, "wandb": _ids(tmp_path)["wandb"]}


@pytest.mark.parametrize("left", ['{"wandb": "old"}', "{", "[]", None])
def test_a_new_run_is_a_new_one_of_the_tracker(
    calls: Calls, tmp_path: Path, left: str | None
) -> None:
    if left is not None:
        (tmp_path / IDS).write_text(left)
    _told(tmp_path, "wandb", resume=left != '{"wandb": "old"}')
    assert calls.of("init")[0][0]["id"] is None
    assert calls.of("config") == [[FLAT]]


@pytest.mark.parametrize("failing", ["log", "define", "finish"])
def test_a_failure_is_told_once_and_stops_nothing(
    calls: Calls, tmp_path: Path, failing: str
) -> None:
    calls.failing = failing
    with pytest.warns(UserWarning, match="wandb failed .OSError: the network is down in") as told:
        trackers = opened(["wandb", "tensorboard"], tmp_path, SETTINGS)
        for step in range(3):
            for tracker in trackers:
                tracker.write("step", step, {"sdm": 1.0})
        for tracker in trackers:
            tracker.close()
            tracker.close()
    assert len(told) == 1
    assert len(calls.of("scalar")) == 3
    assert len(calls.of("close")) == 1


def test_a_tracker_that_cannot_begin_is_left_out(calls: Calls, tmp_path: Path) -> None:
    calls.failing = "init"
    with pytest.warns(UserWarning, match="the run goes on without it, metrics.jsonl has every"):
        trackers = opened(["wandb", "mlflow"], tmp_path, SETTINGS)
    assert len(trackers) == 1
    assert list(_ids(tmp_path)) == ["mlflow"]


def test_a_run_that_the_tracker_lost_is_told_how_to_begin_anew(
    calls: Calls, tmp_path: Path
) -> None:
    _told(tmp_path, "mlflow")
    before, calls.failing = _ids(tmp_path), "update"
    with pytest.warns(UserWarning, match=f"to begin a new run of it delete .*{IDS}"):
        _told(tmp_path, "mlflow", resume=True)
    assert _ids(tmp_path) == before


def test_ids_that_cannot_be_written_are_told(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.warns(UserWarning, match=rf"{IDS} could not be written \(no space\)"):
        assert len(opened(["tensorboard"], tmp_path, SETTINGS)) == 1


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("found", [None, ModuleType("wandb")])
def test_a_missing_package_is_named_before_anything_begins(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, found: Any
) -> None:
    if found is not None:
        found.__file__ = None  # what Python makes of a folder of that name
    monkeypatch.setitem(sys.modules, "wandb", found)
    with pytest.raises(ImportError, match=r"--track wandb needs: pip install 'tipr\[wandb\]'"):
        opened(["mlflow", "wandb"], tmp_path, SETTINGS, first=first)
    assert not calls


def test_only_the_first_process_opens_any(calls: Calls, tmp_path: Path) -> None:
    assert opened(["wandb", "mlflow"], tmp_path, SETTINGS, first=False) == []
    assert not calls
    assert not list(tmp_path.iterdir())


def test_no_tracker_leaves_nothing_behind(tmp_path: Path) -> None:
    assert opened([], tmp_path, SETTINGS) == []
    assert not list(tmp_path.iterdir())


def test_an_unknown_tracker_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'comet'; choose from tensorboard, wandb, mlflow"):
        opened(["comet"], tmp_path, SETTINGS)


def _really(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begins, ends and resumes a run with the package itself."""
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=f"{name} failed")
        _told(folder, name)
        before = _ids(folder)
        _told(folder, name, resume=True)
    assert _ids(folder) == before


def test_tensorboard_itself_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    _really(tmp_path, "tensorboard", monkeypatch)
    found = events.EventAccumulator(str(tmp_path)).Reload()
    assert {(e.step, e.value) for e in found.Scalars("step/sdm")} == {(50, 2.0), (100, 1.0)}


def test_wandb_itself_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    _really(tmp_path, "wandb", monkeypatch)
    written = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert {file.stem for file in written} == {f"run-{_ids(tmp_path)['wandb']}"}
    assert b"step/sdm" in written[0].read_bytes()


def test_mlflow_itself_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlalchemy")
    mlflow = pytest.importorskip("mlflow")
    _really(tmp_path, "mlflow", monkeypatch)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    run = client.get_run(_ids(tmp_path)["mlflow"])
    assert run.data.params == {name: str(value) for name, value in FLAT.items()}
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "step/sdm")
    assert {(m.step, m.value) for m in history} == {(50, 2.0), (100, 1.0)}
