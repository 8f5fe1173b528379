"""A thousand everyday descriptions of photographs, the background that `find` compares a query's similarities with.

    python -m train descriptions --to photosearch/search/descriptions.txt

Random combinations of the lists below only: no data set's captions are in them.
"""

import random
from pathlib import Path

LINES, SEED = 1000, 20
WHO = """a woman; a man; a little girl; a boy; two friends; an old couple; a family; a baby; three children; a
crowd of people; a cyclist; a waiter; a farmer; a tourist; a nurse; a football team; a bride and groom; a street
musician; a fisherman; a teenager in a red jacket; my grandmother; a group of hikers; a runner; a painter; a
chef; a toddler; a teacher; a swimmer; a man with a beard; a woman in a hat; a dancer; two sisters; a
construction worker; a shopkeeper"""
DOES = """smiling at the camera; eating breakfast; reading a newspaper; riding a bicycle; holding an umbrella;
blowing out candles on a cake; walking a dog; playing the guitar; waiting for a train; sleeping on a sofa;
building a sandcastle; jumping into the water; throwing a ball; drinking coffee; climbing a rock; opening a
present; washing a car; picking apples; talking on the phone; taking a picture; skiing downhill; dancing;
pushing a pram; cooking dinner; carrying shopping bags; looking out of the window; feeding ducks; painting a
fence; playing chess; kicking a ball; riding a horse; sitting on a bench; singing on a stage; running through
the rain; planting flowers"""
WHERE = """on the beach; in the park; in the kitchen; at a party; in the snow; on a busy street; in front of a
church; by the lake; in the garden; at the airport; on a boat; in a restaurant; at the zoo; in the mountains; on
a bridge; in the living room; at the market; under a tree; at night; in the forest; on the stairs; in a
classroom; at the stadium; next to a fountain; on a farm; in a museum; at the swimming pool; in an office; on
the balcony; at sunset"""
THING = """a black dog; a white cat; a plate of pasta; a birthday cake; a red sports car; an old steam train; a
sailing boat; a bunch of tulips; a wooden chair; a stack of books; a laptop; a cup of tea; a mountain bike; a
teddy bear; a bowl of fruit; a grey horse; a flock of birds; a yellow bus; a pair of shoes; a Christmas tree; a
stone bridge; a butterfly; a pizza; a piano; a tent; a snowman; a hot air balloon; a lighthouse; a herd of
sheep; a fire engine; a glass of wine; a motorcycle; an elephant; a parked van; a blue door; a street sign; a
pumpkin; a fishing rod; a fox; a kite; a washing line; a spider's web; a clock on a wall; an empty swing; a
suitcase; a tractor; a swan; a ladder"""
HOW = """close up; seen from above; in black and white; covered in snow; in the morning light; out of focus; at
night; in the rain; on a table; on green grass; behind a fence; reflected in water; against a blue sky; in the
shade; on a wooden floor; in the corner of a room; beside a road; on a shelf; in autumn; with mountains
behind"""
SCENE = """a sandy beach with waves; a snowy mountain; a quiet village street; a city skyline at night; a field
of wheat; a rainbow over hills; a dark forest; a harbour full of boats; a waterfall; fireworks over a river; a
desert road; a crowded concert; an empty classroom; a church with two towers; a market with vegetables; a frozen
lake; the full moon; a foggy morning; a vineyard; a row of old houses; a railway station; a garden in bloom;
cliffs above the sea; a swimming pool; a football stadium; a narrow alley; a cloudy sky; an airport runway; a
kitchen with white cupboards; a bedroom with a large window; a library; a playground; a parking lot; a river
through a valley; a sunset over water; an island; a construction site; a highway with traffic; a palm tree; a
cemetery; a ski slope; a camp site; a sand dune"""
WHEN = (
    """; in summer; in winter; in the evening; at dawn; after a storm; on a sunny day; years ago; during the holidays"""
)
PAPER = """a receipt; a screenshot of a chat; a page of handwriting; a map; a passport; a menu; a whiteboard
full of notes; a train ticket; a business card; a drawing by a child; a newspaper article; a sheet of music; a
poster; a bar chart; a letter; a crossword; a QR code; a sign that says closed; a calendar; a shopping list"""


def write(to: Path) -> None:
    to.write_text("\n".join(invent(LINES, SEED)) + "\n", encoding="utf-8")


def invent(n: int, seed: int) -> list[str]:
    """n different descriptions, sorted; the same ones for the same seed."""
    rng = random.Random(seed)
    who, does, where, thing, how, scene, when, paper = (
        [part.strip() for part in text.replace("\n", " ").split(";")]
        for text in (WHO, DOES, WHERE, THING, HOW, SCENE, WHEN, PAPER)
    )
    pick = rng.choice
    patterns = (
        lambda: f"{pick(who)} {pick(does)}",
        lambda: f"{pick(who)} {pick(does)} {pick(where)}",
        lambda: f"{pick(who)} {pick(where)}",
        lambda: f"{pick(thing)} {pick(how)}",
        lambda: f"{pick(thing)} {pick(where)}",
        lambda: f"{pick(thing)} and {pick(thing)}",
        lambda: f"{pick(who)} with {pick(thing)}",
        lambda: f"{pick(scene)} {pick(when)}".strip(),
        lambda: pick([*thing, *scene, *paper]),
        lambda: f"{pick(paper)} {pick(['on a desk', 'close up', 'on a wall', 'out of focus', 'held in one hand'])}",
    )
    descriptions: set[str] = set()
    while len(descriptions) < n:
        descriptions.add(pick(patterns)())
    return sorted(descriptions)
