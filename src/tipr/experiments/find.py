"""From a name to an experiment: `clip_sdm:small`, or `./mine.py:ablation` for one's own."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

import tipr.experiments
from tipr.experiments.table import Table
from tipr.training.experiment import Experiment


def experiment_names() -> list[str]:
    """Every experiment of the package."""
    return [f"{n}:{name}" for n, module in _modules() for name in _returning(Experiment, module)]


def table_names() -> list[str]:
    """Every module of experiments with an `ablation`."""
    return [name for name, module in _modules() if "ablation" in _returning(Table, module)]


def find_table(name: str) -> Table:
    """The ablation of a method; or of `./FILE.py`. Raises ValueError when there is none."""
    if name.endswith(".py"):
        module = _from_file(Path(name))
    elif name in table_names():
        module = importlib.import_module(f"tipr.experiments.{name}")
    else:
        raise ValueError(f"there is no ablation {name!r}; choose one of {', '.join(table_names())}")
    table = module.ablation() if "ablation" in _returning(Table, module) else None
    if not isinstance(table, Table):
        raise ValueError(f"{name} defines no function `ablation() -> Table`")
    return table


def find_experiment(name: str) -> Experiment:
    """Raises ValueError, with the closest name, when there is no such experiment."""
    module, colon, function = name.rpartition(":")
    if not colon:
        raise ValueError(f"{name!r} is no experiment; its form is MODULE:FUNCTION{_hint(name)}")
    if module.endswith(".py"):
        return _called(_from_file(Path(module)), function, name)
    if name not in experiment_names():
        raise ValueError(f"there is no experiment {name!r}{_hint(name)}; `tipr show` lists them")
    return _called(importlib.import_module(f"tipr.experiments.{module}"), function, name)


def _modules() -> list[tuple[str, ModuleType]]:
    """The modules of experiments, this one and `table` left out."""
    names = [info.name for info in pkgutil.iter_modules(tipr.experiments.__path__)]
    return [(n, importlib.import_module(f"tipr.experiments.{n}"))
            for n in names if n not in ("find", "table")]  # fmt: skip


def _returning(kind: type, module: ModuleType) -> list[str]:
    """The module's own public functions that promise a value of this kind."""
    members = inspect.getmembers(module, inspect.isfunction)
    own = [(n, f) for n, f in members if f.__module__ == module.__name__ and not n.startswith("_")]
    return [n for n, f in own if f.__annotations__.get("return") in (kind, kind.__name__)]


def _hint(name: str) -> str:
    near = get_close_matches(name, experiment_names(), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"tipr_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _called(module: ModuleType, function: str, name: str) -> Experiment:
    make = getattr(module, function, None)
    if not callable(make):
        raise ValueError(f"{name}: the file defines no function {function!r}")
    experiment = make()
    if not isinstance(experiment, Experiment):
        raise ValueError(f"{name} returns {type(experiment).__name__}, not an Experiment")
    return experiment
