# ruff: noqa: PLR0913, PLR0915, C901
"""The colour of every pixel of a person, laid over the backdrop, and what each pixel shows.

A pixel is four samples. Where all four lie on one tile it is lit once and its texture averaged;
elsewhere each sample is lit alone, and samples beside the person show the backdrop. Tags are
counted in quarter pixels, times 255 less what an occluder in front covers: integers throughout,
so that what is visible never hangs on a rounding.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tipr.data.synthetic.jit import Bytes, Floats, Ints, Longs, inlined, kernel
from tipr.data.synthetic.lighting import (
    LIT_ALONG_U,
    LIT_ALONG_V,
    LIT_FACING,
    LIT_SHINE,
    LIT_SKY,
    LIT_SUN,
    LIT_UPRIGHT,
    LIT_V,
)

SAMPLES = 2  # per pixel, along each axis
COUNTS_PER_PIXEL = SAMPLES * SAMPLES * 255

_BUMP = np.float32(0.030)  # how strongly the relief tilts the surface
_SHOULDER = np.float32(0.25)  # how softly bright light saturates


class Surface(NamedTuple):
    """Triangles (T, 3), their corners' texture columns (T, 3), and each one's tile (T,)."""

    faces: Ints
    columns: Floats
    base: Ints
    height: Ints
    width: Ints


class Texels(NamedTuple):
    """An atlas: linear colour (N, 3), slope (N, 2), gloss (N,), tag (N,)."""

    colour: Floats
    slope: Floats
    gloss: Floats
    tags: Bytes


class Light(NamedTuple):
    """Linear colours (3,) of the sun and of the sky."""

    sun: Floats
    sky: Floats


@inlined
def _clamped(value, low, high):
    return min(max(value, low), high)


@inlined
def _shaded(face, px, py, x, y, lit, surface, texels, light, averaged, result):
    """Light `face` at the sample place (px, py) into `result` (3,); returns the texel hit.

    Weights and texels are clamped: slivers would extrapolate far outside their tile.
    """
    one, zero, half = np.float32(1), np.float32(0), np.float32(0.5)
    a, b, c = surface.faces[face, 0], surface.faces[face, 1], surface.faces[face, 2]
    bx, by, cx, cy = x[b] - x[a], y[b] - y[a], x[c] - x[a], y[c] - y[a]
    scale = one / (bx * cy - cx * by)
    dx, dy = px - x[a], py - y[a]
    wb = _clamped((dx * cy - cx * dy) * scale, zero, one)
    wc = _clamped((bx * dy - dx * by) * scale, zero, one - wb)
    wa = one - wb - wc

    base, width, last_row = surface.base[face], surface.width[face], surface.height[face] - 1
    ua, ub, uc = surface.columns[face, 0], surface.columns[face, 1], surface.columns[face, 2]
    va, vb, vc = lit[a, LIT_V], lit[b, LIT_V], lit[c, LIT_V]
    u, v = ua * wa + ub * wb + uc * wc, va * wa + vb * wb + vc * wc
    row = _clamped(math.floor(v), 0, last_row)
    texel = base + row * width + math.floor(u) % width
    red, green, blue = texels.colour[texel, 0], texels.colour[texel, 1], texels.colour[texel, 2]
    if averaged:
        # How far one sample step moves in the tile, along x and y of the picture.
        ux = (ua * (by - cy) + ub * cy - uc * by) * scale * half
        uy = (ua * (cx - bx) - ub * cx + uc * bx) * scale * half
        vx = (va * (by - cy) + vb * cy - vc * by) * scale * half
        vy = (va * (cx - bx) - vb * cx + vc * bx) * scale * half
        far, quarter = np.float32(64), np.float32(0.25)
        red, green, blue = zero, zero, zero
        for sample in range(4):
            right = one if sample % 2 else -one
            down = one if sample >= 2 else -one
            du = _clamped(ux * right + uy * down, -far, far)
            dv = _clamped(vx * right + vy * down, -far, far)
            near_row = math.floor(v + dv)
            if near_row < 0 or near_row > last_row:
                near_row = row
            near = base + near_row * width + math.floor(u + du) % width
            red += texels.colour[near, 0] * quarter
            green += texels.colour[near, 1] * quarter
            blue += texels.colour[near, 2] * quarter

    facing = lit[a, LIT_FACING] * wa + lit[b, LIT_FACING] * wb + lit[c, LIT_FACING] * wc
    sunlit = lit[a, LIT_SUN] * wa + lit[b, LIT_SUN] * wb + lit[c, LIT_SUN] * wc
    sky = lit[a, LIT_SKY] * wa + lit[b, LIT_SKY] * wb + lit[c, LIT_SKY] * wc
    along_u = lit[a, LIT_ALONG_U] * wa + lit[b, LIT_ALONG_U] * wb + lit[c, LIT_ALONG_U] * wc
    along_v = lit[a, LIT_ALONG_V] * wa + lit[b, LIT_ALONG_V] * wb + lit[c, LIT_ALONG_V] * wc
    shine = lit[a, LIT_SHINE] * wa + lit[b, LIT_SHINE] * wb + lit[c, LIT_SHINE] * wc
    upright = lit[a, LIT_UPRIGHT] * wa + lit[b, LIT_UPRIGHT] * wb + lit[c, LIT_UPRIGHT] * wc
    if scale < zero:  # the inside of a garment
        facing *= np.float32(-0.6)
        sky *= half
    tilt_u, tilt_v = texels.slope[texel, 0] * _BUMP, texels.slope[texel, 1] * _BUMP
    key = (facing - (tilt_u * along_u + tilt_v * along_v)) * np.float32(0.92) + np.float32(0.08)
    key = _clamped(key, zero, np.float32(1.4)) * sunlit
    tilt = one - np.float32(0.35) * tilt_v * upright
    sky *= _clamped(tilt, np.float32(0.6), np.float32(1.4))
    shine *= texels.gloss[texel] * half
    result[0] = red * (key * light.sun[0] + sky * light.sky[0]) + shine * light.sun[0]
    result[1] = green * (key * light.sun[1] + sky * light.sky[1]) + shine * light.sun[1]
    result[2] = blue * (key * light.sun[2] + sky * light.sky[2]) + shine * light.sun[2]
    for channel in range(3):
        value = result[channel]
        result[channel] = value / (one + _SHOULDER * value) * (one + _SHOULDER)
    return texel


@kernel
def tell(
    nearest: Ints,
    x: Floats,
    y: Floats,
    lit: Floats,
    surface: Surface,
    texels: Texels,
    light: Light,
    cover: Bytes,
    tags: Bytes,
) -> None:
    """Fill `tags` (h, w) with what each pixel shows of the person, by the sample at its lower
    right; it stays as it is beside the person and behind what covers more than half."""
    half, result = np.float32(0.5), np.zeros(3, np.float32)
    height, width = tags.shape
    for row in range(height):
        for column in range(width):
            i, j = row * SAMPLES + 1, column * SAMPLES + 1
            face = nearest[i, j]
            if face >= 0 and cover[row, column] < 128:
                px, py = np.float32(j) + half, np.float32(i) + half
                texel = _shaded(face, px, py, x, y, lit, surface, texels, light, False, result)
                tags[row, column] = texels.tags[texel]


@kernel
def shade(
    nearest: Ints,
    x: Floats,
    y: Floats,
    lit: Floats,
    surface: Surface,
    texels: Texels,
    light: Light,
    backdrop: Bytes,
    cover: Bytes,
    decode: Floats,
    encode: Bytes,
    picture: Bytes,
    counts: Longs,
) -> None:
    """Fill `picture` (h, w, 3) from `nearest` (2h, 2w) over `backdrop`; add to `counts` per tag.

    `cover` (h, w) is the opacity of what will stand in front. `decode` and `encode` are the
    palette's tables between bytes and linear light.
    """
    half, one, quarter = np.float32(0.5), np.float32(1), np.float32(0.25)
    result = np.zeros(3, np.float32)
    colour = np.zeros(3, np.float32)
    height, width, _ = picture.shape
    for row in range(height):
        for column in range(width):
            top, left = row * SAMPLES, column * SAMPLES
            first, second = nearest[top, left], nearest[top, left + 1]
            third, fourth = nearest[top + 1, left], nearest[top + 1, left + 1]
            if first < 0 and second < 0 and third < 0 and fourth < 0:
                for channel in range(3):
                    picture[row, column, channel] = backdrop[row, column, channel]
                continue
            seen = 255 - np.int64(cover[row, column])
            whole = first >= 0 and second >= 0 and third >= 0 and fourth >= 0
            if whole:
                tile = surface.base[first]
                whole = surface.base[second] == tile and surface.base[third] == tile
                whole = whole and surface.base[fourth] == tile
            if whole:
                px, py = np.float32(left) + one, np.float32(top) + one
                texel = _shaded(fourth, px, py, x, y, lit, surface, texels, light, True, result)
                counts[texels.tags[texel]] += 4 * seen
                for channel in range(3):
                    colour[channel] = result[channel]
            else:
                beside = 0
                colour[:] = 0
                for sample in range(4):
                    i, j = sample // 2, sample % 2
                    face = nearest[top + i, left + j]
                    if face < 0:
                        beside += 1
                        continue
                    px, py = np.float32(left + j) + half, np.float32(top + i) + half
                    texel = _shaded(face, px, py, x, y, lit, surface, texels, light, False, result)
                    counts[texels.tags[texel]] += seen
                    for channel in range(3):
                        colour[channel] += result[channel] * quarter
                share = np.float32(beside) * quarter
                for channel in range(3):
                    colour[channel] += share * decode[backdrop[row, column, channel]]
            for channel in range(3):
                step = min(int(colour[channel] * np.float32(4095)), 4095)
                picture[row, column, channel] = encode[step]
