"""What rank among everyday descriptions a query needs, or else it asks for something the library does not contain.

    python -m train cutoff --data DIR

Flickr8k's development pictures are the library: one caption of each is a query with an answer, ABSENT are queries
without one. For each quantile of the best similarities of photosearch/search/descriptions.txt: the share of captions
below it, which would be refused, and of ABSENT above it, which would be accepted. The tool's own quantile: QUANTILE in
photosearch/search/similarity_cutoff.py.
"""

import random
from pathlib import Path

import numpy as np

from train.recipes import features
from train.tool import DESCRIPTIONS, Model, TextModel, catalog

PICTURES = 400
QUANTILES = (0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 0.95)
ABSENT = (
    "quantum chromodynamics lecture", "tax return form", "the periodic table", "an x-ray of a hand",
    "a nebula in space", "server room cables", "a bowl of ramen", "the great wall of china",
    "a page of sheet music", "surgery in an operating room", "a spider web macro", "whale breaching",
    "fishing trawler at sea", "rocket launch", "chess board", "an open refrigerator", "wedding cake",
    "a christmas tree", "microscope slide of cells", "a jellyfish",
)  # fmt: skip


def show(data: Path) -> None:
    """Print the shares for each quantile."""
    examples = features.list_examples(data, "flickr8k", "validation")
    random.Random(1).shuffle(examples)
    examples = examples[:PICTURES]
    model = Model(catalog.resolve(catalog.DEFAULT_MODEL), provider="cpu")
    text = TextModel(catalog.text_model_for(model.card.space))
    batches = features.prepare_batches([e.path for e in examples], model.card.input_size, model.card.fit)
    photos = np.concatenate([model.predict(images[:, None]).vectors for images in batches])
    captions = [random.Random(i).choice(e.captions) for i, e in enumerate(examples)]
    descriptions = DESCRIPTIONS.read_text(encoding="utf-8").splitlines()
    everyday, present, absent = ((text.embed(some) @ photos.T).max(1) for some in (descriptions, captions, ABSENT))
    for quantile in QUANTILES:
        cutoff = np.quantile(everyday, quantile)
        refused, accepted = (present <= cutoff).mean(), (absent > cutoff).mean()
        print(f"{quantile:.2f}: above {cutoff:.3f}; captions refused {refused:.3f}, absent accepted {accepted:.3f}")
