"""SDM and identity loss.      tipr train clip_sdm:small --data DIR --out runs/clip_sdm

tiny      tests: seconds on a CPU
small     the compact encoder from the shipped weights, rendered people, CPU
cuhk_pedes  icfg_pedes  rstpreid   one 24 GB GPU; IRRA without its masked language modelling

| set        | R@1 (IRRA's ablation, SDM over InfoNCE) | ours |
|------------|-----------------------------------------|------|
| CUHK-PEDES | 70.4 to 73.4                            |      |
| ICFG-PEDES | -                                       |      |
| RSTPReid   | -                                       |      |
"""

from __future__ import annotations

from dataclasses import replace

from tipr.experiments import clip
from tipr.methods.clip_sdm import CLIPSDMConfig
from tipr.training.experiment import Experiment


def small() -> Experiment:
    return replace(clip.tuned(), method=CLIPSDMConfig(temperature=clip.SMOOTH))


def tiny() -> Experiment:
    return replace(clip.tiny(), method=CLIPSDMConfig(temperature=0.05))


def cuhk_pedes() -> Experiment:
    return replace(clip.field(), method=CLIPSDMConfig())


def icfg_pedes() -> Experiment:
    return cuhk_pedes()


def rstpreid() -> Experiment:
    return cuhk_pedes()
