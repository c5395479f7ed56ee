"""Where the joints of a body in a pose are, with the lowest sole on the ground.

The gait is a table of hip, knee and foot angles over one step cycle, as in clinical gait charts;
arms swing against the legs, or reach for a place with two bones and the elbow outward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tipr.data.synthetic.body import (
    FOREARM,
    HEEL_HEIGHT,
    HIP_HEIGHT,
    NECK_HEIGHT,
    SHIN,
    THIGH,
    UPPER_ARM,
    Body,
)
from tipr.data.synthetic.curves import (
    TAU,
    UP,
    Array,
    cross,
    length,
    perpendicular,
    product,
    rotation,
    unit,
)
from tipr.data.synthetic.frames import torso_frames
from tipr.data.synthetic.pose import Pose, Reach, Swing

LEFT, RIGHT = 1, -1
SIDES = (LEFT, RIGHT)
TOWARDS_LEFT: Array = np.array([1.0, 0.0, 0.0])

# Degrees over one cycle that begins when the foot lands; the knee is 2 degrees short of straight.
_PHASES = [0, 0.12, 0.3, 0.5, 0.6, 0.72, 0.85, 1.0]
_HIP = [27, 20, 4, -13, -6, 14, 27, 27]
_KNEE = [4, 15, 5, 10, 34, 58, 30, 4]
_FOOT = [16, 0, 0, -14, -42, -30, 4, 16]


class Frame(NamedTuple):
    """A place with three axes: to the person's left, up, and front."""

    origin: Array
    side: Array
    up: Array
    front: Array

    def at(self, left: float, up: float, ahead: float) -> Array:
        """The world point of local coordinates."""
        return self.origin + self.side * left + self.up * up + self.front * ahead


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Joints in metres; limbs have rows hip, knee, ankle or shoulder, elbow, wrist."""

    pelvis: Array
    bend: Array  # body height, pelvis yaw, chest yaw, lean, hip height as a fraction
    lift: float  # how far the body was raised to stand on the ground
    limbs: Array  # (2, 2, 3, 3): legs and arms, left and right
    feet: tuple[Frame, Frame]  # under the ankle, at the sole
    head: Frame  # at the chin
    chest: Frame  # between the shoulders
    neck: Array

    def leg(self, side: int) -> Array:
        return self.limbs[0, 0 if side > 0 else 1]

    def arm(self, side: int) -> Array:
        return self.limbs[1, 0 if side > 0 else 1]

    def foot(self, side: int) -> Frame:
        return self.feet[0 if side > 0 else 1]

    @property
    def arm_side(self) -> Array:
        """The direction, across the chest, that sleeves keep at their side."""
        return self.chest.side + 0.15 * self.chest.front

    def hand(self, side: int) -> Frame:
        """At the wrist, up towards the elbow."""
        _, elbow, wrist = self.arm(side)
        up = unit(elbow - wrist)
        across = perpendicular(self.arm_side, up)
        return Frame(wrist, across, up, cross(across, up))

    def level_hand(self, side: int) -> Frame:
        """At the wrist, upright, facing where the chest faces."""
        ahead = unit(self.chest.front * np.array([1.0, 0.0, 1.0]))
        return Frame(self.arm(side)[2], cross(UP, ahead), UP, ahead)

    def rigid(self) -> Array:
        """Frames (8, 4, 3): head, chest, then left and right hand, foot and level hand."""
        hands = [self.hand(side) for side in SIDES]
        level = [self.level_hand(side) for side in SIDES]
        return np.array([self.head, self.chest, *hands, *self.feet, *level])


def stand(body: Body, pose: Pose) -> Skeleton:
    """The skeleton in the pose, standing or walking on the ground y = 0."""
    legs, feet, lowest = _legs(body, pose)
    raised = np.array([0.0, -lowest, 0.0])
    pelvis = np.array([0.0, HIP_HEIGHT * body.height - lowest, 0.0])
    bend = _bend(body, pose)
    chest = torso_frame(body.shoulder_height, pelvis, bend)
    neck = torso_frame(NECK_HEIGHT * body.height, pelvis, bend)
    arms = [_arm(body, pose, side, chest) for side in SIDES]
    return Skeleton(
        pelvis=pelvis,
        bend=bend,
        lift=-lowest,
        limbs=np.array([legs, arms]) + np.array([raised, np.zeros(3)])[:, None, None],
        feet=(_raise(feet[0], raised), _raise(feet[1], raised)),
        head=_head(body, pose, neck, bend[3]),
        chest=chest,
        neck=neck.origin,
    )


def torso_frame(at: float, pelvis: Array, bend: Array) -> Frame:
    """The torso's frame at one rest height."""
    return Frame(*torso_frames(np.array([at]), pelvis, bend)[0])


def _raise(frame: Frame, by: Array) -> Frame:
    return frame._replace(origin=frame.origin + by)


def _bend(body: Body, pose: Pose) -> Array:
    pelvis_yaw = -math.radians(6) * pose.stride * math.cos(TAU * pose.phase)
    chest_yaw = -1.1 * pelvis_yaw + pose.twist
    lean = pose.lean + (0.16 if body.senior else 0.0)
    return np.array([body.height, pelvis_yaw, chest_yaw, lean, HIP_HEIGHT])


def _legs(body: Body, pose: Pose) -> tuple[list[Array], list[Frame], float]:
    """Joints and feet of both legs with the hips at rest height, and the lowest sole's height."""
    height, legs, feet, lowest = body.height, [], [], math.inf
    for side in SIDES:
        phase = (pose.phase + (0.0 if side > 0 else 0.5)) % 1
        swing, knee, tilt = (
            math.radians(float(np.interp(phase, _PHASES, table))) * pose.stride
            for table in (_HIP, _KNEE, _FOOT)
        )
        shank = swing - knee - math.radians(2)
        outward = math.sin(math.radians(pose.spread)) * side
        hip = np.array([side * body.half_hips, HIP_HEIGHT * height, 0.0])
        down = unit(np.array([outward, -math.cos(swing), math.sin(swing)]))
        middle = hip + down * (THIGH * height)
        down = unit(np.array([outward * 0.3, -math.cos(shank), math.sin(shank)]))
        ankle = middle + down * (SHIN * height)
        foot = _foot(ankle, height, tilt - (0.45 if body.heels else 0), pose.toe_out * side)
        for along in (-0.03, 0.11):
            lowest = min(lowest, foot.at(0, 0, along * height)[1])
        if body.heels:
            lowest = min(lowest, foot.at(0, 0, -0.03 * height)[1] - HEEL_HEIGHT * 0.9)
        legs.append(np.array([hip, middle, ankle]))
        feet.append(foot)
    return legs, feet, lowest


def _foot(ankle: Array, height: float, tilt: float, toe_out: float) -> Frame:
    """The sole's frame; `tilt` lifts the toes (radians), `toe_out` turns them (degrees)."""
    turn = math.radians(toe_out)
    ahead = np.array(
        [math.sin(turn) * math.cos(tilt), math.sin(tilt), math.cos(turn) * math.cos(tilt)]
    )
    up = perpendicular(np.array([0.0, math.cos(tilt), -math.sin(tilt)]), ahead)
    return Frame(ankle - up * (0.045 * height), cross(up, ahead), up, ahead)


def _arm(body: Body, pose: Pose, side: int, chest: Frame) -> Array:
    shoulder = chest.origin + chest.side * (side * body.half_shoulders)
    arm = pose.arm(side)
    if isinstance(arm, Reach):
        return _reach(body, arm, side, chest, shoulder)
    return _swing(body, arm, side, pose, chest, shoulder)


def _swing(body: Body, arm: Swing, side: int, pose: Pose, chest: Frame, shoulder: Array) -> Array:
    phase = pose.phase + (0.0 if side > 0 else 0.5)
    gait = math.radians(-20 * pose.stride * math.cos(TAU * phase))
    forward = gait + math.radians(arm.forward)
    outward, bent = math.radians(arm.outward), forward + math.radians(arm.bend)
    aside, down = side * math.sin(outward), math.cos(outward)
    upper = np.array([aside, -down * math.cos(forward), down * math.sin(forward)])
    lower = unit(np.array([aside * 0.35, -math.cos(bent), math.sin(bent)]))
    axes = np.array(chest[1:])
    elbow = shoulder + product(upper, axes) * (UPPER_ARM * body.height)
    return np.array([shoulder, elbow, elbow + product(lower, axes) * (FOREARM * body.height)])


def _reach(body: Body, arm: Reach, side: int, chest: Frame, shoulder: Array) -> Array:
    """Two-bone inverse kinematics by the cosine rule; a target too far is reached for straight."""
    upper, lower = UPPER_ARM * body.height, FOREARM * body.height
    target = chest.at(*(body.height * np.array([side * arm.outward, arm.up, arm.forward])))
    away = target - shoulder
    distance = max(length(away), abs(upper - lower) + 1e-6)
    direction = unit(away) if length(away) > 1e-6 else -chest.up
    distance = min(distance, (upper + lower) * 0.995)
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    cosine = max(-1.0, min(1.0, cosine))
    out = product(np.array([side * 0.75, -0.6, -0.5]), np.array(chest[1:]))
    elbow = shoulder + direction * (upper * cosine)
    elbow = elbow + perpendicular(out, direction) * (upper * math.sqrt(1 - cosine * cosine))
    return np.array([shoulder, elbow, shoulder + direction * distance])


def _head(body: Body, pose: Pose, neck: Frame, lean: float) -> Frame:
    turn = rotation(pose.head_yaw, -0.75 * lean + pose.head_pitch)
    side, up, front = product(turn.T, np.array(neck[1:]))
    height = body.height
    if body.child:
        return Frame(neck.origin + up * (0.01 * height), side, up, front)
    rise = height - body.head_height - NECK_HEIGHT * height
    ahead = 0.012 * height - 0.02 * body.head_height
    return Frame(neck.origin + up * rise + front * ahead, side, up, front)
