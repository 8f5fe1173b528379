"""Find the photos you describe, in your own folders, on your own machine."""

import os

__version__ = "0.1.0"

# From version 1.29 on, ONNX Runtime tells its maker of each session on Linux: it keeps a number for this machine under
# ~/.cache and opens connections. It looks for this when it is imported; for Windows, see model.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
