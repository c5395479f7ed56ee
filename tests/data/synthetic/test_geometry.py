"""What is true of every body, garment and pose, whoever it is and however they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tipr.data.synthetic.atlas import paint_atlas
from tipr.data.synthetic.body import measure
from tipr.data.synthetic.curves import Curve, rotation, smoothstep, value_noise
from tipr.data.synthetic.dressing import dress
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.garments import hang
from tipr.data.synthetic.garments_upper import outermost
from tipr.data.synthetic.identity import Identity, sample_identity
from tipr.data.synthetic.mesh import Patch, TileSlot, grid_faces, grid_tangents, outward
from tipr.data.synthetic.pose import Pose, Reach, Swing, resting_pose, sample_pose
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.skeleton import LEFT, RIGHT, stand
from tipr.data.synthetic.skinning import Bound, bind

PEOPLE = range(40)
ARM = Swing(forward=0, outward=10, bend=8)
STANDING = Pose(phase=0.0, stride=0.0, spread=2.0, left_arm=ARM, right_arm=ARM)


class AnySlots(Mapping[str, TileSlot]):
    """An atlas that has a tile for every name."""

    def __getitem__(self, name: str) -> TileSlot:
        return TileSlot(0, 32, 64)

    def __iter__(self):
        return iter(())

    def __len__(self) -> int:
        return 0


SLOTS = AnySlots()


@pytest.fixture(scope="module")
def people() -> list[Identity]:
    return [sample_identity(3, index) for index in PEOPLE]


@pytest.fixture(scope="module")
def bound(people: list[Identity]) -> list[Bound]:
    return [bind(person, SLOTS) for person in people]


def someone(**changes: object) -> Identity:
    """A plainly dressed adult."""
    plain: dict[str, object] = {
        "sex": "female", "age": "adult", "build": "average", "height": 1.7, "hair": "short",
        "hat": "none", "upper": "t-shirt", "sleeve": "short", "outer": "none", "lower": "jeans",
        "leg": "regular", "tuck": False, "belt": False, "shoes": "sneakers", "bag": "none",
        "carry": "none", "scarf": False, "gloves": False, "hem": 0.5, "fit": 1.0,
    }  # fmt: skip
    return replace(sample_identity(3, 0), **(plain | changes))


def patches_of(identity: Identity, tile: str, pose: Pose | None = None) -> list[Patch]:
    body = measure(identity)
    skeleton = stand(body, pose or resting_pose(identity))
    return [p for p in dress(Figure(identity, body, skeleton)) if p.tile == tile]


def test_a_posed_person_is_finite_and_their_normals_have_length_one(bound: list[Bound]) -> None:
    for index, person in enumerate(bound):
        posed = person.posed(sample_pose(person.identity, Rng("pose", index)))
        for vectors in (posed.positions, posed.normals, posed.tangents, posed.bitangents):
            assert vectors.dtype == np.float32
            assert np.isfinite(vectors).all()
        lengths = np.linalg.norm(posed.normals, axis=1)
        collapsed = np.linalg.norm(person.local.normals, axis=1) < 0.5
        np.testing.assert_allclose(lengths[~collapsed], 1, atol=1e-4)
        assert collapsed.mean() < 0.05


def test_everyone_stands_on_the_ground(bound: list[Bound]) -> None:
    for index, person in enumerate(bound):
        posed = person.posed(sample_pose(person.identity, Rng("pose", index)))
        assert -0.01 <= posed.positions[:, 1].min() <= 0.02


def test_a_person_is_as_tall_as_their_identity_says(people: list[Identity]) -> None:
    for person in people:
        bare = replace(person, hat="none", hair="bald", shoes="sneakers", carry="none", age="adult")
        top = bind(bare, SLOTS).posed(STANDING).positions[:, 1].max()
        assert top == pytest.approx(person.height, rel=0.03)


def test_posing_in_the_resting_pose_gives_back_what_was_built(bound: list[Bound]) -> None:
    for person in bound:
        posed = person.posed(resting_pose(person.identity))
        np.testing.assert_allclose(posed.positions, person.positions, atol=1e-5)
        np.testing.assert_allclose(posed.normals, person.normals, atol=1e-4)


def test_a_twin_in_other_colours_has_the_same_shape(bound: list[Bound]) -> None:
    for index, person in enumerate(bound[:10]):
        colours = {name: "red" for name in ("upper_c", "lower_c", "hair_c", "shoe_c", "bag_c")}
        twin = bind(replace(person.identity, **colours), SLOTS)
        pose = sample_pose(person.identity, Rng("pose", index))
        np.testing.assert_array_equal(twin.posed(pose).positions, person.posed(pose).positions)
        np.testing.assert_array_equal(twin.faces, person.faces)


def test_two_people_in_the_same_clothes_have_different_folds() -> None:
    one, other = (bind(someone(key=key), SLOTS).positions for key in ("a", "b"))
    assert one.shape == other.shape
    assert 0.001 < np.abs(one - other).max() < 0.05


def test_every_tile_that_a_patch_needs_is_painted(people: list[Identity]) -> None:
    for person in people:
        slots = paint_atlas(person).slots
        assert {p.tile for p in dress(_figure(person))} <= set(slots)
        texture = bind(person, slots)
        assert texture.v.min() >= 0
        assert (texture.v[texture.faces] < texture.tile_height[:, None]).all()


def _figure(identity: Identity) -> Figure:
    body = measure(identity)
    return Figure(identity, body, stand(body, resting_pose(identity)))


def test_the_corners_of_a_triangle_lie_close_together_in_the_texture(bound: list[Bound]) -> None:
    for person in bound:
        extent = np.ptp(person.corner_u, axis=1)
        assert (extent <= person.tile_width / 2).all()


def test_triangles_use_every_point_and_only_points(bound: list[Bound]) -> None:
    for person in bound:
        points = np.unique(person.faces)
        np.testing.assert_array_equal(points, np.arange(len(person.positions)))


def test_a_closed_grid_has_no_edge_along_its_rows() -> None:
    faces = grid_faces(4, 6, closed=True)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    border = unique[count == 1]
    assert {*border.ravel() // 6} == {0, 3}  # only the first and the last row are open


def test_closed_patches_face_outward(people: list[Identity]) -> None:
    for person in people:
        for patch in patches_of(person, "upper") + patches_of(person, "lower"):
            if not patch.closed:
                continue
            away = patch.points - patch.points.mean(axis=1, keepdims=True)
            normals = outward(*grid_tangents(patch.points, closed=True))
            assert ((normals * away).sum(-1) > 0).mean() > 0.95


def test_a_still_stance_is_symmetric() -> None:
    skeleton = stand(measure(someone()), STANDING)
    mirror = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(skeleton.leg(LEFT), skeleton.leg(RIGHT) * mirror, atol=1e-12)
    np.testing.assert_allclose(skeleton.arm(LEFT), skeleton.arm(RIGHT) * mirror, atol=1e-12)
    posed = bind(someone(), SLOTS).posed(STANDING).positions
    assert posed[:, 0].min() == pytest.approx(-posed[:, 0].max(), abs=0.02)


def test_the_person_faces_plus_z() -> None:
    skeleton = stand(measure(someone()), STANDING)
    assert skeleton.head.front[2] > 0.99
    assert skeleton.foot(LEFT).front[2] > 0.9
    assert skeleton.foot(LEFT).origin[0] > 0 > skeleton.foot(RIGHT).origin[0]


def test_opposite_phases_mirror_the_legs() -> None:
    body = measure(someone())
    now, later = (stand(body, replace(STANDING, stride=1.0, phase=phase)) for phase in (0.1, 0.6))
    mirror = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(now.leg(LEFT), later.leg(RIGHT) * mirror, atol=1e-9)


@pytest.mark.parametrize("target", [(0, 0, 0), (5, 5, 5), (0.099, 0, 0), (0.1, -0.3, 0.03)])
def test_an_arm_reaches_for_any_place_without_stretching(target: tuple[float, ...]) -> None:
    body = measure(someone(sex="male"))
    skeleton = stand(body, STANDING.with_arm(LEFT, Reach(*target)))
    shoulder, elbow, wrist = skeleton.arm(LEFT)
    assert np.isfinite(skeleton.limbs).all()
    assert np.linalg.norm(elbow - shoulder) == pytest.approx(0.172 * body.height, rel=1e-6)
    assert np.linalg.norm(wrist - elbow) == pytest.approx(0.150 * body.height, rel=1e-6)


@pytest.mark.parametrize("arm", [Swing(0, 90, 0), Swing(90, 0, 0), Swing(180, 0, 0)])
def test_an_arm_along_any_axis_of_the_body_is_finite(arm: Swing) -> None:
    posed = bind(someone(bag="handbag"), SLOTS).posed(replace(STANDING, left_arm=arm))
    assert np.isfinite(posed.positions).all()


def test_a_skirt_holds_both_legs_in_full_stride() -> None:
    skirt = someone(lower="skirt", length="knee", flare=0.02)
    person = bind(skirt, SLOTS)
    pose = replace(STANDING, stride=1.0, phase=0.0)
    posed = person.posed(pose).positions
    skeleton = stand(person.body, pose)
    cloth = posed[_points_of(skirt, "lower")]
    for side in (LEFT, RIGHT):
        knee = skeleton.leg(side)[1]
        near = cloth[np.abs(cloth[:, 1] - knee[1]) < 0.05]
        assert near[:, 2].min() < knee[2] < near[:, 2].max()
        assert near[:, 0].min() < knee[0] < near[:, 0].max()


def _points_of(identity: Identity, tile: str) -> np.ndarray:
    """Which points of the bound person belong to patches of the tile."""
    tiles = [np.full(p.u.size * p.v.size, p.tile) for p in dress(_figure(identity))]
    return np.concatenate(tiles) == tile


def test_a_flared_skirt_stays_under_the_jacket_over_it() -> None:
    dressed = someone(lower="skirt", length="mini", flare=0.1, outer="cardigan", open=False)
    (jacket,), (skirt,) = patches_of(dressed, "outer"), patches_of(dressed, "lower")
    hem = jacket.points[-1]
    beside = skirt.points[np.argmin(np.abs(skirt.points[:, :, 1].mean(1) - hem[:, 1].mean()))]
    assert np.ptp(beside[:, 0]) < np.ptp(hem[:, 0])
    assert np.ptp(beside[:, 2]) < np.ptp(hem[:, 2])


@pytest.mark.parametrize("upper", ["tank top", "shirt", "hoodie"])
@pytest.mark.parametrize("bag", ["crossbody bag", "shoulder bag", "backpack"])
def test_a_strap_lies_on_the_garment(upper: str, bag: str) -> None:
    wearer = someone(upper=upper, bag=bag, fit=1.35, bag_side=1)
    figure, cut = _figure(wearer), outermost(wearer)
    for strap in patches_of(wearer, "strap"):
        y = np.asarray(strap.frame.parameter)
        rows, outline = hang(figure, cut, y)
        local = strap.points[:, 1] - rows.origin
        x, z = (local * rows.side).sum(1), (local * rows.front).sum(1)
        depth = np.where(z > 0, outline.front, outline.back)
        outside = (np.abs(x / outline.width) ** 2.35 + np.abs(z / depth) ** 2.35) ** (1 / 2.35)
        on_body = np.abs(x) < outline.width * 0.97
        assert (outside[on_body] > 1.0).all()


def test_long_hair_lies_on_the_coat() -> None:
    wearer = someone(hair="long", hair_len=0.4, outer="coat", open=False)
    curtain = patches_of(wearer, "hair")[1]
    (coat,) = patches_of(wearer, "outer")
    shoulder_blades = (coat.points[..., 1] > 1.2) & (coat.points[..., 1] < 1.3)
    middle = np.abs(coat.points[..., 0]) < 0.05
    behind = coat.points[shoulder_blades & middle][:, 2].min()
    level = (curtain.points[..., 1] > 1.2) & (curtain.points[..., 1] < 1.3)
    back = level & (np.abs(curtain.points[..., 0]) < 0.05)
    assert back.any()
    assert np.median(curtain.points[back][:, 2]) < behind


def test_poses_of_twins_share_the_gait() -> None:
    bare, carrying = someone(), someone(bag="shoulder bag", carry="cup")
    one, other = (sample_pose(person, Rng("pose", 7)) for person in (bare, carrying))
    assert (one.phase, one.stride, one.spread) == (other.phase, other.stride, other.spread)


def test_most_people_walk() -> None:
    walking = [sample_pose(someone(), Rng("walk", i)).walking for i in range(300)]
    assert 0.62 < np.mean(walking) < 0.82


def test_heavier_people_are_wider_and_children_have_larger_heads() -> None:
    slim, heavy = (measure(someone(build=build)) for build in ("slim", "heavy"))
    assert (heavy.width(1.0), heavy.limb) > (slim.width(1.0), slim.limb)
    child = measure(someone(age="child", height=1.3))
    assert child.head_height / child.height > slim.head_height / slim.height


def test_a_curve_passes_through_its_knots_and_stays_at_its_ends() -> None:
    curve = Curve.through([0, 1, 3], [1, 2, 0])
    np.testing.assert_allclose(curve([0, 1, 3, -5, 9]), [1, 2, 0, 1, 0])


def test_a_smooth_step_may_fall() -> None:
    np.testing.assert_allclose(smoothstep(1, 0, [0, 0.5, 1]), [1, 0.5, 0])


def test_a_rotation_keeps_lengths_and_handedness() -> None:
    turn = rotation(0.7, -0.4)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_noise_tiles_and_repeats_for_the_same_key() -> None:
    one, again = (value_noise(Rng("n"), (32, 48), (4, 6)) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    jump = np.abs(one[:, 0] - one[:, -1]).max()
    assert jump <= np.abs(np.diff(one, axis=1)).max() * 1.5
