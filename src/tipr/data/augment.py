"""Changes that leave the sentence true: pictures under other cameras, sentences told otherwise.

Everything draws from torch's generator, and works on a batch at once where the draws allow it. What
changes the sentences is in `wording`. Ranges follow what helps on the real benchmarks (TBPS-CLIP,
Cao et al., AAAI 2024; its own pool is in `pool`): no hue shift, since colours are named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from tipr.data.images import CLIP_MEAN, CLIP_STD
from tipr.data.wording import check_shares, reworded

Images = Float[Tensor, "B 3 H W"]


class Augmenting(Protocol):
    """What a batcher needs of an augmentation; pixels are in 0..1."""

    @property
    def flip(self) -> float: ...
    def images(self, images: Images, flipped: Bool[Tensor, " B"]) -> Images: ...
    def caption(self, caption: str, flipped: bool) -> str: ...


@dataclass(frozen=True, kw_only=True)
class PublishedAugmentation:
    """What IRRA's lineage does at 384 x 128: flip, pad 10 and crop, erase; sentences stay.

    Faithful to two quirks: a flipped picture keeps the sentence that says left and right, and
    the mean that fills a box is not normalised as the rest of the picture is.
    """

    flip: float = 0.5
    pad: int = 10  # pixels, black
    erase: float = 0.5
    erased_area: tuple[float, float] = (0.02, 0.4)  # of the picture
    erased_shape: tuple[float, float] = (0.3, 3.3)  # height to width
    noise: bool = False  # erase with noise (IVT) in place of one colour
    mirror: bool = False  # exchange left and right where the picture is flipped
    drop_words: float = 0.0
    shuffle_clauses: float = 0.0

    def __post_init__(self) -> None:
        check_shares(self, "flip", "erase", "drop_words", "shuffle_clauses")

    def images(self, images: Images, flipped: Bool[Tensor, " B"]) -> Images:
        height, width = images.shape[-2:]
        padded, out = F.pad(images, [self.pad] * 4), torch.empty_like(images)
        padded[flipped] = padded[flipped].flip(-1)
        for image, wide in zip(out, padded, strict=True):
            top, left = torch.randint(2 * self.pad + 1, (2,)).tolist()
            image.copy_(wide[:, top : top + height, left : left + width])
            self._erase(image)
        return out

    def caption(self, caption: str, flipped: bool) -> str:
        return reworded(caption, flipped and self.mirror, self.drop_words, self.shuffle_clauses)

    def _erase(self, image: Float[Tensor, "3 H W"]) -> None:
        if torch.rand(()) >= self.erase:
            return
        height, width = image.shape[-2:]
        for _ in range(10):  # a box that does not fit is drawn anew
            h, w = self._box(height * width)
            if 0 < h < height and 0 < w < width:
                top = int(torch.randint(height - h + 1, ()))
                left = int(torch.randint(width - w + 1, ()))
                image[:, top : top + h, left : left + w] = self._fill(h, w)
                return

    def _box(self, pixels: int) -> tuple[int, int]:
        """Height and width of what is erased."""
        area = pixels * float(torch.empty(()).uniform_(*self.erased_area))
        logs = [math.log(shape) for shape in self.erased_shape]
        shape = math.exp(float(torch.empty(()).uniform_(*logs)))
        return round((area * shape) ** 0.5), round((area / shape) ** 0.5)

    def _fill(self, height: int, width: int) -> Float[Tensor, "3 _ _"]:
        """What CLIP's normalisation turns into its own mean (as released), or into white noise."""
        mean, std = (torch.tensor(x)[:, None, None] for x in (CLIP_MEAN, CLIP_STD))
        return mean + std * (torch.randn(3, height, width) if self.noise else mean)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far pictures (0..1 pixels) and sentences may wander during training."""

    flip: float = 0.5  # with left and right exchanged in the sentence
    shift: float = 0.08  # of the picture's size
    zoom: float = 0.15
    turn: float = 0.06  # radians
    light: float = 0.2  # brightness and contrast
    saturation: float = 0.3
    cast: float = 0.06  # of each colour channel
    blur: float = 0.3
    noise: float = 0.03
    erase: float = 0.3
    drop_words: float = 0.06
    shuffle_clauses: float = 0.0  # of the captions

    def __post_init__(self) -> None:
        check_shares(self, "flip", "blur", "erase", "drop_words", "shuffle_clauses")

    def images(self, images: Images, flipped: Bool[Tensor, " B"]) -> Images:
        images = self._moved(turned_over(images, flipped))  # a new tensor, changed in place below
        self._light(images)
        self._blur(images)
        strength = self.noise * torch.rand(len(images), 1, 1, 1)
        images += torch.randn_like(images).mul_(strength)
        self._erase(images.clamp_(0, 1))
        return images

    def caption(self, caption: str, flipped: bool) -> str:
        return reworded(caption, flipped, self.drop_words, self.shuffle_clauses)

    def _moved(self, images: Images) -> Images:
        count, _, height, width = images.shape
        angle = self.turn * uniform(count)
        scale = 1 + self.zoom * uniform(count, 2)
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0] * angle.cos(), scale[:, 1] * angle.cos()
        theta[:, 0, 1] = -angle.sin() * height / width
        theta[:, 1, 0] = angle.sin() * width / height
        theta[:, :, 2] = 2 * self.shift * uniform(count, 2)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _light(self, images: Images) -> None:
        count = len(images)
        grey = images.mean(dim=1, keepdim=True)
        images.sub_(grey).mul_(1 + self.saturation * _each(count)).add_(grey)
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images.sub_(middle).mul_(1 + self.light * _each(count)).add_(middle)
        images *= 1 + self.cast * uniform(count, 3)[:, :, None, None]
        gamma = (self.light * _each(count)).exp()
        images.mul_(1 + self.light * _each(count)).clamp_(1e-3, 1).pow_(gamma)

    def _blur(self, images: Images) -> None:
        """Some pictures lose resolution and get it back by interpolation."""
        chosen = torch.rand(len(images)) < self.blur
        if not chosen.any():
            return
        height, width = images.shape[-2:]
        factor = 0.25 + 0.5 * float(torch.rand(()))
        small = (max(int(height * factor), 8), max(int(width * factor), 4))
        coarse = F.interpolate(images[chosen], small, mode="area")
        images[chosen] = F.interpolate(coarse, (height, width), mode="bilinear")

    def _erase(self, images: Images) -> None:
        """A box of some pictures is hidden behind a flat colour (Zhong et al., AAAI 2020)."""
        count, _, height, width = images.shape
        centre, size = torch.rand(count, 2, 1), 0.05 + 0.3 * torch.rand(count, 2, 1)
        rows = ((torch.arange(height) / height)[None] - centre[:, 0]).abs() < size[:, 0] / 2
        columns = ((torch.arange(width) / width)[None] - centre[:, 1]).abs() < size[:, 1]
        hidden = rows[:, None, :, None] & columns[:, None, None, :]
        hidden &= (torch.rand(count) < self.erase)[:, None, None, None]
        torch.where(hidden, torch.rand(count, 3, 1, 1), images, out=images)


def turned_over(images: Images, flipped: Bool[Tensor, " B"]) -> Images:
    """A copy in which these pictures are mirrored."""
    images = images.clone()
    images[flipped] = images[flipped].flip(-1)
    return images


def uniform(*shape: int) -> Tensor:
    """Values from -1 to 1."""
    return 2 * torch.rand(*shape) - 1


def _each(count: int) -> Float[Tensor, "B 1 1 1"]:
    return uniform(count)[:, None, None, None]
