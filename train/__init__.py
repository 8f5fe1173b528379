"""Trains the networks that photosearch ships; run from a checkout as `python -m train`.

Imports photosearch, never the other way round: the installed tool does without torch. Start with a file of recipes/,
which reads from top to bottom and uses:

    data/         the data sets: files, train / validation / test parts, pixels
    networks/     the networks, without their training
    augment.py    image augmentation                   fit.py              the one training loop
    calibrate.py  calibration and thresholds           figures.py          the figures of all evaluations
    export.py     torch to a compared ONNX file        evaluate.py         a model file on a test part
    prefetch.py   batches loaded in background threads test_set_ledger.py  how often each test part was scored
    atomic.py     whole files or none                  pages.py            docs/model.md
    tool.py       all imports from photosearch         lessons/            from an "8" to the bird
"""
