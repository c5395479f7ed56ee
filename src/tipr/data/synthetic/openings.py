"""How a caption begins: the person and what they wear, in one of seven kinds of sentence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tipr.data.synthetic.annotators import Voice
from tipr.data.synthetic.deeds import Deed
from tipr.data.synthetic.facts import Seen
from tipr.data.synthetic.people_words import Reference
from tipr.data.synthetic.phrases import Garment
from tipr.data.synthetic.sentences import Clause, other_clause, personal_clause
from tipr.data.synthetic.text import Text, about, listed

TOP_DOWN = ("hat", "glasses", "mask", "scarf", "top", "tie", "belt", "lower", "shoes", "gloves")
SALIENT = ("top", "lower", "shoes", "hat", "scarf", "glasses", "mask", "tie", "belt", "gloves")
GARMENTS = ("top", "lower", "shoes")
STYLES = (("plain", 0.30), ("split", 0.22), ("fragment", 0.14), ("fronted", 0.08),
          ("coloured", 0.10), ("shown", 0.10), ("having", 0.06))  # fmt: skip
WEARS = ("[is] wearing", "[is] wearing", "[wears]", "[wears]", "[has] on", "[is] sporting")
DRESSES = (*WEARS, "[is] dressed in", "[is] clad in", "[is] in", "[is] attired in",
           "[is] outfitted in", "[is] seen in")  # fmt: skip
WEARING = ("wearing", "wearing", "sporting", "who [wears]", "who [is] wearing")
DRESSED = (*WEARING, "dressed in", "in", "clad in", "who [is] dressed in", "attired in")
SHOWN = ("this is", "the image shows", "the picture shows", "in the photo is", "there is",
         "pictured is", "we see", "the photo depicts", "the photograph shows", "here is",
         "this shot shows", "the snapshot captures", "visible in the frame is", "the camera shows",
         "it is a picture of")  # fmt: skip
PLACES = (
    " in the picture",
    " in the image",
    " in this photo",
    " in the shot",
    " on view",
    " shown",
)


@dataclass
class Plan:
    """What a caption is going to say: a phrase for each topic; `told` are the deeds used up."""

    seen: Seen
    person: Reference
    topics: dict[str, Text | Garment | Deed] = field(default_factory=dict)
    told: list[Deed] = field(default_factory=list)

    def deeds(self) -> list[Deed]:
        return [phrase for phrase in self.topics.values() if isinstance(phrase, Deed)]

    def text(self, topic: str) -> Text:
        phrase = self.topics[topic]
        if isinstance(phrase, Garment):
            return phrase.phrase()
        return phrase.finite if isinstance(phrase, Deed) else phrase

    def features(self) -> list[Text]:
        return [self.text(topic) for topic in ("hair", "beard") if topic in self.topics]

    def worn(self, order: str) -> list[str]:
        """The things worn, in this order; at least one, in words that claim nothing if need be."""
        names = SALIENT if order == "salient" else TOP_DOWN
        names = [name for name in names if name in self.topics]
        if not names:
            self.topics["top"] = about("clothes that are hard to make out")
            return ["top"]
        return names[::-1] if order == "bottom" else names


def opening(plan: Plan, voice: Voice) -> list[Clause]:
    """The sentences that name the person, what they wear and how they look."""
    rng = voice.rng
    order = voice.annotator.order if rng.chance(0.7) else rng.pick(("top", "salient", "bottom"))
    names = plan.worn(order)
    features = plan.features()
    subject = plan.person.introduced(definite=voice.annotator.definite and rng.chance(0.6))
    if subject.words.startswith("the ") and rng.chance(0.2):
        subject = subject + voice.word("place", PLACES)
    beside = bool(features) and rng.chance(0.62)
    style = rng.weighted(STYLES)
    if style == "having" and features:
        return _having(plan, voice, names, subject)
    if beside:
        subject = subject + " with " + listed(features, " and ")
    build = {"split": _split, "fragment": _fragment, "fronted": _fronted, "coloured": _coloured,
             "shown": _shown}.get(style, _plain)  # fmt: skip
    clauses = build(plan, voice, names, subject)
    if features and not beside:
        verb = voice.word("having", ("[has]", "[has]", "[has] got", "[sports]"))
        clause = personal_clause(plan.person, f"{verb} " + listed(features, " and "))
        clause = replace(clause, grown=True)
        clauses.insert(len(clauses) if rng.chance(0.55) else 1, clause)
    return clauses


def _list(plan: Plan, voice: Voice, names: list[str]) -> Text:
    """The things worn as a list; a pair of garments may be paired, not just added."""
    texts = [plan.text(name) for name in names]
    if len(texts) == 2 and names[0] in GARMENTS and names[1] in GARMENTS:
        links = (" and ", " and ", " with ", " along with ", " paired with ", " together with ",
                 " teamed with ", " matched with ")  # fmt: skip
        return listed(texts, voice.word("pairing", links))
    return listed(texts, ", and " if voice.annotator.serial_comma and len(texts) > 2 else " and ")


def _verb(voice: Voice, names: list[str], dress: tuple[str, ...], wear: tuple[str, ...]) -> str:
    """Nobody is dressed in glasses: such verbs need a garment first."""
    return voice.word("wear", dress if names[0] in GARMENTS else wear)


def _plain(plan: Plan, voice: Voice, names: list[str], subject: Text) -> list[Clause]:
    last: list[Clause] = []
    if len(names) > 2 and names[-1] == "shoes" and voice.rng.chance(0.35):
        names, last = names[:-1], [_shoes(plan, voice)]
    verb = _verb(voice, names, DRESSES, WEARS)
    return [Clause(subject + f" {verb} " + _list(plan, voice, names), personal=True), *last]


def _shoes(plan: Plan, voice: Voice) -> Clause:
    """Shoes in a sentence of their own."""
    shoes, his = plan.topics["shoes"], plan.person.his
    wearing = f"{voice.word('wear', WEARS)} " + plan.text("shoes")
    if voice.rng.chance(0.3) or not isinstance(shoes, Garment):
        return personal_clause(plan.person, wearing)
    if voice.rng.chance(0.3):
        return other_clause(shoes.statement(his))
    frames = (f"on {his} feet are ", f"{his} footwear consists of ", f"{his} feet are in ")
    return other_clause(voice.rng.pick(frames) + plan.text("shoes"))


def _split(plan: Plan, voice: Voice, names: list[str], subject: Text) -> list[Clause]:
    """Half of the things in one sentence, the rest in another."""
    if len(names) < 2:
        return _plain(plan, voice, names, subject)
    cut = 1 if len(names) < 4 else 2
    verb = _verb(voice, names, DRESSES, WEARS)
    first = Clause(subject + f" {verb} " + _list(plan, voice, names[:cut]), personal=True)
    rest = _list(plan, voice, names[cut:])
    if voice.rng.chance(0.3):
        verb = voice.word("includes", ("includes", "also includes", "is completed by", "features"))
        return [first, other_clause(f"{plan.person.his} outfit {verb} " + rest)]
    verbs = ("[is] also wearing", "also [wears]", "[has] on", "[is] wearing", "[wears]",
             "additionally [wears]")  # fmt: skip
    return [first, personal_clause(plan.person, f"{voice.word('also', verbs)} " + rest)]


def _fragment(plan: Plan, voice: Voice, names: list[str], subject: Text) -> list[Clause]:
    """`A man in a red coat`: no finite verb."""
    verb = _verb(voice, names, DRESSED, WEARING)
    text = subject + f" {verb} " + _list(plan, voice, names)
    return [Clause(text, personal=True, finite=False)]


def _fronted(plan: Plan, voice: Voice, names: list[str], subject: Text) -> list[Clause]:
    """`Carrying a bag, the man wears ...`."""
    deeds = plan.deeds()
    if not deeds:
        return _plain(plan, voice, names, subject)
    deed = voice.rng.pick(deeds)
    plan.told.append(deed)
    verb = _verb(voice, names, DRESSES, WEARS)
    text = deed.participle + ", " + subject + f" {verb} " + _list(plan, voice, names)
    return [Clause(text, personal=True)]


def _coloured(plan: Plan, voice: Voice, names: list[str], subject: Text) -> list[Clause]:
    """`... wears a red coat. Her jeans are blue and her shoes are white.`"""
    said = [name for name in ("lower", "shoes") if name in names]
    others = [name for name in names if name not in said]
    if not said or not others:
        return _plain(plan, voice, names, subject)
    garments = [plan.topics[name] for name in said]
    his = plan.person.his
    states = [item.statement(his) for item in garments if isinstance(item, Garment)]
    link = voice.rng.pick((" and ", " while ", "; "))
    return [*_plain(plan, voice, others, subject), other_clause(listed(states, link))]


def _shown(plan: Plan, voice: Voice, names: list[str], subject: Text) -> list[Clause]:
    """`The picture shows a man in a red coat`."""
    clause = _fragment(plan, voice, names, subject)[0]
    frame = voice.word("shown", SHOWN)
    return [Clause(f"{frame} " + clause.text, personal=True, finite=False)]


def _having(plan: Plan, voice: Voice, names: list[str], subject: Text) -> list[Clause]:
    """`The man has black hair and is wearing ...`."""
    verb = _verb(voice, names, DRESSES, WEARS)
    looks = voice.word("having", ("[has]", "[has]", "[has] got", "[sports]"))
    text = subject + f" {looks} " + listed(plan.features(), " and ") + f" and {verb} "
    return [Clause(text + _list(plan, voice, names), personal=True, grown=True)]
