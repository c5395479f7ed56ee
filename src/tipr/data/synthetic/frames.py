# ruff: noqa: PLR0913, C901
"""Kernels that find where the frames of a posed body are: torso, limbs, and skirts around legs.

A frame is four rows of three: origin, side (to the person's left), up and front. Limbs are swept
along a rounded polyline, so that knees and elbows bend without collapsing. Building and posing
call the same kernels, so a patch built on a frame returns exactly to where it was built.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tipr.data.synthetic.curves import Array
from tipr.data.synthetic.jit import kernel

# The spine's shape: how far in front of the pelvis the torso's axis lies, by height.
_SPINE_HEIGHTS = np.array([0.46, 0.58, 0.66, 0.76, 0.84, 0.87])
_SPINE_FORWARD = np.array([0, 0.006, 0.004, -0.006, -0.004, 0.006])
_JOINT_ROUNDING = 0.09  # of the limb, on either side of the knee or elbow

SQUARENESS = 2.35  # exponent of the cross-section of the torso and of skirts

# Share of the body height at which torso frames stop following the pelvis and hang straight down,
# and between which skirts pass from the hips to the legs.
LOWEST_TORSO = 0.45
SKIRT_TOP, SKIRT_FREE = 0.53, 0.44


@kernel
def ease(low: float, high: float, x: float) -> float:
    """The smooth step as one scalar."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@kernel
def _torso_frame(at: float, pelvis: Array, bend: Array, out: Array) -> None:
    """The frame at a rest height. `bend`: body height, pelvis yaw, chest yaw, lean, hip height."""
    height = bend[0]
    y = max(at, LOWEST_TORSO * height)
    t = ease(0.5 * height, 0.72 * height, y)
    yaw = bend[1] + (bend[2] - bend[1]) * t
    lean = bend[3] * t
    cos_yaw, sin_yaw, cos_lean, sin_lean = (
        math.cos(yaw),
        math.sin(yaw),
        math.cos(lean),
        math.sin(lean),
    )
    out[1, 0], out[1, 1], out[1, 2] = cos_yaw, 0.0, -sin_yaw
    out[2, 0], out[2, 1], out[2, 2] = sin_yaw * sin_lean, cos_lean, cos_yaw * sin_lean
    out[3, 0], out[3, 1], out[3, 2] = sin_yaw * cos_lean, -sin_lean, cos_yaw * cos_lean
    forward = np.interp(y / height, _SPINE_HEIGHTS, _SPINE_FORWARD) * height
    rise = y - bend[4] * height
    sag = max(LOWEST_TORSO * height - at, 0.0)
    out[0, 0] = pelvis[0] + out[3, 0] * forward
    out[0, 1] = pelvis[1] + rise * math.cos(lean * 0.62) + out[3, 1] * forward - sag
    out[0, 2] = pelvis[2] + rise * math.sin(lean * 0.62) + out[3, 2] * forward


@kernel
def _limb_point(t: float, joints: Array, point: Array, tangent: Array) -> None:
    """A point of the limb and the unit direction down it; t is 0 at the top, 0.5 at the bend."""
    r = _JOINT_ROUNDING
    w = ease(0.5 - r, 0.5 + r, t)
    upper, lower, total = 0.0, 0.0, 0.0
    for k in range(3):
        upper += (joints[1, k] - joints[0, k]) ** 2
        lower += (joints[2, k] - joints[1, k]) ** 2
    upper, lower = 1 / math.sqrt(max(upper, 1e-12)), 1 / math.sqrt(max(lower, 1e-12))
    for k in range(3):
        a, b, c = joints[0, k], joints[1, k], joints[2, k]
        if abs(t - 0.5) < r:
            q = (t - (0.5 - r)) / (2 * r)
            start, end = a + (b - a) * (1 - 2 * r), b + (c - b) * (2 * r)
            point[k] = (1 - q) * (1 - q) * start + 2 * q * (1 - q) * b + q * q * end
        elif t < 0.5:
            point[k] = a + (b - a) * t * 2
        else:
            point[k] = b + (c - b) * (t - 0.5) * 2
        tangent[k] = (b - a) * upper * (1 - w) + (c - b) * lower * w
        total += tangent[k] * tangent[k]
    total = 1 / math.sqrt(max(total, 1e-12))
    for k in range(3):
        tangent[k] *= total


@kernel
def _limb_frame(t: float, joints: Array, sideways: Array, out: Array) -> None:
    """The frame on the limb whose side is as near to `sideways` as its direction allows."""
    tangent = np.empty(3)
    _limb_point(t, joints, out[0], tangent)
    along, total = 0.0, 0.0
    for k in range(3):
        along += tangent[k] * sideways[k]
    for k in range(3):
        out[1, k] = sideways[k] - tangent[k] * along
        out[2, k] = -tangent[k]
        total += out[1, k] * out[1, k]
    total = 1 / math.sqrt(max(total, 1e-12))
    for k in range(3):
        out[1, k] *= total
    out[3, 0] = out[1, 1] * out[2, 2] - out[1, 2] * out[2, 1]
    out[3, 1] = out[1, 2] * out[2, 0] - out[1, 0] * out[2, 2]
    out[3, 2] = out[1, 0] * out[2, 1] - out[1, 1] * out[2, 0]


@kernel
def _leg_paths(legs: Array, raise_by: float, samples: int) -> Array:
    """Points (2, samples, 3) down both legs, the hips raised a little into the pelvis."""
    paths, tangent, joints = np.empty((2, samples, 3)), np.empty(3), np.empty((3, 3))
    for side in range(2):
        joints[:] = legs[side]
        joints[0, 1] += raise_by
        for i in range(samples):
            _limb_point(i / (samples - 1.0), joints, paths[side, i], tangent)
    return paths


@kernel
def _leg_at(y: float, path: Array, radii: Array) -> tuple[float, float, float]:
    """Centre x, centre z and radius of a leg at a height; constant beyond its ends."""
    last = path.shape[0] - 1
    j, f = last - 1, 1.0
    if y >= path[0, 1]:
        j, f = 0, 0.0
    else:
        for i in range(last):
            above, below = path[i, 1], path[i + 1, 1]
            if above >= y >= below:
                j, f = i, (above - y) / max(above - below, 1e-9)
                break
    x = path[j, 0] * (1 - f) + path[j + 1, 0] * f
    z = path[j, 2] * (1 - f) + path[j + 1, 2] * f
    return x, z, radii[j] * (1 - f) + radii[j + 1] * f


@kernel
def _around_legs(y: float, paths: Array, radii: Array, out: Array) -> None:
    """A box at a height, whose superellipse holds both legs: left, right, back, front.

    One leg ahead and the other behind stand in the box's corners, so the box grows then.
    """
    x0, z0, r0 = _leg_at(y, paths[0], radii)
    x1, z1, r1 = _leg_at(y, paths[1], radii)
    left, right = min(x0 - r0, x1 - r1), max(x0 + r0, x1 + r1)
    back, front = min(z0 - r0, z1 - r1), max(z0 + r0, z1 + r1)
    x, z = (left + right) / 2, (back + front) / 2
    wide, deep = max((right - left) / 2, 1e-6), max((front - back) / 2, 1e-6)
    grow = 1.0
    for cx, cz, r in ((x0, z0, r0), (x1, z1, r1)):
        dx, dz = (cx - x) / wide, (cz - z) / deep
        away = max(math.sqrt(dx * dx + dz * dz), 1e-6)
        px, pz = abs(cx - x + r * dx / away) / wide, abs(cz - z + r * dz / away) / deep
        grow = max(grow, (px**SQUARENESS + pz**SQUARENESS) ** (1 / SQUARENESS))
    out[0], out[1] = x - wide * grow, x + wide * grow
    out[2], out[3] = z - deep * grow, z + deep * grow


@kernel
def torso_frames(heights: Array, pelvis: Array, bend: Array) -> Array:
    """Frames (n, 4, 3) of the torso at rest heights (n,)."""
    out = np.empty((heights.shape[0], 4, 3))
    for i in range(heights.shape[0]):
        _torso_frame(heights[i], pelvis, bend, out[i])
    return out


@kernel
def limb_frames(stations: Array, joints: Array, sideways: Array) -> Array:
    """Frames (n, 4, 3) down a limb at stations (n,) within 0..1."""
    out = np.empty((stations.shape[0], 4, 3))
    for i in range(stations.shape[0]):
        _limb_frame(stations[i], joints, sideways, out[i])
    return out


@kernel
def leg_boxes(heights: Array, legs: Array, raise_by: float, radii: Array) -> Array:
    """Boxes (n, 4) around both legs at world heights: left, right, back, front."""
    paths = _leg_paths(legs, raise_by, radii.shape[0])
    out = np.empty((heights.shape[0], 4))
    for i in range(heights.shape[0]):
        _around_legs(heights[i], paths, radii, out[i])
    return out


@kernel
def row_frames(
    kinds: NDArray[np.int32],
    sides: NDArray[np.int32],
    stations: Array,
    pelvis: Array,
    bend: Array,
    lift: float,
    limbs: Array,
    sideways: Array,
    rigid: Array,
    neck: Array,
    radii: Array,
    built: Array,
) -> tuple[Array, Array]:
    """Frames (n, 4, 3) of the rows, and the half widths and depths (n, 2) of skirts at them.

    `limbs` (2, 2, 3, 3): legs and arms, left and right. `rigid`: head, chest, then left and right
    hand, foot and level hand. `built`: the half sizes that skirts were built with, 0 for unknown.
    Numbers of kinds are those of `FrameKind`.
    """
    count, height = kinds.shape[0], bend[0]
    out, sizes, box, joints = (
        np.empty((count, 4, 3)),
        np.zeros((count, 2)),
        np.empty(4),
        np.empty((3, 3)),
    )
    paths = _leg_paths(limbs[0], 0.05 * height, radii.shape[0])
    for i in range(count):
        kind, t, right, frame = kinds[i], stations[i], 0 if sides[i] >= 0 else 1, out[i]
        if kind == 0 or kind == 8:
            _torso_frame(t, pelvis, bend, frame)
            if kind == 8 and t < SKIRT_TOP * height:
                _around_legs(t + lift, paths, radii, box)
                w = ease(SKIRT_TOP * height, SKIRT_FREE * height, t)
                frame[0, 0] = frame[0, 0] * (1 - w) + (box[0] + box[1]) * 0.5 * w
                frame[0, 2] = frame[0, 2] * (1 - w) + (box[2] + box[3]) * 0.5 * w
                sizes[i, 0], sizes[i, 1] = (box[1] - box[0]) * 0.5, (box[3] - box[2]) * 0.5
                if built[i, 0] > 0:
                    wider = max(1 + w * (sizes[i, 0] / built[i, 0] - 1), 0.85)
                    deeper = max(1 + w * (sizes[i, 1] / built[i, 1] - 1), 0.85)
                    for k in range(3):
                        frame[1, k] *= wider
                        frame[3, k] *= deeper
        elif kind == 1 or kind == 2:
            joints[:] = limbs[kind - 1, right]
            if kind == 1:
                joints[0, 1] += 0.012 * height
            _limb_frame(t, joints, sideways[kind - 1], frame)
        elif kind == 7:
            frame[0] = neck
            for axis in range(1, 4):
                for k in range(3):
                    frame[axis, k] = rigid[0, axis, k] * (1 - t) + rigid[1, axis, k] * t
        elif kind == 3 or kind == 4:
            frame[:] = rigid[kind - 3]
        else:
            group = 2 if kind == 5 else (4 if kind == 6 else 6)
            frame[:] = rigid[group + right]
    return out, sizes
