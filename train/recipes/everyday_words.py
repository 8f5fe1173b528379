"""How the installed tool answers everyday words: words without an answer, and right ones of the first ten.

    python -m train everyday-words --data DIR --library FILE

Indexes Flickr8k's test pictures and the test half of Caltech-101 as one library, unless FILE exists, and asks WORDS. A
picture is right where at least two of its five captions name the word, or the word is its class. The words were written
down before any was asked.
"""

from pathlib import Path

from train.recipes import features
from train.recipes.similarity_cutoff import list_stems
from train.tool import Library

WORDS = (
    "people person man woman boy girl kid baby child family face smile party birthday portrait crowd friends couple "
    "wedding dog puppy cat kitten bird horse cow sheep fish butterfly elephant running jumping swimming climbing "
    "sitting sleeping eating dancing playing reading riding red blue green yellow black white orange night sunset "
    "snow rain sky water beach sea lake river mountain forest tree flower grass field garden park street city house "
    "building car bike motorcycle bus train boat airplane ball football basketball skateboard surfing hat shirt "
    "glasses shoes food cake table chair phone computer book guitar camera clock window door fire"
).split()
FIRST = 10


def show(data: Path, file: Path) -> None:
    pictures = [*features.list_examples(data, "flickr8k", "test"), *features.list_examples(data, "caltech-101", "test")]
    with Library(file) as library:
        if not library.status().counts.photos:
            print(f"indexing {len(pictures)} pictures")
            links = file.parent / "pictures"
            links.mkdir(exist_ok=True)
            for i, picture in enumerate(pictures):
                (links / f"{i:05}{picture.path.suffix}").symlink_to(picture.path)
            for _ in library.index(links, follow_symlinks=True):
                pass
        empty, right, possible = [], 0, 0
        for word in WORDS:
            stems = set(list_stems(word))
            truth = {i for i, p in enumerate(pictures) if stems <= set(list_stems(p.class_name.replace("_", " ")))
                     or sum(stems <= set(list_stems(caption)) for caption in p.captions) >= 2}  # fmt: skip
            found = [int(Path(photo.path).stem) for photo in library.find(word)][:FIRST]
            hits = len(truth.intersection(found))
            empty += [word] * (not found)
            right, possible = right + hits, possible + min(FIRST, len(truth))
            print(f"{word:12} {len(found):3} shown, {hits:3} right, {len(truth):4} in the library")
    print(f"{len(WORDS)} words: {len(empty)} without an answer; {right} of {possible} possible right ones in the first "
          f"{FIRST}; without: {' '.join(empty) or '-'}")  # fmt: skip
