"""A person before a camera: projected, rasterised and lit, ready to be laid over a backdrop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tipr.data.synthetic.atlas import paint_atlas
from tipr.data.synthetic.camera import Camera, Frame, Jitter, View, crop, project
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.jit import Bytes, Floats, Ints, Longs
from tipr.data.synthetic.lighting import (
    LIT_COLUMNS,
    ambient_occlusion,
    light_vertices,
    sun_visibility,
)
from tipr.data.synthetic.palette import DECODE, ENCODE
from tipr.data.synthetic.pose import Pose
from tipr.data.synthetic.raster import NOTHING, rasterise
from tipr.data.synthetic.shading import SAMPLES, Light, Surface, Texels, shade, tell
from tipr.data.synthetic.skinning import Bound, bind
from tipr.data.synthetic.tags import TAGS

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Subject:
    """One identity, dressed and ready for any pose; costly to make, cheap to photograph."""

    identity: Identity
    bound: Bound
    surface: Surface
    texels: Texels
    occlusion: Floats


def prepare(identity: Identity) -> Subject:
    """Paint the textures, build the body, and bake what each part sees of the sky."""
    atlas = paint_atlas(identity)
    bound = bind(identity, atlas.slots)
    return Subject(
        identity,
        bound,
        Surface(bound.faces, bound.corner_u, bound.tile_base, bound.tile_height, bound.tile_width),
        Texels(atlas.colour, atlas.slope, atlas.gloss, atlas.tags),
        ambient_occlusion(bound.positions, bound.normals),
    )


@dataclass(frozen=True, eq=False)
class Portrait:
    """A subject as one camera sees it: nearest triangle per sample, and lit vertices."""

    subject: Subject
    frame: Frame
    positions: Floats
    x: Floats
    y: Floats
    nearest: Ints
    lit: Floats
    light: Light

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the picture."""
        return self.frame.height, self.frame.width

    @property
    def box(self) -> Box:
        """Left, top, right, bottom of the person in pixels, as far as the picture reaches."""
        left = int(max(float(self.x.min()) / SAMPLES, 0))
        top = int(max(float(self.y.min()) / SAMPLES, 0))
        right = int(min(float(self.x.max()) / SAMPLES + 1, self.frame.width))
        bottom = int(min(float(self.y.max()) / SAMPLES + 1, self.frame.height))
        return left, top, right, bottom


def portray(
    subject: Subject, pose: Pose, camera: Camera, view: View, height: int, jitter: Jitter
) -> Portrait:
    """Everything that does not depend on what lies behind or stands in front."""
    posed = subject.bound.posed(pose)
    projection = project(posed.positions, view)
    frame = crop(projection, height, jitter)
    x, y = projection.in_pixels(frame, SAMPLES)
    shape = (frame.height * SAMPLES, frame.width * SAMPLES)
    nearest = np.full(shape, NOTHING, np.int32)
    buffer = np.full(shape, np.inf, np.float32)
    bound = subject.bound
    rasterise(x, y, projection.depth, bound.faces, bound.two_sided, nearest, buffer)
    sun = view.sun.astype(np.float32)
    lit = np.empty((len(x), LIT_COLUMNS), np.float32)
    light_vertices(
        posed.positions,
        posed.normals,
        posed.tangents,
        posed.bitangents,
        bound.v,
        sun_visibility(posed.positions, sun),
        subject.occlusion,
        sun,
        view.eye.astype(np.float32),
        lit,
    )
    light = Light(camera.sun_colour, camera.sky_colour)
    return Portrait(subject, frame, posed.positions, x, y, nearest, lit, light)


def tagged(portrait: Portrait, opacity: Bytes) -> Bytes:
    """Which of `TAGS` each pixel (h, w) shows past a cover of that opacity; 0 is not the person."""
    tags = np.zeros(portrait.size, np.uint8)
    own = portrait.subject
    tell(
        portrait.nearest,
        portrait.x,
        portrait.y,
        portrait.lit,
        own.surface,
        own.texels,
        portrait.light,
        opacity,
        tags,
    )
    return tags


def paint(portrait: Portrait, backdrop: Bytes, opacity: Bytes) -> tuple[Bytes, Longs]:
    """The picture over the backdrop, and per tag what shows past a cover of that opacity.

    Counts are in units of `shading.COUNTS_PER_PIXEL` to the pixel.
    """
    picture = np.empty((*portrait.size, 3), np.uint8)
    counts = np.zeros(len(TAGS), np.int64)
    shade(
        portrait.nearest,
        portrait.x,
        portrait.y,
        portrait.lit,
        portrait.subject.surface,
        portrait.subject.texels,
        portrait.light,
        backdrop,
        opacity,
        DECODE,
        ENCODE,
        picture,
        counts,
    )
    return picture, counts
