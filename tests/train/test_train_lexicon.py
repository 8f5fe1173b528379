"""The lexicon's making, and how corrections do on captions that are not in it."""

import random

from photosearch.search.lexicon import read_lexicon
from photosearch.search.spelling import correct
from train.data import flickr8k
from train.recipes import lexicon

INDEX = "  1 a licence\ndog n 2 3 @ ~ #m 2 1 02084071 0\nhot_dog n 1 1 @ 1 0 07697537\ndodo n 1 1 @ 1 0 01816887\n"


def test_read_lemmas_tells_verbs_and_tagged_words(tmp_path):
    for part in lexicon.PARTS_OF_SPEECH:
        (tmp_path / f"index.{part}").write_text(INDEX if part == "noun" else "run v 1 1 @ 1 1 01926311\n")
        (tmp_path / f"{part}.exc").write_text("mice mouse\nred-deer red_deer\n")
    assert lexicon.read_lemmas(tmp_path) == ({"dog", "dodo", "run", "mice"}, {"run"}, {"dog", "run"})


def test_find_near_takes_words_that_would_be_corrected():
    targets = ["dog", "catches", "beach", "snowboard"]
    words = ["dig", "dgo", "cache", "beech", "bench", "peaches", "snowbords", "zebra", "cow", "snow"]
    assert lexicon.find_near(words, {"cache"}, targets) == {"dig", "dgo", "cache", "beech", "bench", "snowbords"}


def test_slips_change_a_word_by_one_edit():
    rng = random.Random(1)
    for slip in (lexicon._swap, lexicon._drop, lexicon._double, lexicon._hit_neighbour):
        for word in ("dog", "beach", "snowboard"):
            near = lexicon.find_near([slip(word, rng)], (), [word])
            assert len(near) == 1


def test_captions_stay_as_they_are_written(data):
    """Most of what is changed in them is a slip: `python -m train spelling` names each."""
    photos = flickr8k.photographs(data("Flickr8k"), "test")[:200]
    captions = [caption for photo in photos for caption in photo.captions]
    changed = [caption for caption in captions if correct(caption, read_lexicon()).changes]
    assert len(changed) < 0.02 * len(captions)
    assert sum(correct(c.replace("running", "runing"), read_lexicon()).text == c for c in captions) > 0.98 * len(
        captions
    )
