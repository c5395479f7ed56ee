"""CLIP's contrastive objective alone.            tipr train clip:small --data DIR --out runs/clip

tiny      tests: seconds on a CPU
small     the compact encoder, rendered people, CPU
vit_b16   the CLIP geometry (384 x 128, 77 tokens), from scratch; one 24 GB GPU
"""

from __future__ import annotations

from dataclasses import replace

from tipr.encoders.clip import CLIPConfig
from tipr.encoders.compact import CompactConfig
from tipr.methods.clip import CLIPMethodConfig
from tipr.training.experiment import DataConfig, Experiment, OptimConfig

TINY = CompactConfig(
    image_size=(64, 32), stem=(16, 32, 64), image_layers=1, text_width=64, text_layers=1,
    embedding=64,
)  # fmt: skip


def small() -> Experiment:
    return Experiment(
        encoder=CompactConfig(),
        method=CLIPMethodConfig(),
        optim=OptimConfig(epochs=5, lr=1e-3, head_lr=1e-3, warmup_epochs=0.15),
        data=DataConfig(batch_size=96, text_length=48),
    )


def tiny() -> Experiment:
    return replace(
        small(),
        encoder=TINY,
        optim=OptimConfig(epochs=3, lr=2e-3, head_lr=2e-3),
        data=DataConfig(batch_size=16, text_length=48),
    )


def vit_b16() -> Experiment:
    return replace(
        small(),
        encoder=CLIPConfig(),
        optim=OptimConfig(epochs=60, lr=1e-5, head_lr=5e-5, warmup_epochs=5),
        data=DataConfig(batch_size=64, text_length=77, workers=4),
    )
