"""What computes the vectors: PyTorch, or an exported graph in another engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from tipr.encoders.encoder import Encoder, Modality

Engine = Literal["openvino", "onnxruntime"]
Precision = Literal["fp32", "fp16", "int8"]
ENGINES: dict[Engine, str] = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
PYTORCH = "pytorch"
MAPPED = "pytorch:mapped"  # its weights are one file in memory for all processes

Run = Callable[[np.ndarray], np.ndarray]
Vectors = Float32[np.ndarray, "B D"]


class Runtime(Protocol):
    """Vectors as the encoder gives them, not yet of unit length."""

    name: str

    @property
    def device(self) -> torch.device: ...

    def images(self, pixels: Float[Tensor, "B 3 H W"]) -> Vectors: ...

    def texts(self, tokens: Int[Tensor, "B L"]) -> Vectors: ...


class Eager:
    """The encoder itself, wherever its weights are."""

    name = "PyTorch"

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    def images(self, pixels: Float[Tensor, "B 3 H W"]) -> Vectors:
        return self._vectors(self.encoder.embed_image, pixels)

    def texts(self, tokens: Int[Tensor, "B L"]) -> Vectors:
        return self._vectors(self.encoder.embed_text, tokens)

    def _vectors(self, embed: Callable[[Tensor], Tensor], batch: Tensor) -> np.ndarray:
        training = self.encoder.training
        self.encoder.eval()
        with torch.inference_mode():
            vectors = embed(batch.to(self.device)).float().cpu().numpy()
        self.encoder.train(training)
        return vectors


class Exported:
    """Two graphs, one for each modality, read when they are first needed.

    `check` is called with a file before it is opened, and raises ValueError if it is not to be.
    """

    def __init__(
        self,
        engine: Engine,
        precision: Precision,
        files: dict[Modality, Path],
        check: Callable[[Path], None] = lambda path: None,
    ) -> None:
        self.name = f"{ENGINES[engine]} {precision}"
        self.device = torch.device("cpu")
        self._engine, self._precision, self._files = engine, precision, files
        self._check = check
        self._opened: dict[Modality, Run] = {}
        self._lock = Lock()

    def images(self, pixels: Float[Tensor, "B 3 H W"]) -> Vectors:
        return self._run("image", pixels)

    def texts(self, tokens: Int[Tensor, "B L"]) -> Vectors:
        return self._run("text", tokens)

    def _run(self, modality: Modality, batch: Tensor) -> np.ndarray:
        with self._lock:  # an engine answers one call at a time, with all threads
            if modality not in self._opened:
                self._opened[modality] = self._open(self._files[modality])
            return self._opened[modality](batch.numpy())

    def _open(self, path: Path) -> Run:
        self._check(path)
        try:
            return _OPENERS[self._engine](path, self._precision)
        except Exception as error:  # each engine has errors of its own
            said = " ".join(str(error).split())[:200]
            raise ValueError(f"{ENGINES[self._engine]} cannot open {path} ({said}); "
                             f"add --device {PYTORCH}") from error  # fmt: skip


def silent(engine: Engine) -> Any:
    """The engine's package, kept from telling its makers that it is used."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)
    return import_module(engine)


def missing(engine: Engine) -> bool:
    """Whether the engine is not installed."""
    return find_spec(engine) is None


def does_int8(engine: Engine) -> bool:
    """Whether this machine multiplies 8-bit numbers quicker than others, as far as is known."""
    if engine == "openvino":
        return "INT8" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return True


def _openvino(path: Path, precision: Precision) -> Run:
    """Half precision is computed in what the machine has for it; the others in float32."""
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    if precision != "fp16":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    model = _core().compile_model(str(path), "CPU", settings)
    return lambda batch: np.array(model(batch)[0], np.float32)


@cache
def _core() -> Any:
    """One for the process. Each lends the thread a stack for signals and takes it back when it
    goes; of two, the one that goes last gives back a stack that is gone, and the next signal that
    is handled there kills the process."""
    return silent("openvino").Core()


def _onnxruntime(path: Path, precision: Precision) -> Run:
    onnxruntime: Any = silent("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # it only ever grows
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others compute too
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    return lambda batch: np.asarray(session.run(None, {given.name: batch})[0], np.float32)


_OPENERS: dict[Engine, Callable[[Path, Precision], Run]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
}
