"""Three levels of difficulty: how small, blurred, crowded and badly lit the pictures are."""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Level:
    """Spans are drawn from evenly; chances are probabilities per picture.

    `height` is of the crop in pixels, small ones more often; `blur`, `noise` and `jitter` scale
    those of the camera and of the detector; `exposure` scales brightness and `cast` is the
    deviation of each channel's gain; `twins` and `twinned` say how many look-alikes a person
    gets, and what share of people get them.
    """

    height: tuple[int, int]
    blur: float
    noise: float
    quality: tuple[int, int]
    jitter: float
    occluder: float
    passers_by: float
    exposure: Span
    cast: float
    twins: int
    twinned: float


LEVELS: dict[str, Level] = {
    "easy": Level(
        height=(256, 384),
        blur=0.5,
        noise=0.5,
        quality=(80, 95),
        jitter=0.4,
        occluder=0.0,
        passers_by=0.15,
        exposure=(0.94, 1.08),
        cast=0.015,
        twins=1,
        twinned=0.2,
    ),
    "medium": Level(
        height=(128, 320),
        blur=1.0,
        noise=1.0,
        quality=(55, 90),
        jitter=1.0,
        occluder=0.15,
        passers_by=0.40,
        exposure=(0.80, 1.18),
        cast=0.04,
        twins=1,
        twinned=0.6,
    ),
    "hard": Level(
        height=(64, 176),
        blur=1.5,
        noise=1.5,
        quality=(25, 70),
        jitter=1.9,
        occluder=0.40,
        passers_by=0.70,
        exposure=(0.58, 1.35),
        cast=0.09,
        twins=3,
        twinned=1.0,
    ),
}

# After dark a picture is never exposed below this, or it would show nothing.
DARKEST_NIGHT_EXPOSURE = 0.70
