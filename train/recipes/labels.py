"""The words that the sight model knows: ImageNet's thousand classes as a person would type them, and what is above.

WordNet 3.0 says which classes are dogs and which are birds. Where its hierarchy is not what a person means (to
WordNet a cougar is no big cat, and a beer glass holds no drink), a reviewed line below says so. Writes two tables that
the installed tool reads: labels.csv (label, WordNet id, ImageNet's index or nothing, the labels right above it) and
synonyms.csv (word, label). A word that could mean two labels is in neither: `crane` is a bird or a machine, so it has
to be said which. Labels are in lower case; the classes come first, in ImageNet's order, which is the model's.

    python -m train.recipes.labels --wordnet /usr/share/wordnet --classes imagenet-1k.txt --to photosearch/search

1,000 classes and 183 words above them; the figures are printed.
"""

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from train.data import wordnet

# What ImageNet calls a class -> what a person types. A number where ImageNet has the name twice.
NAMES: dict[str | int, str] = {
    134: "crane bird", 517: "construction crane", 264: "cardigan corgi", 474: "cardigan",
    638: "maillot", 639: "one-piece swimsuit", 836: "sunglass", 837: "dark glasses",
    "hammerhead": "hammerhead shark", "cock": "rooster", "water ouzel": "dipper", "kite": "kite bird",
    "European fire salamander": "fire salamander", "common newt": "newt", "loggerhead": "loggerhead turtle",
    "common iguana": "iguana", "American chameleon": "anole", "whiptail": "whiptail lizard",
    "African chameleon": "chameleon", "African crocodile": "crocodile", "American alligator": "alligator",
    "thunder snake": "worm snake", "diamondback": "diamondback rattlesnake", "sidewinder": "sidewinder rattlesnake",
    "African grey": "african grey parrot", "sulphur-crested cockatoo": "cockatoo",
    "red-breasted merganser": "merganser", "Dungeness crab": "dungeness crab", "American egret": "egret",
    "European gallinule": "gallinule", "American coot": "coot", "ruddy turnstone": "turnstone",
    "red-backed sandpiper": "sandpiper", "king penguin": "penguin", "Japanese spaniel": "japanese chin",
    "Maltese dog": "maltese", "Pekinese": "pekingese", "papillon": "papillon dog", "basset": "basset hound",
    "bluetick": "bluetick coonhound", "redbone": "redbone coonhound", "English foxhound": "foxhound",
    "Norwegian elkhound": "elkhound", "Scottish deerhound": "deerhound",
    "Staffordshire bullterrier": "staffordshire bull terrier", "wire-haired fox terrier": "fox terrier",
    "Airedale": "airedale terrier", "cairn": "cairn terrier", "Dandie Dinmont": "dandie dinmont terrier",
    "Boston bull": "boston terrier", "Scotch terrier": "scottish terrier",
    "soft-coated wheaten terrier": "wheaten terrier", "Lhasa": "lhasa apso",
    "German short-haired pointer": "german shorthaired pointer", "clumber": "clumber spaniel",
    "English springer": "english springer spaniel", "boxer": "boxer dog", "bull mastiff": "bullmastiff",
    "Leonberg": "leonberger", "Newfoundland": "newfoundland dog", "chow": "chow chow",
    "Brabancon griffon": "brussels griffon", "Pembroke": "pembroke corgi", "Mexican hairless": "mexican hairless dog",
    "timber wolf": "grey wolf", "African hunting dog": "african wild dog", "tabby": "tabby cat",
    "American black bear": "black bear", "ice bear": "polar bear", "cricket": "cricket insect",
    "walking stick": "stick insect", "mantis": "praying mantis", "admiral": "admiral butterfly",
    "ringlet": "ringlet butterfly", "monarch": "monarch butterfly", "lycaenid": "lycaenid butterfly",
    "wood rabbit": "cottontail", "Angora": "angora rabbit", "fox squirrel": "squirrel", "sorrel": "horse",
    "hog": "pig", "bighorn": "bighorn sheep", "Arabian camel": "camel", "black-footed ferret": "ferret",
    "three-toed sloth": "sloth", "patas": "patas monkey", "colobus": "colobus monkey", "titi": "titi monkey",
    "Madagascar cat": "ring-tailed lemur", "lesser panda": "red panda", "coho": "coho salmon",
    "rock beauty": "rock beauty fish", "anemone fish": "clownfish", "puffer": "pufferfish",
    "amphibian": "amphibious vehicle", "ashcan": "trash can", "ballpoint": "ballpoint pen", "bannister": "banister",
    "barrow": "wheelbarrow", "bathing cap": "swimming cap", "beach wagon": "station wagon", "beacon": "lighthouse",
    "bearskin": "bearskin hat", "bell cote": "bell tower", "bicycle-built-for-two": "tandem bicycle",
    "binder": "ring binder", "bow": "archery bow", "brass": "brass plaque", "brassiere": "bra", "cab": "taxi",
    "caldron": "cauldron", "carpenter's kit": "toolbox", "cellular telephone": "mobile phone",
    "chainlink fence": "chain-link fence", "chain mail": "chainmail", "chain saw": "chainsaw",
    "chest": "wooden chest", "chiffonier": "chest of drawers", "chime": "wind chime", "confectionery": "candy store",
    "cornet": "trumpet", "dial telephone": "rotary phone", "dishrag": "dishcloth", "disk brake": "disc brake",
    "drilling platform": "oil rig", "espresso maker": "coffee machine", "file": "filing cabinet",
    "fire engine": "fire truck", "four-poster": "four-poster bed", "gasmask": "gas mask", "golfcart": "golf cart",
    "grille": "car grille", "hair slide": "hair clip", "hair spray": "hairspray", "half track": "half-track",
    "hand blower": "hair dryer", "hand-held computer": "handheld computer", "hard disc": "hard drive",
    "harvester": "combine harvester", "jean": "jeans", "jersey": "t-shirt", "jinrikisha": "rickshaw",
    "laptop": "laptop computer", "liner": "ocean liner", "loupe": "magnifying glass", "lumbermill": "sawmill",
    "magnetic compass": "compass", "mask": "face mask", "medicine chest": "medicine cabinet",
    "mortar": "mortar and pestle", "mortarboard": "graduation cap", "mountain tent": "tent",
    "mouse": "computer mouse", "muzzle": "dog muzzle", "nipple": "baby bottle", "notebook": "notebook computer",
    "organ": "pipe organ", "paddlewheel": "paddle wheel", "pajama": "pajamas", "panpipe": "pan flute",
    "passenger car": "train car", "pay-phone": "pay phone", "pick": "guitar pick", "pickup": "pickup truck",
    "pirate": "pirate ship", "pitcher": "water pitcher", "plane": "wood plane", "pop bottle": "soda bottle",
    "pot": "flowerpot", "puck": "hockey puck", "racer": "race car", "racket": "tennis racket",
    "reel": "fishing reel", "reflex camera": "slr camera", "rubber eraser": "eraser", "rule": "ruler",
    "sax": "saxophone", "scale": "weighing scale", "screen": "computer screen", "slot": "slot machine",
    "steel arch bridge": "arch bridge", "streetcar": "tram", "studio couch": "sofa", "swab": "mop",
    "switch": "light switch", "tank": "army tank", "teddy": "teddy bear", "thatch": "thatched roof",
    "thresher": "threshing machine", "tile roof": "tiled roof", "toyshop": "toy shop",
    "trailer truck": "semi truck", "typewriter keyboard": "typewriter", "upright": "upright piano",
    "vacuum": "vacuum cleaner", "warplane": "fighter jet", "washbasin": "sink", "washer": "washing machine",
    "wing": "airplane wing", "worm fence": "split-rail fence", "wreck": "shipwreck", "web site": "website",
    "book jacket": "book cover", "plate": "plate of food", "ice lolly": "popsicle", "French loaf": "baguette",
    "hotdog": "hot dog", "head cabbage": "cabbage", "mushroom": "edible mushroom", "Granny Smith": "apple",
    "carbonara": "pasta carbonara", "meat loaf": "meatloaf", "potpie": "pot pie", "alp": "mountain peak",
    "promontory": "headland", "ballplayer": "baseball player", "groom": "bridegroom", "rapeseed": "rapeseed field",
    "yellow lady's slipper": "lady's slipper orchid", "corn": "sweetcorn", "ear": "ear of corn", "hip": "rose hip",
    "buckeye": "horse chestnut", "stinkhorn": "stinkhorn mushroom", "hen-of-the-woods": "hen of the woods",
    "toilet tissue": "toilet paper", "American lobster": "american lobster", "Band Aid": "band-aid",
    "Crock Pot": "crock pot", "cup": "cup of punch", "car wheel": "car wheel", "gar": "gar fish",
    "sulphur butterfly": "sulphur butterfly", "kelpie": "kelpie dog", "tiger cat": "tiger cat", "bib": "baby bib",
}  # fmt: skip

# A word above -> what is below it: WordNet ids (every class below that one), labels named here; `-` takes away.
ABOVE = """
animal: n00015388
mammal: n01861778
pet: dog, cat, hamster, guinea pig, angora rabbit, goldfish
farm animal: chicken, goose, horse, pig, ox, water buffalo, ram, llama
dog: n02084071
hound: n02087551
terrier: n02092468
retriever: n02099029
spaniel: n02101108
setter: n02100399
schnauzer: n02096756
poodle: n02113335
sheepdog: n02104523
mountain dog: n02107420
pinscher: n02106966
spitz: n02111626, siberian husky, malamute, eskimo dog
husky: siberian husky, malamute, eskimo dog
corgi: pembroke corgi, cardigan corgi
mastiff: bullmastiff, tibetan mastiff
coonhound: bluetick coonhound, black-and-tan coonhound, redbone coonhound
wolf: n02114100
fox: n02118333
wild dog: n02115335
feline: n02120997
cat: n02121808
big cat: n02127808, cougar
bear: n02131653
rabbit: n02323902
rodent: n02329401
swine: n02395003
cattle: ox, water buffalo, bison
sheep: ram, bighorn sheep
antelope: n02419796
primate: n02469914
ape: n02470325
great ape: n02480153
monkey: n02484322
lemur: ring-tailed lemur, indri
elephant: tusker, indian elephant, african elephant
panda: giant panda, red panda
whale: grey whale, killer whale
marine mammal: n02062017
marsupial: n01874434
bird: n01503061
songbird: n01525720
finch: n01529672
parrot: n01816887
duck: drake, merganser
waterfowl: duck, goose, black swan
water bird: n01844917, waterfowl
chicken: rooster, hen
bird of prey: n01604330
grouse: n01795088
heron: n02008041
stork: white stork, black stork
wading bird: n02000954
shorebird: n02022684
seabird: n02021795
reptile: n01661091
snake: n01726692
rattlesnake: diamondback rattlesnake, sidewinder rattlesnake
lizard: n01674464
turtle: n01662784
crocodilian: crocodile, alligator
amphibian: n01627424
frog: n01639765
salamander: n01629276
fish: n02512053
shark: n01482330
ray: electric ray, stingray
arthropod: n01767661
insect: n02159955
butterfly: n02274259
beetle: n02164464
spider: n01772222
crustacean: n01974773
crab: n01976957
lobster: american lobster, spiny lobster
mollusc: n01940736
plant: flower, horse chestnut, acorn, rose hip, sweetcorn, ear of corn, hay, cardoon, flowerpot, greenhouse
flower: daisy, lady's slipper orchid, rapeseed field, cardoon
mushroom: n12992868, edible mushroom
vehicle: n04524313, n04019101, train, aircraft, -shopping cart, -wheelbarrow
car: n02958343, car wheel, car grille
truck: n04490091, semi truck, -minivan
van: minivan, moving van, police van, minibus
bus: n02924116
train: bullet train, locomotive, freight car, train car, tram
locomotive: electric locomotive, steam locomotive
aircraft: n02686568, airplane wing
airplane: airliner, fighter jet, airplane wing
watercraft: n04530566
ship: n04194289, ocean liner, container ship
boat: canoe, fireboat, gondola, lifeboat, speedboat, sailboat
sailboat: catamaran, schooner, trimaran, yawl
bicycle: tandem bicycle, mountain bike
motorcycle: moped, motor scooter
farm vehicle: tractor, combine harvester, threshing machine
emergency vehicle: ambulance, fire truck, police van
military vehicle: n03764276
sled: bobsled, dogsled
cart: horse cart, oxcart
food: n07555863, n07557434, n07566340, n07609840, plate of food, guacamole, pizza, dough, chocolate sauce, corn, \
edible mushroom, fruit, vegetable, -hay
fruit: n07705931
citrus fruit: orange, lemon
vegetable: n07707451, corn
squash: n07715561
corn: sweetcorn, ear of corn
bread: n07679356
dessert: n07609840
fast food: cheeseburger, hot dog, pizza, burrito, pretzel
soup: consomme, hot pot, soup bowl
drink: n07881800, beer, wine, coffee mug, goblet, soda bottle
beer: beer bottle, beer glass
wine: red wine, wine bottle
coffee: espresso, coffee mug, coffeepot, coffee machine
building: n02913152, house, place of worship, castle, palace, bell tower, lighthouse, dome, barn, sawmill, shop, \
-home theater
house: n03259505, thatched roof, tiled roof, boathouse
place of worship: n03953416, stupa, monastery, bell tower
shop: n04202417, grocery store, n03748162
tower: lighthouse, bell tower, water tower
bridge: n02898711
fence: n03327234
roof: n04105068
monument: megalith, obelisk, triumphal arch, totem pole, stupa, brass plaque
furniture: n03405725
seat: n04161981
chair: n03001627, barber chair, folding chair, rocking chair
table: dining table, desk, pool table
bed: four-poster bed, crib, cradle, bassinet
baby bed: n02766320
cabinet: china cabinet, chest of drawers, medicine cabinet, filing cabinet, wardrobe
lamp: n03636248, lampshade
clothing: n03051540, shoe, hat
dress: gown, hoopskirt, overskirt
skirt: n04230808
coat: n03057021
hat: cowboy hat, sombrero, bearskin hat, bonnet, graduation cap, swimming cap, shower cap
helmet: crash helmet, football helmet, pickelhaube
shoe: n03380867
swimsuit: n04371563
tie: n03815615
armour: n02739668
mask: face mask, gas mask, ski mask, oxygen mask
bag: backpack, mailbag, plastic bag, purse
sunglasses: sunglass, dark glasses
musical instrument: n03800933
guitar: acoustic guitar, electric guitar
piano: grand piano, upright piano
wind instrument: n04586932
brass instrument: n02891788
stringed instrument: n04338517
percussion instrument: n03915437
sport: n04285146, ball, baseball player, scuba diver, ski, snorkel, scoreboard, football helmet, tennis racket, \
hockey puck, punching bag, barbell, dumbbell, swimming cap, knee pad, ski mask
ball: n02778669
weights: barbell, dumbbell
screen: computer screen, monitor, television
computer: n03082979, computer keyboard, computer mouse, monitor, computer screen, -slide rule
laptop: laptop computer, notebook computer
phone: n04401088
camera: polaroid camera, slr camera
clock: n03046257
watch: digital watch, stopwatch
keyboard: computer keyboard, typewriter, space bar
weapon: n04565375
gun: n03467984
tool: n04451818
kitchen utensil: n03621049
appliance: n02729837
bottle: n02876657
bowl: mixing bowl, soup bowl
basket: shopping basket, hamper
box: n02883344
toy: teddy bear, jigsaw puzzle, pinwheel, toy shop, balloon
book: comic book, book cover, library, bookshop, bookcase
pen: ballpoint pen, fountain pen, quill
cosmetics: lipstick, face powder, lotion, perfume, hairspray, sunscreen
curtain: shower curtain, theater curtain, window shade
towel: bath towel, paper towel
landscape: n09287968, lakeside
mountain: mountain peak, volcano
beach: seashore, sandbar
shore: seashore, sandbar, headland, lakeside, breakwater
"""

# Words that people type -> labels. Reviewed by hand; WordNet's own words and plurals are added by `gather`.
SAYINGS = """
dog: puppy, pup, doggy, doggie, hound dog, mutt, canine, pooch
cat: kitten, kitty, house cat, pussycat, domestic cat
horse: pony, foal, mare, stallion, horseback, sorrel
cattle: cow, bull, calf, buffalo
chicken: poultry
rooster: cock, cockerel
sheep: lamb, ewe
pig: hog, piglet
duck: duckling
goose: gosling
bird: birdie
penguin: king penguin
black swan: swan
bald eagle: eagle
great grey owl: owl
giant panda: panda bear
polar bear: ice bear
killer whale: orca
wallaby: kangaroo
triceratops: dinosaur
hippopotamus: hippo
chimpanzee: chimp
rabbit: bunny
squirrel: fox squirrel
insect: bug
car: automobile, auto, sedan, motorcar
taxi: cab, taxicab
race car: racecar, racing car, racer
pickup truck: pickup
semi truck: lorry, trailer truck, 18-wheeler
fire truck: fire engine
motorcycle: motorbike, dirt bike
motor scooter: vespa
bicycle: bike, cycle, push bike
airplane: plane, aeroplane, jet
airliner: jetliner
ocean liner: cruise ship, liner
sailboat: sailing boat, yacht
speedboat: motorboat
boat: rowboat, rowing boat
canoe: kayak
train: railway train
tram: streetcar, trolley
recreational vehicle: rv, camper, motorhome
food: meal, snack
apple: granny smith, green apple
pasta carbonara: pasta, spaghetti
cheeseburger: burger, hamburger
popsicle: ice lolly, ice pop
baguette: french loaf, french bread
zucchini: courgette
drink: beverage
place of worship: temple
shop: store
house: cottage
lighthouse: beacon
sofa: couch, settee
television: tv, telly, tv set, television set
refrigerator: fridge
mobile phone: cell phone, cellphone, cellular phone, smartphone
phone: telephone
sink: washbasin, basin
trash can: garbage can, dustbin, rubbish bin, wastebin
sunglasses: shades
swimsuit: bathing suit, swimwear
clothing: clothes, apparel, garment
hat: cap
shoe: footwear, boot
helmet: bike helmet
crash helmet: motorcycle helmet
tie: necktie
armour: armor
coat: overcoat
jeans: blue jeans, denim
t-shirt: tee shirt, tshirt, jersey
pajamas: pyjamas
diaper: nappy
purse: handbag
backpack: rucksack, knapsack
bra: brassiere
musical instrument: instrument
sport: sports
soccer ball: soccer
ski: skiing, skis
computer: pc
slr camera: dslr, reflex camera
landscape: scenery
mountain peak: alp, alps, summit
beach: sandy beach
seashore: coast, seaside, seacoast
lakeside: lake, lakeshore
shore: shoreline
mollusc: mollusk
flower: blossom, bloom
lady's slipper orchid: orchid
plant: flora
gun: firearm
hatchet: axe, ax
electric fan: fan
vacuum cleaner: hoover, vacuum
washing machine: washer
hair dryer: blow dryer, hairdryer
tent: camping tent
toilet seat: toilet
teddy bear: teddy, stuffed bear
traffic light: stoplight, traffic signal
bridegroom: groom
baseball player: ballplayer
scuba diver: diver
fire screen: fireguard
umbrella: parasol
balloon: hot air balloon
trumpet: cornet
saxophone: sax
drum: drums
cello: violoncello
brass instrument: brass
computer keyboard: keypad
necklace: jewelry, jewellery
coffee machine: espresso machine, espresso maker
wheelbarrow: barrow
army tank: tank
wooden spoon: spoon
frying pan: pan, frypan
plate of food: plate
"""

# What could mean two things that people photograph: no label answers to it alone.
AMBIGUOUS = frozenset(
    "crane kite cricket mouse bow pitcher horn organ file rule pick scale reel slot switch wing ear hip seal bat mole "
    "racket club park bank groom king queen bar boxer newfoundland cardigan scooter football hedgehog home".split()
)


@dataclass(frozen=True, slots=True)
class Label:
    """A row of labels.csv. index: ImageNet's, None for a word above. parents: the labels right above it."""

    name: str
    wnid: str
    index: int | None
    parents: tuple[str, ...]


def read_classes(path: str | Path) -> list[tuple[str, str]]:
    """(WordNet id, ImageNet's first name) in the order of the network's outputs; a line is `n01440764 tench`."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines if line.strip()]


def name_classes(classes: Sequence[tuple[str, str]]) -> list[str]:
    """What each class is called here, in lower case, no two alike. Raises ValueError."""
    names = [NAMES.get(i, NAMES.get(name, name)).lower() for i, (_, name) in enumerate(classes)]
    if twice := {n for n in names if names.count(n) > 1}:
        raise ValueError(f"named twice: {sorted(twice)}")
    if unused := {k for k in NAMES if isinstance(k, str)} - {name for _, name in classes}:
        raise ValueError(f"no class is called {sorted(unused)}")
    return names


def spread(
    lines: str, names: Sequence[str], classes: Sequence[tuple[str, str]], nouns: Mapping[str, wordnet.Synset]
) -> dict[str, frozenset[int]]:
    """ABOVE as sets of class indexes. Raises ValueError where a line names what is not there or two are the same."""
    index = {name: i for i, name in enumerate(names)}
    below: dict[str, set[int]] = {}
    for i, (wnid, _) in enumerate(classes):
        for id in wordnet.everything_above(wnid, dict(nouns)):
            below.setdefault(id, set()).add(i)
    rules = dict(line.split(":", 1) for line in lines.replace("\\\n", "").splitlines() if line.strip())
    found: dict[str, frozenset[int]] = {}

    def resolve(word: str) -> frozenset[int]:
        if word in found:
            return found[word]
        if word in rules:
            parts = [p.strip() for p in rules[word].split(",")]
            some: set[int] = set()
            for part in parts:
                some = some - resolve(part[1:]) if part.startswith("-") else some | resolve(part)
            found[word] = frozenset(some)
            return found[word]
        if word in index:
            return frozenset({index[word]})
        if word in below:
            return frozenset(below[word])
        raise ValueError(f"{word!r}: neither a label nor a WordNet id with a class below it")

    if clash := rules.keys() & index.keys():
        raise ValueError(f"a class and a word above: {sorted(clash)}")
    for word in rules:
        resolve(word)
    seen: dict[frozenset[int], str] = {}
    for word, some in found.items():
        if len(some) < 2:
            raise ValueError(f"{word}: {len(some)} classes, which is a synonym and no word above")
        if some in seen:
            raise ValueError(f"{word} and {seen[some]} hold the same classes")
        seen[some] = word
    return found


def tabulate(
    names: Sequence[str], classes: Sequence[tuple[str, str]], above: Mapping[str, frozenset[int]]
) -> list[Label]:
    """The rows of labels.csv: classes in ImageNet's order, then the words above, the largest first."""
    words = sorted(above, key=lambda w: (-len(above[w]), w))
    ids = dict(line.split(":", 1) for line in ABOVE.replace("\\\n", "").splitlines() if line.strip())

    def lowest(some: frozenset[int]) -> tuple[str, ...]:
        over = [w for w in words if some < above[w]]
        return tuple(sorted(w for w in over if not any(above[v] < above[w] for v in over)))

    rows = [
        Label(n, wnid, i, lowest(frozenset({i}))) for i, (n, (wnid, _)) in enumerate(zip(names, classes, strict=True))
    ]
    for word in words:
        first = ids[word].split(",")[0].strip()
        rows.append(
            Label(word, first if first.startswith("n0") or first.startswith("n1") else "", None, lowest(above[word]))
        )
    return rows


def gather(
    rows: Sequence[Label],
    nouns: Mapping[str, wordnet.Synset],
    senses: Mapping[str, Sequence[str]],
    irregular: Mapping[str, str],
    reviewed: str = SAYINGS,
) -> dict[str, str]:
    """synonyms.csv: word -> label. Reviewed words first; then WordNet's, where this is the word's first meaning and no
    other label's; then plurals of all. Scientific names are left out."""
    labels = {r.name for r in rows}
    found: dict[str, str] = {}
    for line in reviewed.splitlines():
        label, _, words = line.partition(":")
        for word in filter(None, (w.strip() for w in words.split(","))):
            if label not in labels:
                raise ValueError(f"synonyms for {label!r}, which is no label")
            if found.setdefault(word, label) != label:
                raise ValueError(f"{word!r} stands for {label!r} and for {found[word]!r}")
    by_word: dict[str, set[str]] = {}
    for row in rows:
        for word in nouns[row.wnid].words if row.wnid else ():
            if not _scientific(word, senses):
                by_word.setdefault(word.lower(), set()).add(row.name)
    for word, some in by_word.items():
        (first, *others) = sorted(some)
        meant = next(r.wnid for r in rows if r.name == first)
        if not others and senses.get(word, ("",))[0] == meant and word not in AMBIGUOUS | labels:
            found.setdefault(word, first)
    for word in [*sorted(labels), *sorted(found)]:
        for many in (plural(word, irregular), plural(word, {})) if word not in PLURAL else ():
            found.setdefault(many, found.get(word, word))
    return {w: found[w] for w in sorted(found) if w not in labels and w not in AMBIGUOUS}


PLURAL = frozenset("clothing footwear food furniture apparel denim skiing scenery swimwear poultry horseback".split())


def _scientific(word: str, senses: Mapping[str, Sequence[str]]) -> bool:
    """Canis lupus: its first word is a genus."""
    first, _, rest = word.partition(" ")
    return bool(rest) and (f"genus {first.lower()}" in senses or rest in LATIN)


LATIN = frozenset({"lar", "kisutch", "opilio", "leo", "porphyrio"})


def plural(word: str, irregular: Mapping[str, str]) -> str:
    """puppy -> puppies, big cat -> big cats, glass of beer -> glasses of beer."""
    for middle in (" of ", " and "):
        if middle in word and middle == " of ":
            head, _, rest = word.partition(middle)
            return plural(head, irregular) + middle + rest
    head, space, last = word.rpartition(" ")
    if last in irregular:
        many = irregular[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        many = last if last.endswith("s") and not last.endswith(("ss", "us")) else f"{last}es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return head + space + many


def write(rows: Iterable[Label], synonyms: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(("label", "wordnet", "imagenet", "parents"))
        table.writerows((r.name, r.wnid, "" if r.index is None else r.index, ";".join(r.parents)) for r in rows)
    with (folder / "synonyms.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(("word", "label"))
        table.writerows(synonyms.items())


def read(folder: str | Path) -> tuple[list[Label], dict[str, str]]:
    """Both tables, as they were written."""
    with (Path(folder) / "labels.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            Label(r["label"], r["wordnet"], int(r["imagenet"]) if r["imagenet"] else None,
                  tuple(filter(None, r["parents"].split(";"))))
            for r in csv.DictReader(lines)
        ]  # fmt: skip
    with (Path(folder) / "synonyms.csv").open(encoding="utf-8", newline="") as lines:
        return rows, {r["word"]: r["label"] for r in csv.DictReader(lines)}


def classes_below(rows: Sequence[Label]) -> dict[str, frozenset[int]]:
    """label -> the ImageNet classes that it covers; a class covers itself."""
    found: dict[str, set[int]] = {r.name: set() for r in rows}
    parents = {r.name: r.parents for r in rows}
    for row in rows:
        if row.index is not None:
            todo = [row.name]
            while todo:
                one = todo.pop()
                found[one].add(row.index)
                todo += parents[one]
    return {k: frozenset(v) for k, v in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.recipes.labels", description="Write the tables of labels.")
    parser.add_argument("--wordnet", default="/usr/share/wordnet", help="the folder of data.noun")
    parser.add_argument("--classes", required=True, help="lines of `n01440764 tench`, in the network's order")
    parser.add_argument("--to", default="photosearch/search", type=Path)
    args = parser.parse_args()
    classes, nouns = read_classes(args.classes), wordnet.synsets(args.wordnet)
    names = name_classes(classes)
    rows = tabulate(names, classes, spread(ABOVE, names, classes, nouns))
    synonyms = gather(rows, nouns, wordnet.senses(args.wordnet), wordnet.plurals(args.wordnet))
    write(rows, synonyms, args.to)
    print(f"{len(names)} classes, {len(rows) - len(names)} words above them, {len(synonyms)} other words")


if __name__ == "__main__":
    main()
