"""Chooses the execution provider that runs the models, and explains why not a better one."""

import contextlib
import ctypes
import io
import sys

from photosearch.errors import ModelError

PROVIDERS = {  # name on the command line -> ONNX Runtime's
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",  # compiles for minutes at its first start, so not in AUTO
    "rocm": "ROCMExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
TENSORRT_LIBRARY = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
AUTO = ("cuda", "coreml", "directml", "cpu")  # best first


def choose_provider(wanted: str) -> tuple[str, str | None]:
    """-> (a name in PROVIDERS, why not a better one or None). wanted: such a name, or auto. Raises ModelError."""
    import onnxruntime

    available = set(onnxruntime.get_available_providers())
    if wanted != "auto":
        if wanted not in PROVIDERS:
            raise ModelError(f"no provider {wanted!r}: give auto or one of {', '.join(PROVIDERS)}")
        if PROVIDERS[wanted] not in available:
            return "cpu", f"{wanted}: not in this build of ONNX Runtime"
        reason = _explain_missing_cuda() if wanted in ("cuda", "tensorrt") else None
        if wanted == "tensorrt" and reason is None and not _can_load(TENSORRT_LIBRARY):
            reason = "the TensorRT libraries are missing"  # ONNX Runtime would print a banner and use another provider
        return ("cpu", f"{wanted}: {reason}") if reason else (wanted, None)
    fallback = None
    for name in AUTO:
        if PROVIDERS[name] in available:
            reason = _explain_missing_cuda() if name == "cuda" else None
            if reason is None:
                return name, fallback
            fallback = f"{name}: {reason}"
    return "cpu", fallback


def describe_providers() -> dict[str, str]:
    """Provider -> "ready", or why it can't run models here."""
    descriptions = {}
    for name in PROVIDERS:
        chosen, reason = choose_provider(name)
        if chosen == name or name in AUTO:
            descriptions[name] = "ready" if chosen == name else (reason or "").removeprefix(f"{name}: ")
    return descriptions


def _explain_missing_cuda() -> str | None:
    """Why CUDA can't be used here, or None. Loads its libraries, so that ONNX Runtime finds them."""
    import onnxruntime

    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    if not _can_load(driver):
        return "no NVIDIA driver"
    with contextlib.redirect_stdout(io.StringIO()) as output:  # it prints what it can't load
        onnxruntime.preload_dlls()
    if "Failed" in output.getvalue():
        return "the CUDA libraries are missing; pip install 'photosearch[cuda]'"
    return None


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
