"""SDM and identity loss.      tipr train clip_sdm:small --data DIR --out runs/clip_sdm

tiny      tests: seconds on a CPU
small     the compact encoder, rendered people, CPU; the recipe of the shipped model
vit_b16   the CLIP geometry (384 x 128, 77 tokens), from scratch; one 24 GB GPU
"""

from __future__ import annotations

from dataclasses import replace

from tipr.experiments import clip
from tipr.methods.clip_sdm import CLIPSDMConfig
from tipr.training.experiment import Experiment


def small() -> Experiment:
    return replace(clip.small(), method=CLIPSDMConfig(temperature=0.05))


def tiny() -> Experiment:
    return replace(clip.tiny(), method=CLIPSDMConfig(temperature=0.05))


def vit_b16() -> Experiment:
    return replace(clip.vit_b16(), method=CLIPSDMConfig())
