"""Teaches the networks that photosearch ships; run from a checkout as `python -m train`.

Imports photosearch, never the other way round: what users install knows no torch.
"""
