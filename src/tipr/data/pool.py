"""A pool of image changes, of which every picture gets two (TBPS-CLIP, Cao et al., AAAI 2024).

Each change also stands alone: `ImagePool(names=("rotation",), draws=1)`, or the function on a
batch. Each row of a batch draws for itself, and a change is computed for all rows that drew it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tipr.data.augment import Images, turned_over, uniform
from tipr.data.wording import check_shares, reworded

Name = Literal["jitter", "rotation", "crop", "grey", "flip", "erasing"]
Range = tuple[float, float]
_TRIES = 10  # boxes that are drawn until one fits, as torchvision does
_LUMINANCE = (0.2989, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class ImagePool:
    """Every picture gets `draws` changes, any of them more than once, in the order drawn.

    Ranges and chances are those of the released code, which leaves the sentence of a flipped
    picture as it is; `mirror=False` does so too. A drawn flip, grey or erasing comes to nothing as
    often as its chance says. What a turn or an erasing uncovers is black.
    """

    names: tuple[Name, ...] = get_args(Name)
    draws: int = 2
    strength: float = 0.1  # of jitter: brightness, contrast and saturation
    degrees: float = 15.0  # of rotation, either way
    cropped_area: Range = (0.9, 1.0)  # of the picture
    cropped_shape: Range = (3 / 4, 4 / 3)  # height to width, both of the picture's own
    grey: float = 0.1
    turn_over: float = 0.5
    erase: float = 0.5
    erased_area: Range = (0.1, 0.2)
    erased_shape: Range = (0.3, 3.3)  # height to width
    mirror: bool = True  # exchange left and right where the picture is flipped
    drop_words: float = 0.0  # published: 0.05
    shuffle_clauses: float = 0.0

    def __post_init__(self) -> None:
        if not self.names or set(self.names) - set(get_args(Name)):
            raise ValueError(f"data.augmentation.names are some of {', '.join(get_args(Name))}, "
                             f"not {', '.join(self.names) or 'none'}")  # fmt: skip
        if not 1 <= self.draws <= 4:
            raise ValueError(f"data.augmentation.draws is from 1 to 4, not {self.draws}")
        shares = ("strength", "grey", "turn_over", "erase", "drop_words", "shuffle_clauses")
        check_shares(self, *shares)

    @property
    def flip(self) -> float:
        """The chance that a picture ends up mirrored: an odd number of its draws turn it over."""
        _, chances, mirroring = self._outcomes()
        return float(chances[mirroring].sum())

    def images(self, images: Images, flipped: Bool[Tensor, " B"]) -> Images:
        """Mirrored where it says so, and otherwise changed as draws with that outcome are."""
        images, drawn = turned_over(images, flipped), self._drawn(flipped)
        for draw in drawn.unbind(1):
            for number, name in enumerate(self.names):
                rows = (draw == number).nonzero()[:, 0]
                if name != "flip" and len(rows):
                    images[rows] = self._changed(name, images[rows])
        return images

    def caption(self, caption: str, flipped: bool) -> str:
        return reworded(caption, flipped and self.mirror, self.drop_words, self.shuffle_clauses)

    def _drawn(self, flipped: Bool[Tensor, " B"]) -> Int[Tensor, "B D"]:
        draws, chances, mirroring = self._outcomes()
        fitting = torch.where(flipped[:, None] == mirroring, chances, 0.0)
        return draws[torch.multinomial(fitting, 1)[:, 0]]

    def _outcomes(self) -> tuple[Int[Tensor, "N D"], Float[Tensor, " N"], Bool[Tensor, " N"]]:
        """All that a picture's draws can be, how likely, and whether it ends up mirrored.

        A draw is the number of a name; one number more is a flip that turns the picture over.
        """
        count, flips = len(self.names), self.names.count("flip")
        each = [1 - self.turn_over if name == "flip" else 1.0 for name in self.names]
        chances = torch.tensor([*each, flips * self.turn_over], dtype=torch.float64) / count
        draws = torch.tensor(list(product(range(count + 1), repeat=self.draws)))
        return draws, chances[draws].prod(1), (draws == count).sum(1) % 2 == 1

    def _changed(self, name: Name, images: Images) -> Images:
        match name:
            case "jitter":
                return jittered(images, self.strength)
            case "rotation":
                return rotated(images, self.degrees)
            case "crop":
                return cropped(images, self.cropped_area, self.cropped_shape)
            case "grey":
                return greyed(images, self.grey)
            case "erasing":
                return erased(images, self.erase, self.erased_area, self.erased_shape)
        return images


def jittered(images: Images, strength: float) -> Images:
    """Brightness, contrast and saturation up to `strength` more or less, no hue shift.

    Their order, random as released, matters only where values are cut off at black or white.
    """
    light, contrast, saturation = (1 + strength * uniform(3, len(images), 1, 1, 1)).unbind()
    grey = _luminance(images)
    middle = grey.mean(dim=(1, 2, 3), keepdim=True)
    images = (images * saturation).add_(grey * (1 - saturation))
    return images.mul_(contrast).add_(middle * (1 - contrast)).mul_(light).clamp_(0, 1)


def rotated(images: Images, degrees: float) -> Images:
    """Turned about the centre, up to this far either way, by nearest pixels as released."""
    height, width = images.shape[-2:]
    angle = math.radians(degrees) * uniform(len(images))
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = -angle.sin() * height / width, angle.sin() * width / height
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def cropped(images: Images, area: Range, shape: Range) -> Images:
    """A part, enlarged to the whole: a random resized crop.

    As released when the picture is square, as TBPS-CLIP's are; for another size shape is height to
    width, each as a share of the picture's.
    """
    top, left, high, wide, found = _boxes(len(images), area, shape)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = wide, 2 * left + wide - 1
    theta[:, 1, 1], theta[:, 1, 2] = high, 2 * top + high - 1
    theta[~found] = torch.eye(2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def greyed(images: Images, chance: float) -> Images:
    """Without colour, with this chance."""
    chosen, images = torch.rand(len(images)) < chance, images.clone()
    images[chosen] = _luminance(images[chosen]).expand(-1, 3, -1, -1)
    return images


def erased(images: Images, chance: float, area: Range, shape: Range) -> Images:
    """A box of this area (a share) and shape (height to width) turns black, with this chance."""
    height, width = images.shape[-2:]
    top, left, high, wide, found = _boxes(len(images), area, shape, width / height)
    rows = _within((torch.arange(height) + 0.5) / height, top, high)
    columns = _within((torch.arange(width) + 0.5) / width, left, wide)
    hidden = rows[:, None, :, None] & columns[:, None, None, :]
    hidden &= (found & (torch.rand(len(images)) < chance))[:, None, None, None]
    return images.masked_fill(hidden, 0)


def _luminance(images: Images) -> Float[Tensor, "B 1 H W"]:
    return torch.einsum("bchw,c->bhw", images, torch.tensor(_LUMINANCE))[:, None]


def _boxes(count: int, area: Range, shape: Range, own: float = 1.0) -> tuple[Tensor, ...]:
    """Top, left, height and width of a box each, as shares of a picture; and whether it fits.

    Areas are uniform and shapes log-uniform, drawn anew while the box does not fit; `own` is the
    picture's own shape, width to height, where `shape` counts pixels.
    """
    areas = area[0] + (area[1] - area[0]) * torch.rand(count, _TRIES)
    low, high = (math.log(side * own) for side in shape)
    shapes = (low + (high - low) * torch.rand(count, _TRIES)).exp()
    heights, widths = (areas * shapes).sqrt(), (areas / shapes).sqrt()
    fits = (heights <= 1) & (widths <= 1)
    first = fits.int().argmax(dim=1, keepdim=True)
    tall, wide = heights.gather(1, first)[:, 0], widths.gather(1, first)[:, 0]
    top, left = torch.rand(count) * (1 - tall), torch.rand(count) * (1 - wide)
    return top, left, tall, wide, fits.any(dim=1)


def _within(
    middles: Float[Tensor, " N"], begins: Float[Tensor, " B"], length: Float[Tensor, " B"]
) -> Bool[Tensor, "B N"]:
    return (middles >= begins[:, None]) & (middles < (begins + length)[:, None])
