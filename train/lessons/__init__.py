"""The road from one "8" to a bird: six lessons, a file each, run in their order by `python -m train lessons`."""
