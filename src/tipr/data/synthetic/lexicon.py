"""Words for what people wear, carry and look like: several for each thing, as people say it.

In the tables a word that stands twice is twice as common, and `large|bag` puts `large` before the
colour: "a large brown bag". Spelling is American; `spelled` turns it British. `BRITISH` and
`AMERICAN` are words that only one side of the ocean uses.
"""

from __future__ import annotations

import re


def table(text: str) -> dict[str, tuple[str, ...]]:
    """`thing: word, word, ...` lines; a line that starts with a space goes on with the last."""
    entries = re.sub(r"\n +", " ", text.strip()).split("\n")
    pairs = (entry.split(": ", 1) for entry in entries)
    return {thing: tuple(words.split(", ")) for thing, words in pairs}


COLOURS = table("""
black: black, black, black, black, black, dark, jet black, pitch black, inky black, ebony
white: white, white, white, white, white, bright white, pure white, snow white, crisp white
gray: gray, gray, gray, gray, gray, medium gray, ash gray, slate, stone gray, heather gray
dark gray: dark gray, charcoal, charcoal gray, graphite, slate gray, gunmetal
light gray: light gray, pale gray, silver, silver-gray, dove gray, smoky gray
red: red, red, red, red, red, bright red, scarlet, crimson, cherry red, ruby, tomato red,
    vermilion
dark red: maroon, burgundy, dark red, wine red, wine-colored, oxblood, claret, deep red, garnet
pink: pink, pink, pink, pink, light pink, rose, salmon pink, bubblegum pink, blush pink, dusty
    pink, pastel pink
orange: orange, orange, orange, orange, bright orange, tangerine, pumpkin orange, burnt orange,
    coral, apricot
yellow: yellow, yellow, yellow, yellow, mustard yellow, golden yellow, lemon yellow, mustard,
    sunflower yellow, canary yellow, amber
green: green, green, green, green, bright green, grass green, emerald, kelly green, jade, leaf
    green
dark green: dark green, forest green, deep green, bottle green, hunter green, pine green
olive: olive, olive green, army green, khaki green, military green, moss green
light green: light green, pale green, mint green, lime green, pistachio, sage, mint
blue: blue, blue, blue, blue, blue, royal blue, bright blue, cobalt, cobalt blue, azure, sapphire
    blue, electric blue
navy: navy, navy, navy, navy, navy blue, dark blue, deep blue, midnight blue
light blue: light blue, sky blue, pale blue, baby blue, powder blue, ice blue
teal: teal, turquoise, blue-green, dark cyan, aqua, petrol blue, peacock blue
purple: purple, purple, purple, purple, violet, deep purple, plum, grape, royal purple, aubergine
lavender: lavender, lilac, light purple, pale purple, mauve, pale violet
brown: brown, brown, brown, brown, dark brown, chocolate brown, coffee-colored, chestnut, walnut
    brown, cocoa, mocha
beige: beige, beige, tan, light brown, sand-colored, camel, sandy, fawn, taupe, oatmeal
khaki: khaki, khaki, tan, brownish, dark beige, sandy brown, dusty brown
cream: cream, off-white, ivory, cream-colored, eggshell, vanilla, ecru
denim: blue, blue, medium blue, faded blue, classic blue, mid-blue
light denim: light blue, faded, pale blue, washed-out blue, bleached, light-wash
dark denim: dark blue, deep blue, indigo, dark indigo, dark-wash
""")

HAIR_COLOURS = table("""
black: black, black, dark, jet-black, raven
dark brown: dark brown, dark, brown, brunette
brown: brown, light brown, chestnut, nut-brown, mousy brown
blond: blond, blonde, light-colored, golden, fair, sandy
gray: gray, gray, silver, graying, salt-and-pepper
white: white, silver, snowy white, silvery white
red: red, auburn, ginger, reddish, copper
""")

HAIR = table("""
bald: a bald head, a shaved head, no hair, a clean-shaven head, a bare scalp
buzz: very short {c} hair, a {c} buzz cut, closely cropped {c} hair, short cropped {c} hair, a {c}
    crew cut, shaved {c} hair
short: short {c} hair, short {c} hair, neat {c} hair, {c} hair cut short, a short {c} haircut,
    tidy {c} hair, trimmed {c} hair
bob: shoulder-length {c} hair, chin-length {c} hair, a {c} bob, medium-length {c} hair, a {c} bob
    haircut, {c} hair cut to the chin
long: long {c} hair, long {c} hair, long straight {c} hair, {c} hair worn long, long flowing {c}
    hair, long loose {c} hair, {c} hair falling past the shoulders
ponytail: {c} hair in a ponytail, a {c} ponytail, {c} hair tied back in a ponytail, {c} hair
    pulled into a ponytail, {c} hair gathered in a ponytail
bun: {c} hair in a bun, {c} hair tied up in a bun, a {c} bun, {c} hair twisted into a bun, {c}
    hair pinned up in a bun, a knot of {c} hair
tied: {c} hair tied back, {c} hair pulled back, {c} hair drawn back, tied-back {c} hair
curly: curly {c} hair, short curly {c} hair, {c} curls, wavy {c} hair, frizzy {c} hair
afro: a {c} afro, big curly {c} hair, bushy {c} hair, thick frizzy {c} hair
""")

UPPER = table("""
t-shirt: t-shirt, t-shirt, tee shirt, tee, tshirt, crew-neck tee, cotton t-shirt
shirt: shirt, shirt, button-up shirt, button-down shirt, collared shirt, dress shirt, buttoned
    shirt
blouse: blouse, blouse, top, shirt, tunic
polo shirt: polo shirt, polo, collared polo shirt, golf shirt, polo top
tank top: tank top, sleeveless top, strappy top, singlet, camisole, sleeveless shirt
sweater: sweater, pullover, jumper, knit sweater, knitted top, woolen sweater, woolly jumper,
    sweatshirt
hoodie: hoodie, hooded sweatshirt, hooded sweater, hoody, hooded top, hooded jumper
dress: dress, dress, one-piece dress, gown, frock, summer dress
""")

OUTER = table("""
jacket: jacket, jacket, zip-up jacket, bomber jacket, windbreaker, casual jacket
coat: coat, coat, overcoat, long|coat, trench coat, topcoat, winter coat
blazer: blazer, suit jacket, suit coat, sport coat, sports jacket, tailored jacket
cardigan: cardigan, knit cardigan, cardigan sweater, knitted cardigan, woolen cardigan
puffer jacket: puffer jacket, down jacket, padded jacket, quilted jacket, puffy|coat, puffer coat,
    padded coat
hoodie: hoodie, hooded jacket, zip-up hoodie, zipped hoodie, hooded top
vest: vest, puffer vest, sleeveless jacket, padded vest, gilet, body warmer, waistcoat, padded
    waistcoat
raincoat: raincoat, rain jacket, waterproof coat, parka, mackintosh, anorak
""")

LOWER = table("""
jeans: jeans, jeans, denim jeans, denim pants, denim trousers
trousers: pants, trousers, slacks, dress pants, chinos, suit trousers
leggings: leggings, tight|pants, tight|trousers, stretch pants, stretchy|leggings, yoga pants
shorts: shorts, shorts, knee-length|shorts, bermuda shorts, short|pants, short|trousers
joggers: sweatpants, joggers, track pants, jogging pants, jogging bottoms, tracksuit bottoms,
    sports trousers
skirt: skirt, skirt, skirt, a-line skirt
dress: dress
""")

SHOES = table("""
sneakers: sneakers, sneakers, shoes, tennis shoes, trainers, athletic shoes, running shoes, sports
    shoes, gym shoes, sport shoes, lace-up trainers
boots: boots, boots, ankle boots, leather boots, bootees, lace-up boots
heels: high heels, heels, pumps, high-heeled|shoes, stilettos, court shoes
sandals: sandals, open-toed|sandals, strappy|sandals, summer sandals
flats: flats, flat|shoes, ballet flats, shoes, slip-on shoes, ballerinas, ballet pumps
dress shoes: dress shoes, leather shoes, shoes, loafers, oxfords, brogues, smart|shoes,
    formal|shoes
""")

BAGS = table("""
backpack: backpack, backpack, rucksack, knapsack, school bag, book bag, daypack
shoulder bag: shoulder bag, bag, purse, satchel, hobo bag, leather bag
crossbody bag: crossbody bag, messenger bag, sling bag, small|bag, cross-body bag
handbag: handbag, purse, hand bag, pocketbook, small|handbag
tote bag: tote bag, tote, large|bag, canvas bag, roomy|bag, big|bag
shopping bag: shopping bag, paper bag, carrier bag, plastic bag, grocery bag
suitcase: suitcase, rolling suitcase, wheeled suitcase, trolley case, travel case
briefcase: briefcase, document case, laptop bag, work bag, attache case
""")

CARRIED = table("""
phone: phone, phone, cell phone, mobile phone, smartphone, cellphone, mobile
cup: cup, coffee cup, paper cup, cup of coffee, takeaway cup, to-go cup, beaker
bottle: bottle, water bottle, plastic bottle, drink bottle, drinks bottle, flask
book: book, folder, notebook, binder, textbook, notepad
umbrella: umbrella, umbrella, open|umbrella, parasol, brolly
""")

HATS = table("""
cap: cap, baseball cap, hat, ball cap, peaked cap, sports cap
beanie: beanie, knit hat, knit cap, woolen hat, winter hat, bobble hat, stocking cap, woolly hat
sunhat: hat, wide-brimmed|hat, sun hat, brimmed hat, summer hat, straw hat
headscarf: headscarf, head scarf, headscarf, hijab, head covering
""")

PATTERNS = table("""
plain: plain, solid, plain, single-colored
horizontal stripes: striped, horizontally striped, stripy, horizontal-striped
vertical stripes: vertically striped, pinstriped, striped, vertical-striped
plaid: plaid, checkered, checked, tartan, plaid, gingham
dots: polka dot, dotted, spotted, polka-dotted, spotty
floral: floral, flowered, flower-print, floral print, flowery
color block: two-tone, color-block, two-toned, color-blocked, bicolor
""")

ACCESSORIES = table("""
glasses: glasses, glasses, eyeglasses, dark-framed glasses, spectacles, specs, black-rimmed
    glasses, a pair of glasses
sunglasses: sunglasses, dark sunglasses, a pair of sunglasses, shades, dark glasses
mask: a face mask, a mask, a surgical mask, a face covering, a protective mask
scarf: scarf, scarf, neck scarf, knit scarf, muffler, woolen scarf, shawl
tie: a tie, a necktie, a neat tie, a formal tie
belt: a belt, a belt, a waist belt, a belt at the waist
gloves: gloves, a pair of gloves, dark gloves, winter gloves, black gloves
beard: a beard, a short beard, facial hair, a trimmed beard, a full beard, stubble, a bearded
    face, whiskers
""")

BRITISH = frozenset(
    table("""
words: anorak, ballerinas, beaker, bloke, bobble, bootees, bottoms, brolly, carrier, chap, court,
    drinks, flowery, frock, gilet, jumper, mackintosh, mobile, rucksack, specs, spotty, stripy,
    takeaway, trainers, trousers, waistcoat, woolly
""")["words"]
)

AMERICAN = frozenset(
    table("""
words: cell, cellphone, daypack, grocery, knapsack, pants, plaid, pocketbook, purse, slacks,
    sneakers, sweatpants, tennis, to-go, vest
""")["words"]
)

_BRITISH_SPELLING = {
    "gray": "grey",
    "color": "colour",
    "woolen": "woollen",
    "checkered": "chequered",
    "toward ": "towards ",
    "traveling": "travelling",
}


def spelled(text: str, *, british: bool) -> str:
    """The text in British spelling, or as it is."""
    for american, spelling in _BRITISH_SPELLING.items() if british else ():
        text = text.replace(american, spelling)
    return text
