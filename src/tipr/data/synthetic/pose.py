"""A pose is a moment of the gait plus what the arms do; it fits any body.

Lengths are fractions of the body height, so twins and strangers can share a pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.rng import Rng


@dataclass(frozen=True)
class Swing:
    """An arm that hangs and swings with the gait; degrees."""

    forward: float
    outward: float
    bend: float


@dataclass(frozen=True)
class Reach:
    """An arm whose wrist is at a place in front of the chest, in body heights.

    The place is measured from between the shoulders: outward, up, forward.
    """

    outward: float
    up: float
    forward: float


ArmPose = Swing | Reach


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Gait phase 0..1, stride 0 (standing) to 1.1; lean and head in radians, feet in degrees."""

    phase: float
    stride: float
    left_arm: ArmPose
    right_arm: ArmPose
    lean: float = 0.0
    twist: float = 0.0
    head_yaw: float = 0.0
    head_pitch: float = 0.0
    spread: float = 1.5
    toe_out: float = 6.0

    @property
    def walking(self) -> bool:
        """Whether an onlooker would say so."""
        return self.stride > 0.3

    def arm(self, side: int) -> ArmPose:
        return self.left_arm if side > 0 else self.right_arm

    def with_arm(self, side: int, arm: ArmPose) -> Pose:
        return replace(self, left_arm=arm) if side > 0 else replace(self, right_arm=arm)


IN_POCKET = Reach(0.105, -0.30, 0.035)
AT_EAR = Reach(0.055, 0.035, 0.055)
ON_SHOULDER_STRAP = Reach(0.11, -0.14, 0.12)
CARRYING = {
    "phone": Reach(0.02, -0.10, 0.20),
    "cup": Reach(0.09, -0.14, 0.19),
    "bottle": Reach(0.09, -0.14, 0.19),
    "book": Reach(0.05, -0.16, 0.13),
    "umbrella": Reach(0.07, -0.08, 0.15),
}
HAND_HELD = ("handbag", "shopping bag", "briefcase", "suitcase")


def sample_pose(identity: Identity, rng: Rng) -> Pose:
    """Someone walking (72 %) or standing, whose arms suit the bag and the thing in hand.

    The draws never depend on the identity, so twins with the same stream share the gait.
    """
    walking = rng.chance(0.72)
    phase, stride, calm = rng.uniform(), rng.uniform(0.55, 1.1), rng.uniform(0.0, 0.15)
    resting_phase = rng.pick([0.28, 0.78])
    pose = Pose(
        phase=phase if walking else resting_phase,
        stride=stride if walking else calm,
        lean=rng.uniform(0.0, 0.07),
        head_yaw=rng.normal(0, 0.22),
        head_pitch=rng.uniform(-0.05, 0.22),
        spread=rng.uniform(1, 3.5),
        toe_out=rng.uniform(3, 12),
        left_arm=_free_arm(identity, rng),
        right_arm=_free_arm(identity, rng),
    )
    reach = 0.7 if identity.age == "senior" else 1.0
    if identity.lower in ("skirt", "dress"):
        reach *= 0.8
    pose = replace(pose, stride=pose.stride * reach)
    return _carry(_hold_bag(pose, identity, rng.chance(0.5)), identity)


def resting_pose(identity: Identity) -> Pose:
    """Standing straight, the carried thing in hand: the pose in which patches are built."""
    arm = Swing(forward=0, outward=10, bend=8)
    pose = Pose(phase=0.28, stride=0.0, left_arm=arm, right_arm=arm)
    return replace(_carry(pose, identity), head_yaw=0.0, head_pitch=0.0)


def _free_arm(identity: Identity, rng: Rng) -> ArmPose:
    wider = 1.25 if identity.build == "heavy" else 1.0
    swing = Swing(rng.uniform(-4, 8), rng.uniform(8, 14) * wider, rng.uniform(12, 34))
    return IN_POCKET if rng.chance(0.07) else swing


def _hold_bag(pose: Pose, identity: Identity, on_strap: bool) -> Pose:
    side = identity.bag_side
    if identity.bag in HAND_HELD:
        wide = identity.lower in ("skirt", "dress") or identity.outer in ("coat", "raincoat")
        pull = -14 if identity.bag == "suitcase" else -2
        arm = Swing(forward=pull, outward=21 if wide else 13, bend=6)
        return replace(pose.with_arm(side, arm), stride=min(pose.stride, 0.95))
    if identity.bag == "shoulder bag" and on_strap:
        return pose.with_arm(side, ON_SHOULDER_STRAP)
    return pose


def _carry(pose: Pose, identity: Identity) -> Pose:
    side, item = identity.carry_side, identity.carry
    if item == "none":
        return pose
    if item != "phone":
        return pose.with_arm(side, CARRYING[item])
    if identity.phone_mode == "ear":
        return replace(pose.with_arm(side, AT_EAR), head_pitch=0.05)
    return replace(pose.with_arm(side, CARRYING["phone"]), head_pitch=0.32, head_yaw=0.0)
