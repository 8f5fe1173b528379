"""The words that descriptions are spelled with, and how many of Flickr8k's captions use each.

    python -m train lexicon --data DIR --wordnet /usr/share/wordnet

Corrections (photosearch/search/spelling.py), completion and the language hint read the list. It holds
- the words of the 30,000 captions of Flickr8k's training part, each with the number of its occurrences, where a
  dictionary knows the word or MIN_UNKNOWN captions use it: captions are full of slips;
- with 0: the other words of the labels and of the everyday descriptions (descriptions.txt), and the whole words of the
  text model's vocabulary (all-MiniLM-L6-v2's, which is BERT's, Apache-2.0) that WordNet 3.0's tagged texts use: usual
  words, no names;
- behind an empty line: what is right and could be taken for a slip of one of these words, one edit away, or two
  where it is long: of the rest of that vocabulary and of WordNet.

No caption is in it. `measure` says how well corrections do on the development part, whose captions are in no list.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from rapidfuzz.distance import OSA

from train.data import flickr8k, need
from train.data.wordnet import HINT, NAME
from train.tool import DESCRIPTIONS, LEXICON, SHIPPED, Lexicon, detect_language, read_lexicon, spelling

MIN_UNKNOWN = 10  # occurrences of a caption's word that no dictionary knows
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
WORD = re.compile("[a-z]+")
SEED = 1
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def write(data: Path, wordnet: Path, to: Path) -> tuple[int, int]:
    """Write the list -> (words, of which captions use so many). Raises InputError."""
    counts = count_words(caption for photo in flickr8k.photographs(data, "train") for caption in photo.captions)
    (lemmas, verbs, tagged), vocabulary = read_lemmas(wordnet), read_vocabulary()
    dictionary = read_dictionary(wordnet)
    used = {w: n for w, n in counts.items() if n >= MIN_UNKNOWN or dictionary.knows_form(w)}
    usual = {word for word in tagged & vocabulary if len(word) > 2} | read_everyday_words()
    rare = find_near((lemmas | vocabulary) - used.keys() - usual, verbs, used.keys() | usual)
    lines = [f"{word} {n}" for word, n in sorted(used.items(), key=lambda item: (-item[1], item[0]))]
    lines += [f"{word} 0" for word in sorted(usual - used.keys())]
    to.write_text("\n".join([*lines, "", *sorted(rare)]) + "\n", encoding="utf-8")
    return len(used) + len(usual - used.keys()) + len(rare), len(used)


def count_words(captions: Iterable[str]) -> Counter[str]:
    words = (word for caption in captions for word in WORD.findall(caption.lower()))
    return Counter(word for word in words if len(word) > 1 or word in "ai")


def read_dictionary(wordnet: Path) -> Lexicon:
    return Lexicon(dict.fromkeys(read_lemmas(wordnet)[0] | read_vocabulary(), 1))


def read_lemmas(wordnet: Path) -> tuple[set[str], set[str], set[str]]:
    """WordNet's single words: (all, with their irregular forms; verbs; those that its tagged texts use)."""
    lemmas, verbs, tagged = set(), set(), set()
    for part in PARTS_OF_SPEECH:
        for line in need(wordnet / f"{part}.exc", NAME, HINT).read_text(encoding="latin-1").splitlines():
            lemmas |= {word for word in line.split()[:1] if WORD.fullmatch(word)}
        for line in need(wordnet / f"index.{part}", NAME, HINT).read_text(encoding="latin-1").splitlines():
            word, *fields = line.split(" ")
            if WORD.fullmatch(word):
                lemmas.add(word)
                verbs |= {word} if part == "verb" else set()
                is_tagged = int(fields[int(fields[2]) + 4]) > 0  # behind part, synsets, pointers, each, senses
                tagged |= {word} if is_tagged else set()
    return lemmas, verbs, tagged


def find_near(words: Iterable[str], verbs: Container[str], targets: Iterable[str]) -> set[str]:
    """The words that spelling.correct could take, in one of their regular forms, for slips of the targets.

    Words some edits apart are equal without as many letters each, or fewer: only such ones are compared.
    """
    by_rest: dict[str, list[str]] = {}
    for target in targets:
        for rest in _drop_letters(target, spelling.MAX_EDITS):
            by_rest.setdefault(rest, []).append(target)

    def is_near(word: str) -> bool:
        edits = spelling.count_edits(word)
        near = (target for rest in _drop_letters(word, edits) for target in by_rest.get(rest, ()))
        return any(OSA.distance(word, target, score_cutoff=edits) <= edits for target in near)

    return {word for word in words if any(map(is_near, make_forms(word, is_verb=word in verbs)))}


def make_forms(word: str, *, is_verb: bool) -> set[str]:
    """A word and its plural; of a verb also its regular forms, and some that no one uses."""
    stem = word.removesuffix("e")
    forms = {word, f"{word}s", f"{word}es"}
    return forms | ({f"{stem}ed", f"{stem}ing", f"{word}{word[-1]}ed", f"{word}{word[-1]}ing"} if is_verb else set())


def _drop_letters(word: str, most: int) -> set[str]:
    """A word without any 0 to `most` of its letters."""
    rests = {word}
    for _ in range(most):
        rests |= {rest[:i] + rest[i + 1 :] for rest in rests for i in range(len(rest))}
    return rests


def read_vocabulary() -> set[str]:
    """The whole words, of two letters or more, of the text model's vocabulary."""
    text = (SHIPPED / "sight-text.tokenizer.json").read_text(encoding="utf-8")
    return {word for word in json.loads(text)["model"]["vocab"] if len(word) > 1 and WORD.fullmatch(word)}


def read_everyday_words() -> set[str]:
    """The words of the labels, their synonyms and the everyday descriptions."""
    texts = [LEXICON.with_name(name).read_text(encoding="utf-8") for name in ("labels.csv", "synonyms.csv")]
    texts.append(DESCRIPTIONS.read_text(encoding="utf-8"))
    return {word for text in texts for word in WORD.findall(text.lower()) if len(word) > 1}


def measure(data: Path, part: str, wordnet: Path) -> Iterator[str]:
    """How corrections do on the captions of a part, line by line."""
    lexicon = read_lexicon()
    captions = [c for photo in flickr8k.photographs(data, part) for c in photo.captions]
    yield from _measure_unchanged(captions, lexicon, read_dictionary(wordnet))
    yield from _measure_repaired(captions, lexicon)


def _measure_unchanged(captions: list[str], lexicon: Lexicon, dictionary: Lexicon) -> Iterator[str]:
    made = [(caption, spelling.correct(caption, lexicon)) for caption in captions]
    changed = [(change.typed, change.meant) for _, correction in made for change in correction.changes]
    asked = [(s.typed, s.meant) for _, correction in made for s in correction.suggestions]
    n = sum(bool(correction.changes) for _, correction in made)
    yield f"as written: {n} of {len(captions):,} captions changed ({100 * n / len(captions):.2f} %):"
    yield "  " + ", ".join(f"{typed} > {meant}" for typed, meant in changed)
    n = sum(any(dictionary.knows(c.typed.lower()) for c in correction.changes) for _, correction in made)
    yield f"changed although a dictionary knows the word: {n} ({100 * n / len(captions):.2f} %)"
    n = sum(bool(correction.suggestions) for _, correction in made)
    yield f"as written: {n} asked about ({100 * n / len(captions):.2f} %):"
    yield "  " + ", ".join(f"{typed} > {meant}" for typed, meant in asked)
    languages = [caption for caption in captions if detect_language(caption, lexicon) is not None]
    yield f"taken for another language: {len(languages)} {languages[:5]}"


def _measure_repaired(captions: list[str], lexicon: Lexicon) -> Iterator[str]:
    rng = random.Random(SEED)
    for kind, mistype in {"swap": _swap, "drop": _drop, "double": _double, "neighbour key": _hit_neighbour}.items():
        figures = Counter[str]()
        for caption in captions:
            words = [m for m in WORD.finditer(caption.lower()) if len(m[0]) > 3 and lexicon.knows(m[0])]
            if not words:
                continue
            word = rng.choice(words)
            typed = mistype(word[0], rng)
            if typed == word[0]:
                continue
            text = caption.lower()
            correction = spelling.correct(text[: word.start()] + typed + text[word.end() :], lexicon)
            change = next((c for c in correction.changes if c.typed == typed), None)
            asked = next((s for s in correction.suggestions if s.typed == typed), None)
            figures["n"] += 1
            figures["real"] += lexicon.knows(typed)
            figures["right"] += change is not None and change.meant == word[0]
            figures["wrong"] += change is not None and change.meant != word[0]
            figures["asked"] += asked is not None and asked.meant == word[0]
        n, unreal = figures["n"], figures["n"] - figures["real"]
        yield (
            f"{kind}: {n:,} captions, in {figures['real']:,} the slip is a word; repaired rightly "
            f"{100 * figures['right'] / n:.1f} % ({100 * figures['right'] / unreal:.1f} % where it is none), wrongly "
            f"{100 * figures['wrong'] / n:.1f} %, asked rightly {100 * figures['asked'] / n:.1f} %"
        )


def _swap(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word) - 1)
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def _drop(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    return word[:i] + word[i + 1 :]


def _double(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    return word[: i + 1] + word[i:]


def _hit_neighbour(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    row = next(row for row in ROWS if word[i] in row)
    place = row.index(word[i])
    beside = [row[j] for j in (place - 1, place + 1) if 0 <= j < len(row)]
    return word[:i] + rng.choice(beside) + word[i + 1 :]
