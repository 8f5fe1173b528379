"""Flickr8k: 8,091 ordinary photographs of people, dogs and streets, five captions each, with an official split.

Source: Micah Hodosh, Peter Young, Julia Hockenmaier, "Framing Image Description as a Ranking Task: Data, Models and
Evaluation Metrics", JAIR 47, 2013. Flickr8k_Dataset.zip and Flickr8k_text.zip, unpacked below `Flickr8k/`. The
photographs belong to their photographers and are for non-commercial research and education. 6,000 pictures are for
training, 1,000 for development, 1,000 for test; 91 are in no part. The first caption of the first picture is "A child
in a pink dress is climbing up a set of stairs in an entry way ."
"""

from dataclasses import dataclass
from pathlib import Path

from train.data import need

NAME = "flickr8k"
FOLDER = "Flickr8k"
HINT = "unpack the publisher's Flickr8k_Dataset.zip and Flickr8k_text.zip below DIR/Flickr8k, then use --data DIR"
PARTS = {"train": "train", "validation": "dev", "test": "test"}  # ours, the publisher's


@dataclass(frozen=True, slots=True)
class CaptionedPhoto:
    """One photograph and its five captions."""

    path: Path
    captions: tuple[str, ...]


def photographs(data: str | Path, part: str) -> list[CaptionedPhoto]:
    """part: train, validation (the publisher's development part) or test, in the publisher's order.

    Raises InputError.
    """
    folder = need(Path(data) / FOLDER, NAME, HINT)
    captions: dict[str, list[str]] = {}
    for line in (
        need(folder / "Flickr8k_text" / "Flickr8k.token.txt", NAME, HINT).read_text(encoding="utf-8").splitlines()
    ):
        name, _, caption = line.partition("\t")
        captions.setdefault(name.partition("#")[0], []).append(caption.strip())
    names = need(folder / "Flickr8k_text" / f"Flickr_8k.{PARTS[part]}Images.txt", NAME, HINT).read_text().split()
    return [
        CaptionedPhoto(need(folder / "Flicker8k_Dataset" / name, NAME, HINT), tuple(captions[name])) for name in names
    ]
