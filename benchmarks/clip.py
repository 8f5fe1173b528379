"""A network of the size of CLIP ViT-B/32's image encoder, with random weights, as one ONNX file.

Its output is noise; its cost is that of any tool that gives each photo to that network. Layers and widths after Alec
Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021: patches of 32 pixels, 12
layers, width 768, 12 heads, an embedding of 512; 88 million parameters.
Takes uint8 [N, S, S, 3] with S a multiple of 32 (CLIP's own is 224) and gives float32 [N, 512].
"""

import warnings
from pathlib import Path

import torch
from torch import nn

WIDTH, HEADS, LAYERS, PATCH, EMBEDDING = 768, 12, 12, 32, 512


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.expand, self.contract = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(self.before(x)).view(n, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, t, WIDTH))
        wide = self.expand(self.after(x))
        return x + self.contract(wide * torch.sigmoid(1.702 * wide))


class ImageEncoder(nn.Module):
    def __init__(self, size: int, layers: int = LAYERS):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.class_token = nn.Parameter(torch.randn(1, 1, WIDTH) * WIDTH**-0.5)
        self.positions = nn.Parameter(torch.randn(1, (size // PATCH) ** 2 + 1, WIDTH) * WIDTH**-0.5)
        self.before, self.after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
        self.embedding = nn.Linear(WIDTH, EMBEDDING, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches((images.permute(0, 3, 1, 2).float() - 120) / 68).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.embedding(self.after(self.blocks(self.before(x))[:, 0]))


def write_network(to: Path, size: int = 224, layers: int = LAYERS) -> Path:
    """The file to/clip-SIZE.onnx, about 350 MB; what is there already is kept."""
    path = to / f"clip-{size}.onnx"
    if path.exists():
        return path
    torch.manual_seed(1)
    to.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is deprecated; its successor needs onnxscript
        torch.onnx.export(
            ImageEncoder(size, layers).eval(),
            (torch.zeros((2, size, size, 3), dtype=torch.uint8),),
            str(partial),
            dynamo=False,
            input_names=["photos"],
            output_names=["embeddings"],
            dynamic_axes={"photos": {0: "N"}},
            opset_version=18,
        )
    partial.replace(path)
    return path
