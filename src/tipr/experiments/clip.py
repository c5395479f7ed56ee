"""CLIP's contrastive objective alone.            tipr train clip:small --data DIR --out runs/clip

tiny      tests: seconds on a CPU
small     the compact encoder from random weights, rendered people, CPU; the shipped model's recipe
tuned     the same encoder from the shipped weights: the start every `small` of a method shares,
          as the field starts from CLIP; one pass over 35,000 rendered pairs is 4 minutes on two
          cores, so set optim.epochs for a smaller set
field     the settings that IRRA made usual (384 x 128, 77 tokens, Adam, 60 epochs, batch 64);
          every method's benchmark experiments change only what its paper changes. The field
          starts from OpenAI's weights: add --init-from ViT-B-16.pt, or a folder or checkpoint
          that `tipr import` reads; without it the encoder starts from random weights
cuhk_pedes  icfg_pedes  rstpreid   CLIP fine-tuned as a baseline; one 24 GB GPU

| set        | R@1 in the literature (IRRA's row)  | ours |
|------------|-------------------------------------|------|
| CUHK-PEDES | 68.19 (others print 65.73 to 71.64) |      |
| ICFG-PEDES | 56.74                               |      |
| RSTPReid   | 54.05                               |      |
"""

from __future__ import annotations

from dataclasses import replace

from tipr.data.augment import PublishedAugmentation
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.compact import CompactConfig
from tipr.methods.clip import CLIPMethodConfig
from tipr.training.experiment import DataConfig, Experiment, OptimConfig

TINY = CompactConfig(
    image_size=(64, 32), stem=(16, 32, 64), image_layers=1, text_width=64, text_layers=1,
    embedding=64,
)  # fmt: skip


SMOOTH = 0.1  # SDM's temperature in every `small`: a weak encoder is taught little by a sharp one


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


def tuned() -> Experiment:
    return replace(
        small(),
        init_from="shipped:small",
        optim=OptimConfig(epochs=1, lr=3e-4, head_lr=1e-3, warmup_epochs=0.1),
    )


def field() -> Experiment:
    return Experiment(
        encoder=CLIPConfig(),
        method=CLIPMethodConfig(),
        optim=OptimConfig(
            epochs=60, lr=1e-5, head_lr=5e-5, warmup_epochs=5, warmup_from=0.1, by_epoch=True,
            algorithm="adam", betas=(0.9, 0.999), epsilon=1e-3, weight_decay=4e-5, bias_lr=2.0,
            clip_norm=0.0,
        ),
        data=DataConfig(
            batch_size=64, tokenizer="clip", text_length=77, workers=4,
            augmentation=PublishedAugmentation(),
        ),
    )  # fmt: skip


def cuhk_pedes() -> Experiment:
    return field()


def icfg_pedes() -> Experiment:
    return field()


def rstpreid() -> Experiment:
    return field()
