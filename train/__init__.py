"""Teaches the networks that photosearch ships; run from a checkout as `python -m train`.

Imports photosearch, never the other way round: what users install knows no torch. Start with a file of recipes/, which
reads from top to bottom; what it calls stands in the files beside it:

    data/        the sets, a file each: where their files lie, which part a picture is of, its pixels
    networks/    what goes in and what comes out, and nothing of how it is taught
    augment.py   what a picture may be turned into   fit.py        the one training loop
    calibrate.py what validation decides             measure.py    how good scores are
    export.py    torch to a model's file, compared   evaluate.py   a model's file on a test part
    looks.py     how often a test part was looked at pages.py      docs/model.md
    tool.py      all that comes from photosearch     lessons/      the road from an "8" to the bird
"""
