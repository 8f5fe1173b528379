"""Find the photos you describe, in your own folders, on your own machine."""

__version__ = "0.1.0"
