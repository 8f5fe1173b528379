"""The execution provider that runs the models, and the reason if it isn't the best one."""

import numpy as np
import pytest
from toy import COLOURS, write_toy

from photosearch.errors import ModelError
from photosearch.models import providers as choosing
from photosearch.models.providers import PROVIDERS, choose_provider
from photosearch.models.session import Model


@pytest.fixture
def providers(monkeypatch):
    """providers(names, cuda=why it can't load): what this build of ONNX Runtime is to hold. A GPU may be faked."""
    import onnxruntime

    def pretend(*names: str, cuda: str | None = None) -> None:
        held = [PROVIDERS[name] for name in names]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: held)
        monkeypatch.setattr(choosing, "_explain_missing_cuda", lambda: cuda)

    return pretend


def test_auto_prefers_gpu_and_explains_fallback(providers):
    providers("cpu", "cuda", "tensorrt")
    assert choose_provider("auto") == ("cuda", None)
    providers("cpu", "coreml")
    assert choose_provider("auto") == ("coreml", None)
    providers("cpu")
    assert choose_provider("auto") == ("cpu", None)
    providers("cpu", "cuda", cuda="no NVIDIA driver")
    assert choose_provider("auto") == ("cpu", "cuda: no NVIDIA driver")


def test_missing_provider_falls_back_to_cpu_with_reason(providers):
    providers("cpu", "cuda", cuda="no NVIDIA driver")
    assert choose_provider("cuda") == ("cpu", "cuda: no NVIDIA driver")
    assert choose_provider("coreml") == ("cpu", "coreml: not in this build of ONNX Runtime")
    assert choose_provider("cpu") == ("cpu", None)
    with pytest.raises(ModelError, match="no provider 'gpu': give auto or one of cuda, coreml, directml, cpu"):
        choose_provider("gpu")


def test_model_reports_provider_and_fallback(tmp_path, providers):
    providers("cpu", "cuda", cuda="no NVIDIA driver")
    loaded = Model(write_toy(tmp_path / "toy.onnx"))
    assert (loaded.provider, loaded.fallback) == ("cpu", "cuda: no NVIDIA driver")
    assert loaded.score(np.full((1, 8, 8, 3), COLOURS["red"], np.uint8)).tolist() == [[1, 0, 0]]
