"""Claims about the numeric kernels on cases worked by hand; skipped where numba is missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("numba", reason="rendering people needs numba")

from tipr.data.synthetic.camera import Frame, Projection
from tipr.data.synthetic.degrade import Degradation, degrade
from tipr.data.synthetic.identity import sample_identity
from tipr.data.synthetic.lighting import ambient_occlusion, sun_visibility
from tipr.data.synthetic.portrait import prepare
from tipr.data.synthetic.raster import NOTHING, rasterise


def test_the_nearer_triangle_wins() -> None:
    x = np.array([0, 0, 8, 0, 0, 8], np.float32)
    y = np.array([0, 8, 0, 0, 8, 0], np.float32)
    depth = np.array([2, 2, 2, 1, 1, 1], np.float32)
    faces = np.array([[0, 2, 1], [3, 5, 4], [3, 4, 5]], np.int32)
    nearest = np.full((8, 8), NOTHING, np.int32)
    buffer = np.full((8, 8), np.inf, np.float32)
    rasterise(x, y, depth, faces, np.array([False, False, False]), nearest, buffer)
    assert nearest[0, 0] == 1
    assert nearest[7, 7] == NOTHING
    assert (nearest >= 0).sum() == 36  # samples on or above the diagonal of 8 x 8


def test_the_back_of_a_triangle_is_drawn_only_if_it_has_two_sides() -> None:
    x, y = np.array([0, 0, 8], np.float32), np.array([0, 8, 0], np.float32)
    depth, faces = np.ones(3, np.float32), np.array([[0, 1, 2]], np.int32)
    for two_sided in (False, True):
        nearest = np.full((8, 8), NOTHING, np.int32)
        buffer = np.full((8, 8), np.inf, np.float32)
        rasterise(x, y, depth, faces, np.array([two_sided]), nearest, buffer)
        assert (nearest == 0).any() == two_sided


def test_a_roof_shades_what_is_under_it() -> None:
    side = np.linspace(-0.5, 0.5, 60, dtype=np.float32)
    x, z = (grid.ravel() for grid in np.meshgrid(side, side))
    roof = np.stack([x, np.full_like(x, 2), z], 1)
    floor = np.stack([x * 3, np.zeros_like(x), z * 3], 1)
    light = sun_visibility(np.concatenate([roof, floor]), np.array([0, 1, 0], np.float32))
    under = (np.abs(floor[:, 0]) < 0.4) & (np.abs(floor[:, 2]) < 0.4)
    outside = (np.abs(floor[:, 0]) > 0.7) | (np.abs(floor[:, 2]) > 0.7)
    assert (light[: len(roof)] == 1).all()
    assert (light[len(roof) :][under] == 0).all()
    assert (light[len(roof) :][outside] == 1).all()


def test_the_sky_reaches_the_head_more_than_the_armpits() -> None:
    man = prepare(sample_identity(5, 0))
    shares = ambient_occlusion(man.bound.positions, man.bound.normals)
    assert shares.min() >= 0.3 - 1e-6
    assert shares.max() <= 1 + 1e-6
    top = man.bound.positions[:, 1] > 0.97 * man.identity.height
    assert shares[top].mean() > shares.mean()


def test_degrading_blurs_and_never_leaves_the_range_of_bytes() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, 20:] = 255
    how = Degradation(blur=2.0, noise=0.0, gains=(1, 1, 1), gamma=1.0, saturation=1.0, noise_seed=1)
    degrade(picture, how)
    edge = picture[20, :, 0].astype(int)
    assert (np.diff(edge) >= 0).all()
    assert 20 < edge[20] < 235
    noisy = np.full((40, 40, 3), 250, np.uint8)
    degrade(noisy, dataclasses.replace(how, noise=30.0, gains=(1.5, 1, 0.5)))
    assert noisy[..., 0].mean() > noisy[..., 2].mean()
    assert noisy[..., 1].std() > 3


def test_a_frame_puts_its_centre_in_the_middle() -> None:
    frame = Frame(x=0.2, y=-0.1, scale=100.0, width=40, height=90)
    centre = np.array([0.2], np.float32), np.array([-0.1], np.float32), np.ones(1, np.float32)
    x, y = Projection(*centre).in_pixels(frame, 2)
    assert (x[0], y[0]) == pytest.approx((40, 90))
