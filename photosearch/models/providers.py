"""Which execution provider runs the models here, and why not a better one."""

import contextlib
import ctypes
import io
import sys

from photosearch.errors import ModelError

PROVIDERS = {  # what the command line calls them, in the order in which `auto` prefers them
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",  # compiles for minutes at its first start: by name only
    "rocm": "ROCMExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
TENSORRT = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
AUTO = ("cuda", "coreml", "directml", "cpu")


def choose_provider(wanted: str) -> tuple[str, str | None]:
    """-> (the name in PROVIDERS to ask for, why a better one is not asked for or None). Raises ModelError."""
    import onnxruntime

    here = set(onnxruntime.get_available_providers())
    if wanted != "auto":
        if wanted not in PROVIDERS:
            raise ModelError(f"no provider {wanted!r}: give auto or one of {', '.join(PROVIDERS)}")
        if PROVIDERS[wanted] not in here:
            return "cpu", f"{wanted}: this build of ONNX Runtime does not hold it"
        reason = _cuda_missing() if wanted in ("cuda", "tensorrt") else None
        if wanted == "tensorrt" and reason is None and not _loads(TENSORRT):
            reason = "the TensorRT libraries are missing"  # ONNX Runtime would print a banner and take another
        return ("cpu", f"{wanted}: {reason}") if reason else (wanted, None)
    why = None
    for name in AUTO:
        if PROVIDERS[name] in here:
            reason = _cuda_missing() if name == "cuda" else None
            if reason is None:
                return name, why
            why = f"{name}: {reason}"
    return "cpu", why


def describe_providers() -> dict[str, str]:
    """What can run models here: provider -> ready, or why not."""
    told = {}
    for name in PROVIDERS:
        chosen, why = choose_provider(name)
        if chosen == name or name in AUTO:
            told[name] = "ready" if chosen == name else (why or "").removeprefix(f"{name}: ")
    return told


def _cuda_missing() -> str | None:
    """Why CUDA can't load here, or None. Loads the libraries where it can, so that ONNX Runtime finds them."""
    import onnxruntime

    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    if not _loads(driver):
        return "no NVIDIA driver"
    with contextlib.redirect_stdout(io.StringIO()) as said:  # it prints what it can't load
        onnxruntime.preload_dlls()
    if "Failed" in said.getvalue():
        return "the CUDA libraries are missing; pip install 'photosearch[cuda]'"
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
