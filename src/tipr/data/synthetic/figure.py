"""A figure is a person in a pose: what every patch of skin or cloth is measured against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tipr.data.synthetic.body import LEG_RADIUS, Body, Outline
from tipr.data.synthetic.curves import Array
from tipr.data.synthetic.frames import leg_boxes, limb_frames, torso_frames
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.skeleton import TOWARDS_LEFT, Frame, Skeleton

LEG_SAMPLES = 30
_INTO_PELVIS = 0.012  # how far leg patches start above the hip joint, in body heights


@dataclass(frozen=True, eq=False)
class Figure:
    """One identity's body in one pose. Heights are those at rest, above the ground, in metres."""

    identity: Identity
    body: Body
    skeleton: Skeleton

    def folds(self, *name: object) -> Rng:
        """The stream that places the folds of one garment; twins share it."""
        return Rng(self.identity.key, "folds", *name)

    def torso(self, heights: ArrayLike) -> Frame:
        """Torso frames at the heights; the members have shape (n, 3)."""
        heights = np.asarray(heights, float)
        return _rows(torso_frames(heights, self.skeleton.pelvis, self.skeleton.bend))

    def torso_at(self, height: float) -> Frame:
        """The torso's frame at one height; the members have shape (3,)."""
        return Frame(*(rows[0] for rows in self.torso([height])))

    def leg(self, side: int, stations: Array) -> Frame:
        """Frames down a leg, from 0 at the hip to 1 at the ankle."""
        joints = self.skeleton.leg(side).copy()
        joints[0, 1] += _INTO_PELVIS * self.body.height
        return _rows(limb_frames(stations, joints, TOWARDS_LEFT))

    def arm(self, side: int, stations: Array) -> Frame:
        """Frames down an arm, from 0 at the shoulder to 1 at the wrist."""
        joints = self.skeleton.arm(side)
        return _rows(limb_frames(stations, joints, self.skeleton.arm_side))

    def around_legs(self, heights: Array, margin: float) -> tuple[Array, Array, Outline]:
        """Centre x, centre z and outline of the box around both legs at the heights."""
        world = heights + self.skeleton.lift
        radii = leg_radii(self.body, margin)
        rise = 0.05 * self.body.height
        left, right, back, front = leg_boxes(world, self.skeleton.limbs[0], rise, radii).T
        depth = (front - back) / 2
        outline = Outline((right - left) / 2, depth, depth)
        return (left + right) / 2, (back + front) / 2, outline


def leg_radii(body: Body, margin: float) -> Array:
    """Radii at even stations down a leg, larger by `margin` metres."""
    return LEG_RADIUS(np.linspace(0, 1, LEG_SAMPLES)) * body.limb_scale + margin


def _rows(frames: Array) -> Frame:
    return Frame(frames[:, 0], frames[:, 1], frames[:, 2], frames[:, 3])
