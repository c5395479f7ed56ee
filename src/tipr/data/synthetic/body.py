"""The proportions of one body: heights, limb thickness and the outline of the torso.

Tables are in fractions of the body height, except the head's, which are in head heights. They are
drawn by hand after common anthropometric figures (a head is 0.13 of an adult's height, the crotch
at 0.46, the shoulder at 0.79). Metres, Y up; the person faces +Z and has +X at the left hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tipr.data.synthetic.curves import Array, Curve, bell
from tipr.data.synthetic.identity import Identity

TORSO_HEIGHTS = np.array(
    [0.455, 0.48, 0.515, 0.55, 0.59, 0.63, 0.67, 0.71, 0.745, 0.78, 0.805, 0.825, 0.842, 0.862]
)


class Outline(NamedTuple):
    """Half width to the sides, depth to the front and to the back."""

    width: Array
    front: Array
    back: Array

    def eased(self, ease: ArrayLike) -> Outline:
        """The outline, larger by `ease` on every side."""
        grow = np.asarray(ease)
        return Outline(self.width + grow, self.front + grow, self.back + grow)


MALE = Outline(
    np.array([60, 88, 96, 94, 87, 83, 87, 94, 100, 102, 94, 72, 44, 34]) / 1000,
    np.array([40, 58, 62, 62, 60, 60, 62, 66, 68, 60, 48, 38, 34, 33]) / 1000,
    np.array([45, 66, 74, 70, 58, 54, 57, 62, 66, 66, 60, 50, 40, 34]) / 1000,
)
FEMALE = Outline(
    np.array([60, 92, 103, 100, 85, 74, 77, 83, 87, 88, 80, 62, 36, 29]) / 1000,
    np.array([38, 55, 60, 60, 54, 50, 55, 74, 81, 60, 42, 34, 30, 28]) / 1000,
    np.array([48, 72, 83, 74, 55, 47, 50, 55, 58, 58, 53, 44, 35, 29]) / 1000,
)

# Radii along a limb, over 0 (hip, shoulder) .. 0.5 (knee, elbow) .. 1 (ankle, wrist).
_LEG_STATIONS = [0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.85, 1]
LEG_RADIUS = Curve.through(
    _LEG_STATIONS, [0.052, 0.053, 0.046, 0.038, 0.034, 0.032, 0.034, 0.026, 0.021]
)
CALF_RADIUS = Curve.through(
    _LEG_STATIONS, [0.054, 0.055, 0.046, 0.037, 0.033, 0.036, 0.041, 0.030, 0.022]
)
ARM_RADIUS = Curve.through(
    [0, 0.1, 0.3, 0.5, 0.6, 0.8, 1], [0.028, 0.0335, 0.029, 0.024, 0.0245, 0.020, 0.015]
)

HIP_HEIGHT, NECK_HEIGHT = 0.515, 0.855
THIGH, SHIN, UPPER_ARM, FOREARM = 0.245, 0.242, 0.172, 0.150
HEEL_HEIGHT = 0.055  # metres, of a high-heeled shoe


@dataclass(frozen=True, eq=False)
class Body:
    """One person's measures, in metres."""

    height: float
    female: bool
    child: bool
    senior: bool
    heels: bool
    limb: float  # thickness of the limbs relative to the tables
    head_height: float
    half_shoulders: float
    half_hips: float
    width: Curve
    front: Curve
    back: Curve

    @property
    def shoulder_height(self) -> float:
        return (0.778 if self.female else 0.786) * self.height

    @property
    def limb_scale(self) -> float:
        """Metres per unit of the limb tables."""
        return self.height * self.limb

    def outline(self, heights: ArrayLike) -> Outline:
        """The bare torso's outline at heights above the ground."""
        return Outline(self.width(heights), self.front(heights), self.back(heights))


def measure(identity: Identity) -> Body:
    """The body of a person; only sex, age, build, height and high heels matter."""
    female, child = identity.sex == "female", identity.age == "child"
    height = identity.height
    build = {"slim": 0.92, "average": 1.0, "heavy": 1.15}[identity.build]
    outline = _outline(identity, build)
    knots = TORSO_HEIGHTS * height
    shoulders = (0.085 if female else 0.099) * (0.6 + 0.4 * build) * (0.93 if child else 1.0)
    head = 0.165 if child else (0.132 if female else 0.130)
    return Body(
        height=height,
        female=female,
        child=child,
        senior=identity.age == "senior",
        heels=identity.shoes == "heels",
        limb=(0.93 if female else 1.0) * build**0.8,
        head_height=head * height,
        half_shoulders=shoulders * height,
        half_hips=(0.053 if female else 0.050) * (0.7 + 0.3 * build) * height,
        width=Curve.through(knots, outline.width * height),
        front=Curve.through(knots, outline.front * height),
        back=Curve.through(knots, outline.back * height),
    )


def _outline(identity: Identity, build: float) -> Outline:
    """The torso table of this person, in fractions of the height."""
    child = identity.age == "child"
    table = FEMALE if identity.sex == "female" and not child else MALE
    width = table.width * (0.5 + 0.5 * build) * build**0.5 * (0.96 if child else 1.0)
    front, back = table.front * build, table.back * build
    if identity.build == "heavy":
        front = front + 0.026 * bell(TORSO_HEIGHTS, 0.60, 0.06)
        width = width + 0.010 * bell(TORSO_HEIGHTS, 0.60, 0.06)
    if identity.age == "senior":
        front = front + 0.008 * bell(TORSO_HEIGHTS, 0.60, 0.05)
    return Outline(width, front, back)
