"""Simple solids as patches: tubes, cylinders, cords, boxes, ellipsoids and ribbons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tipr.data.synthetic.curves import Array, Array32, length, product, unit, unit_rows
from tipr.data.synthetic.mesh import (
    Patch,
    Rings,
    RowFrame,
    column_angles,
    grid_tangents,
    loft,
    outward,
    ramp,
    ring_u,
)
from tipr.data.synthetic.skeleton import TOWARDS_LEFT, Frame

AHEAD: Array = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How a tube is covered and held: tile, row frame, columns, v along its rows (even if None)."""

    tile: str
    frame: RowFrame
    columns: int
    v: Array32 | Array | None = None
    cap_start: bool = False
    cap_end: bool = False


def tube(rings: Rings, finish: Finish) -> Patch:
    """The rings joined into a tube; a cap narrows its start, or brings its end to a point."""
    v, station = finish.v, finish.frame.parameter
    down = np.cross(rings.side, rings.front_axis)
    for capped, row in ((finish.cap_start, 0), (finish.cap_end, -1)):
        if not capped:
            continue
        order = np.arange(len(rings.centre))
        order = np.insert(order, 0, 0) if row == 0 else np.append(order, order[-1])
        width = float(rings.width[row])
        reach, scale = (-0.45, 0.55) if row == 0 else (0.3, 0.001 / max(width, 1e-6))
        tip = rings.centre[row] + down[row] * (reach * width)
        rings = rings.with_end(order, row, tip, scale)
        v = None if v is None else v[order]
        station = station[order] if isinstance(station, np.ndarray) else station
    angles = column_angles(finish.columns)
    frame = replace(finish.frame, parameter=station)
    v = ramp(len(rings.centre)) if v is None else v.astype(np.float32)
    return Patch(finish.tile, loft(rings, angles), ring_u(angles), v, frame)


def sweep(path: Array, sideways: Array, radius: Array) -> Rings:
    """Round rings along a path (n, 3), their sides as near to `sideways` as the path allows."""
    down = unit_rows(np.gradient(path, axis=0))
    side = unit_rows(sideways - down * product(down, sideways)[:, None])
    return Rings(path, side, np.cross(side, -down), radius, radius, radius)


def cylinder(start: Array, end: Array, radii: tuple[float, float], rows: int, at: Finish) -> Patch:
    """A straight rod or cone with closed ends."""
    share = np.linspace(0, 1, rows)
    path = start + (end - start) * share[:, None]
    sideways = TOWARDS_LEFT if abs(unit(end - start)[0]) < 0.8 else AHEAD
    radius = np.interp(share, [0, 1], radii)
    return tube(sweep(path, sideways, radius), replace(at, cap_start=True, cap_end=True))


def cord(path: Array, radius: Array, sideways: Array, at: Finish) -> Patch:
    """A rope along a path with closed ends."""
    return tube(sweep(path, sideways, radius), replace(at, cap_start=True, cap_end=True))


def upright_rings(axes: Frame, rise: Array, half: tuple[float, float], scale: Array) -> Rings:
    """Rings stacked along `axes.up` at `rise`, half (width, depth) times `scale`."""
    count = len(rise)
    side, front = np.tile(axes.side, (count, 1)), np.tile(axes.front, (count, 1))
    depth = scale * half[1]
    return Rings(axes.origin + rise[:, None] * axes.up, side, front, scale * half[0], depth, depth)


def ellipsoid(axes: Frame, radii: tuple[float, float, float], rows: int, at: Finish) -> Patch:
    """An ellipsoid about `axes.origin` with radii to the side, up and front."""
    angles = column_angles(at.columns)
    polar = np.linspace(0, np.pi, rows)
    rings = upright_rings(axes, np.cos(polar) * radii[1], (radii[0], radii[2]), np.sin(polar))
    return Patch(at.tile, loft(rings, angles), ring_u(angles), ramp(rows), at.frame)


@dataclass(frozen=True, kw_only=True)
class BoxShape:
    """Width, height and depth in metres; a larger exponent has sharper corners."""

    size: tuple[float, float, float]
    exponent: float = 5.0
    rows: int = 10
    columns: int = 24
    taper: float = 0.0
    rounding: float = 0.12


def box(axes: Frame, shape: BoxShape, tile: str, frame: RowFrame) -> Patch:
    """A rounded box about `axes.origin`, closed at its top and bottom."""
    width, height, depth = shape.size
    r, middle = shape.rounding, shape.rows - 4
    edge = 0.5 - r * 0.3
    rise = np.concatenate([[0.5, 0.5], np.linspace(edge, -edge, middle), [-0.5, -0.5]]) * height
    scale = np.concatenate([[0.0, 1 - r], np.ones(middle), [1 - r, 0.0]])
    scale = scale * (1 + shape.taper * np.linspace(-1, 1, shape.rows))
    v = np.concatenate([[0.0, 0.0], np.linspace(0.03, 0.97, middle), [1.0, 1.0]])
    angles = column_angles(shape.columns)
    points = loft(upright_rings(axes, rise, (width / 2, depth / 2), scale), angles, shape.exponent)
    return Patch(tile, points, ring_u(angles), v.astype(np.float32), frame)


@dataclass(frozen=True, eq=False)
class Ribbon:
    """A flat strap along a path (n, 3), spread along `spread`, its front away from `inside`."""

    path: Array
    spread: Array
    width: float
    inside: Array


def ribbon(strap: Ribbon, tile: str, frame: RowFrame) -> Patch:
    """The strap as a two-sided patch of three columns."""
    count = len(strap.path)
    down = unit_rows(np.gradient(strap.path, axis=0))
    across = unit_rows(strap.spread - down * product(down, strap.spread)[:, None])
    offsets = np.linspace(-0.5, 0.5, 3) * strap.width
    points = strap.path[:, None] + offsets[None, :, None] * across[:, None]
    points = points.astype(np.float32)
    away = (points - strap.inside) * np.array([1.0, 0.0, 1.0])
    if (outward(*grid_tangents(points, closed=False)) * away).sum() < 0:
        points = points[:, ::-1].copy()
    return Patch(tile, points, ramp(3), ramp(count), frame, closed=False, two_sided=True)


def axes_along(origin: Array, up: Array, side: Array) -> Frame:
    """A frame whose up is exactly `up` and whose side is near `side`."""
    up = unit(up)
    front = np.cross(side, up)
    front = front / max(length(front), 1e-12)
    return Frame(origin, np.cross(up, front), up, front)
