"""How low among everyday descriptions a question may rank before it counts as asking for what is not there.

Flickr8k's development pictures play the library: a caption of each is a question that one of them answers, and NOTHING
holds questions that none does. For each quantile of what photosearch/search/descriptions.txt reaches here: the share
of captions that it would refuse, and of NOTHING that it would let pass. QUANTILE is in
photosearch/search/similarity_cutoff.py.

    python -m train.recipes.similar_enough --data DIR
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from photosearch.models.catalog import DEFAULT_MODEL, resolve, text_model_for
from photosearch.models.text import TextModel
from photosearch.search.similar import DESCRIPTIONS
from train.recipes import frozen
from train.tool import Model

PICTURES = 400
QUANTILES = (0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 0.95)
NOTHING = (
    "quantum chromodynamics lecture", "tax return form", "the periodic table", "an x-ray of a hand",
    "a nebula in space", "server room cables", "a bowl of ramen", "the great wall of china",
    "a page of sheet music", "surgery in an operating room", "a spider web macro", "whale breaching",
    "fishing trawler at sea", "rocket launch", "chess board", "an open refrigerator", "wedding cake",
    "a christmas tree", "microscope slide of cells", "a jellyfish",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.recipes.similar_enough")
    parser.add_argument("--data", required=True, type=Path)
    args = parser.parse_args(arguments)
    pictures = frozen.pictures(args.data, "flickr8k", "validation")
    random.Random(1).shuffle(pictures)
    pictures = pictures[:PICTURES]
    model = Model(resolve(DEFAULT_MODEL), provider="cpu")
    words = TextModel(text_model_for(model.card.space))
    paths = [picture.path for picture in pictures]
    batches = frozen.prepare(paths, model.card.input_size, model.card.fit)
    photos = np.concatenate([model.look(images[:, None]).vectors for images in batches])
    captions = [random.Random(i).choice(picture.captions) for i, picture in enumerate(pictures)]
    texts = DESCRIPTIONS.read_text(encoding="utf-8").splitlines()
    everyday, own, other = ((words.embed(some) @ photos.T).max(1) for some in (texts, captions, NOTHING))
    for quantile in QUANTILES:
        least = np.quantile(everyday, quantile)
        refused, passed = (own <= least).mean(), (other > least).mean()
        print(f"{quantile:.2f}: above {least:.3f}; captions refused {refused:.3f}, nothing let pass {passed:.3f}")


if __name__ == "__main__":
    main()
