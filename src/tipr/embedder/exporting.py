"""An encoder as ONNX graphs, in float32, half precision and 8 bits.

Half precision keeps weights in 16 bits; OpenVINO computes it in bfloat16 or float16 where the
machine has them. In 8 bits every product with weights is one of integers: weights channel by
channel, what flows into them with ranges seen on calibration pictures and sentences (Jacob et al.,
CVPR 2018); attention itself stays in float32.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tipr.embedder.bundle import find_bundle, is_bundle
from tipr.embedder.embedder import Embedder, Picture
from tipr.embedder.graphs import Graphs, Way, file_of, sha256
from tipr.embedder.runtime import Precision, silent
from tipr.encoders.encoder import MODALITIES, Encoder, Modality

_BATCH = 16  # pictures or sentences of one calibration step
_PRODUCTS = ["MatMul", "Gemm", "Conv"]
_GIVEN: dict[Modality, str] = {"image": "pixels", "text": "tokens"}

Batches = dict[Modality, list[np.ndarray]]


def graph_files(
    embedder: Embedder, folder: Path, precisions: Sequence[Precision], calibration: Batches
) -> None:
    """Writes `image.fp32.onnx` and so on into the folder.

    Raises:
        ImportError: the extra `onnx` is not installed.
        ValueError: 8 bits are wanted and there is nothing to calibrate with.
    """
    _check_installed()
    if "int8" in precisions and not all(calibration.values()):
        raise ValueError("int8 is calibrated on pictures and sentences; name a folder of your own "
                         "crops with --crops, or a dataset with --data")  # fmt: skip
    encoder = deepcopy(embedder.encoder).cpu().eval()
    for modality in MODALITIES:
        plain = folder / file_of(modality, "fp32")
        _write(encoder, modality, plain)
        if "fp16" in precisions:
            _write_half(plain, folder / file_of(modality, "fp16"))
        if "int8" in precisions:
            _write_int8(plain, folder / file_of(modality, "int8"), calibration[modality])
        if "fp32" not in precisions:
            plain.unlink()


def calibration(embedder: Embedder, pictures: Iterable[Picture], texts: Sequence[str]) -> Batches:
    """What the encoder reads, in batches."""
    pixels = embedder.pixels(pictures)
    rows = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    return {
        "image": [some.numpy() for some in pixels.split(_BATCH)],
        "text": [embedder.tokenizer(some).numpy() for some in rows],
    }


def write_bundle(embedder: Embedder, out: Path, folder: Path, ways: Sequence[Way]) -> None:
    """The model with the graphs of the folder, which is moved; the first way is the first choice.

    What else the bundle holds that it was loaded from comes along.

    Raises:
        ValueError: `out` holds anything but a model.
        OSError: it could not be written; a model that was there is intact.
    """
    sums = {path.name: sha256(path) for path in sorted(folder.glob("*.onnx"))}
    Graphs(of=embedder.fingerprint, ways=tuple(ways), sha256=sums).write(folder)
    source = embedder.source
    embedder.save(out, folder, find_bundle(source) if source and is_bundle(source) else None)


class _Tower(nn.Module):
    """What an encoder does to one modality, as a module of its own."""

    def __init__(self, encoder: Encoder, modality: Modality) -> None:
        super().__init__()
        self.encoder = encoder
        self.embed = encoder.embed_image if modality == "image" else encoder.embed_text

    def forward(self, batch: Tensor) -> Tensor:
        return self.embed(batch)


def _write(encoder: Encoder, modality: Modality, path: Path) -> None:
    """Any number of rows, and sentences of any length that the encoder reads."""
    rows = torch.export.Dim("rows", min=1, max=4096)
    shape: dict[int, Any] = {0: rows}
    if modality == "image":
        sample = torch.zeros(3, 3, *encoder.image_size)
    else:
        shape[1] = torch.export.Dim("length", min=2, max=encoder.config.text_length)
        sample = torch.full((3, 5), getattr(encoder.config, "end_id", 3))
    tower = _Tower(encoder, modality)
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            tower, (sample,), path, dynamo=True, dynamic_shapes={"batch": shape},
            input_names=[_GIVEN[modality]], output_names=["vectors"], external_data=False,
            verbose=False,
        )  # fmt: skip


def _write_half(plain: Path, path: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with _quiet():
        onnx.save(convert_float_to_float16(onnx.load(plain), keep_io_types=True), path)


def _write_int8(plain: Path, path: Path, batches: list[np.ndarray]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(CalibrationDataReader):
        def __init__(self, name: str) -> None:
            self._rest: Iterator[dict[str, np.ndarray]] = iter({name: one} for one in batches)

        def get_next(self) -> Any:
            return next(self._rest, None)

    given = _GIVEN["image" if batches[0].ndim == 4 else "text"]
    with _quiet(), tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared, path, Batches(given), per_channel=True, op_types_to_quantize=_PRODUCTS,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            nodes_to_exclude=_without_weights(prepared),
            extra_options={"OpTypesToExcludeOutputQuantization": _PRODUCTS},
        )  # fmt: skip


def _without_weights(path: Path) -> list[str]:
    """The products of two things that are worked out, as in attention."""
    import onnx

    graph = onnx.load(path).graph
    weights = {one.name for one in graph.initializer}
    return [n.name for n in graph.node if n.op_type == "MatMul" and n.input[1] not in weights]


@contextmanager
def _quiet() -> Generator[None]:
    """Exporters and quantisers talk to their own developers."""
    loggers = [logging.getLogger(n) for n in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401

        silent("onnxruntime")
    except ImportError as error:
        raise ImportError("exporting needs: pip install 'tipr[onnx]'") from error
