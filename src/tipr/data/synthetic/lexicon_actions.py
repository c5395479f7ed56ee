"""Ways to say what a person does: verb phrases as `finite | participle`, with blanks to fill.

Blanks: `{b}` the bag, `{o}` the object with its article, `{n}` its noun, `{his}` the possessive,
`{side}` left or right. Verbs in brackets agree with the subject; a participle may also be a
`with` phrase.
"""

from __future__ import annotations

Action = tuple[str, str]


def actions(text: str) -> tuple[Action, ...]:
    """One `finite | participle` action per line."""
    rows = (line.split(" | ") for line in text.strip().split("\n"))
    return tuple((finite.strip(), participle.strip()) for finite, participle in rows)


ON_THE_SHOULDER = actions("""
[has] {b} on {his} {side} shoulder | with {b} on {his} {side} shoulder
[carries] {b} over {his} {side} shoulder | carrying {b} over {his} {side} shoulder
[is] carrying {b} on {his} {side} side | carrying {b} on {his} {side} side
[has] {b} hanging from {his} shoulder | with {b} hanging from {his} shoulder
[has] {b} slung over one shoulder | with {b} slung over one shoulder
[carries] {b} | carrying {b}
[has] {b} tucked under {his} {side} arm | with {b} tucked under {his} {side} arm
[totes] {b} on one shoulder | toting {b} on one shoulder
""")

IN_THE_HAND = actions("""
[is] holding {b} in {his} {side} hand | holding {b} in {his} {side} hand
[carries] {b} in {his} {side} hand | carrying {b} in {his} {side} hand
[is] carrying {b} | carrying {b}
[holds] {b} | holding {b}
[has] {b} in hand | with {b} in hand
[has] {b} dangling from {his} {side} hand | with {b} dangling from {his} {side} hand
[grips] the handle of {b} | gripping the handle of {b}
[clutches] {b} | clutching {b}
""")

BAG_ACTIONS: dict[str, tuple[Action, ...]] = {
    "backpack": actions("""
[is] carrying {b} | carrying {b}
[has] {b} on {his} back | with {b} on {his} back
[wears] {b} | wearing {b}
[carries] {b} on {his} back | carrying {b} on {his} back
[has] {b} on both shoulders | with {b} on both shoulders
[shoulders] {b} | shouldering {b}
[has] {b} strapped to {his} back | with {b} strapped to {his} back
[is] lugging {b} | lugging {b}
[is] equipped with {b} | equipped with {b}
"""),
    "shoulder bag": ON_THE_SHOULDER,
    "tote bag": ON_THE_SHOULDER,
    "crossbody bag": actions("""
[has] {b} slung across {his} body | with {b} slung across {his} body
[wears] {b} across {his} chest | wearing {b} across {his} chest
[is] carrying {b} at {his} {side} hip | with {b} at {his} {side} hip
[has] {b} on a strap over the shoulder | with {b} on a strap over the shoulder
[wears] {b} crosswise | wearing {b} crosswise
[carries] {b} diagonally across the torso | with {b} diagonally across the torso
[has] {b} resting on {his} {side} hip | with {b} resting on {his} {side} hip
"""),
    "suitcase": actions("""
[is] pulling {b} | pulling {b}
[drags] {b} behind | dragging {b} behind
[pulls] {b} with {his} {side} hand | pulling {b} with {his} {side} hand
[is] rolling {b} along | rolling {b} along
[tows] {b} | towing {b}
[is] traveling with {b} | traveling with {b}
[hauls] {b} along | hauling {b} along
"""),
    "handbag": IN_THE_HAND,
    "shopping bag": IN_THE_HAND,
    "briefcase": IN_THE_HAND,
}

STRAP_ACTIONS: dict[str, tuple[Action, ...]] = {
    "backpack": actions("""
[has] {b} strapped on | with {b} strapped on
[is] wearing {b} | wearing {b}
[has] the straps of {b} over both shoulders | with the straps of {b} over both shoulders
[has] the straps of {b} in view | with the straps of {b} in view
"""),
    "other": actions("""
[has] the strap of {b} over one shoulder | with the strap of {b} over one shoulder
[has] {b} with a shoulder strap | with {b} on a shoulder strap
[carries] {b} by a strap | carrying {b} by a strap
"""),
}

PHONE_AT_THE_EAR = actions("""
[is] talking on {o} | talking on {o}
[holds] {o} to {his} ear | holding {o} to {his} ear
[is] making a call on {o} | making a call on {o}
[has] {o} against {his} {side} ear | with {o} at {his} {side} ear
[is] speaking into {o} | speaking into {o}
[chats] on {o} | chatting on {o}
[is] listening to {o} | listening to {o}
""")

PHONE_IN_VIEW = actions("""
[is] looking at {his} {n} | looking at {his} {n}
[is] looking down at {o} | looking down at {o}
[holds] {o} in {his} {side} hand | holding {o} in {his} {side} hand
[is] using {o} | using {o}
[is] texting on {o} | texting on {o}
[stares] at {o} | staring at {o}
[checks] {his} {n} | checking {his} {n}
[is] typing on {o} | typing on {o}
[is] scrolling on {o} | scrolling on {o}
[reads] something on {o} | reading something on {o}
""")

UMBRELLA_ACTIONS = actions("""
[is] holding {o} overhead | holding {o} overhead
[is] sheltering under {o} | sheltering under {o}
[carries] {o} | carrying {o}
[holds] {o} up | holding {o} up
[is] covered by {o} | covered by {o}
""")

OBJECT_ACTIONS = actions("""
[is] holding {o} in {his} {side} hand | holding {o} in {his} {side} hand
[holds] {o} | holding {o}
[is] carrying {o} | carrying {o}
[has] {o} in {his} {side} hand | with {o} in {his} {side} hand
[clutches] {o} | clutching {o}
[grasps] {o} with one hand | grasping {o} with one hand
[keeps] {o} in hand | keeping {o} in hand
[clasps] {o} | clasping {o}
[has] {o} with {him} | bringing {o}
""")

WALKING = actions("""
[is] walking | walking
[walks] | walking
[is] striding along | striding along
[is] mid-stride | mid-stride
[appears] to be walking | walking along
[is] taking a step | taking a step
[strolls] along | strolling
[is] on the move | on the move
[is] on foot | going on foot
[marches] along | marching along
[moves] at a steady pace | moving at a steady pace
[is] captured walking | captured walking
[wanders] along | wandering along
[is] stepping out | stepping out
""")

STANDING = actions("""
[is] standing | standing
[stands] still | standing still
[is] standing upright | standing upright
[is] waiting | waiting
[appears] to be waiting | waiting around
[is] not moving | not moving
[poses] | posing
[is] motionless | standing motionless
[remains] in one spot | staying in one spot
[pauses] | pausing
""")

WALKING_BY_VIEW: dict[str, tuple[Action, ...]] = {
    "back": actions("""
[is] walking away from the camera | walking away from the camera
[walks] away | walking away
[is] heading away | heading away
[moves] into the distance | moving into the distance
[is] seen walking from behind | seen walking from behind
"""),
    "front": actions("""
[is] walking toward the camera | walking toward the camera
[is] coming toward the camera | heading forward
[is] approaching the camera | approaching the camera
[walks] straight ahead | walking straight ahead
[advances] | advancing
[comes] closer | coming closer
"""),
    "side": actions("""
[is] walking to the {way} | walking to the {way}
[is] heading {way} | heading {way}
[crosses] to the {way} | crossing to the {way}
[passes] by in profile | passing by in profile
[moves] across the frame | moving across the frame
"""),
}

FACING: dict[str, tuple[Action, ...]] = {
    "back": actions("""
[is] facing away | facing away
[is] seen from behind | seen from behind
[has] turned away | turned away from the camera
[has] {his} back to the camera | with {his} back to the camera
[shows] only {his} back | showing only {his} back
[is] viewed from the rear | viewed from the rear
"""),
    "front": actions("""
[is] facing the camera | facing the camera
[faces] forward | facing forward
[is] seen from the front | seen from the front
[is] turned to the viewer | turned to the viewer
[looks] ahead | looking ahead
"""),
    "side": actions("""
[is] facing {way} | facing {way}
[is] shown in profile | in profile
[is] seen from the side | seen from the side
[is] turned sideways | turned sideways
[shows] {his} {way} profile | in {way} profile
"""),
}
