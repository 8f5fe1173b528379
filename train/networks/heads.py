"""Heads on a frozen network's features: every label's calibrated score, and a vector in the space of the text tower.

scores: softmax over ImageNet's classes; a hypernym is the sum over its classes; taught labels have logits of their own
(train/recipes/taught.py); then each label's own straight line through the logit (John Platt, "Probabilistic outputs for
support vector machines", 1999), which keeps their order, or a plane through both logits where the classes know the
label too. vectors: a linear and a hidden layer into the text tower's
space, mixed with the vectors of the class names, weighted by the classes' probabilities (Mohammad Norouzi et al.,
"Zero-Shot Learning by Convex Combination of Semantic Embeddings", 2014: ConSE), of unit length. With slope 1 and shift
0 the score of `dog` is the sum of the scores of its classes.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

MIN_PROBABILITY = 1e-7  # probabilities are clipped to this distance from 0 and 1 before the logarithm
TOP = 25  # classes whose names make up a vector
SOFTNESS = 2.0  # temperature of their weights


class Heads(nn.Module):
    """features float32 [N, F] -> scores float32 [N, L] in 0..1, vectors float32 [N, D] of unit length.

    arrays: weight [C, A], bias [C]: the classifier, on the first A features. slope, taught_slope, shift [L].
    names [C, D]: the class names' text vectors. projection [F, D], projection_offset [D], wide [F, H], wide_offset [H],
    narrow [H, D], narrow_offset [D]: the trained layers. taught [F, T], taught_offset [T]: the taught outputs;
    taught_sums [T, K]: which of them each taught label sums. hypernyms: the class indexes of each. scenes: the taught
    outputs that are one softmax; the others have a sigmoid each. order [L]: each label's place among classes, hypernyms
    and taught labels; second [L]: that of its taught logit, which counts where taught_slope is not 0. mix: the trained
    layers' share of the vector; the rest is ConSE.
    """

    def __init__(
        self,
        arrays: Mapping[str, torch.Tensor],
        hypernyms: Sequence[Sequence[int]],
        scenes: slice,
        order: Sequence[int],
        second: Sequence[int],
        *,
        mix: float,
    ):
        super().__init__()
        below = torch.zeros(len(arrays["weight"]), len(hypernyms))
        for column, classes in enumerate(hypernyms):
            below[list(classes), column] = 1
        for name, tensor in {**arrays, "below": below}.items():
            self.register_buffer(name, tensor.detach().clone().float())
        self.register_buffer("order", torch.tensor(list(order)))
        self.register_buffer("second", torch.tensor(list(second)))
        self.scenes, self.mix, self.top = scenes, mix, min(TOP, len(arrays["weight"]))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = features[:, : self.weight.shape[1]] @ self.weight.T + self.bias
        chances = self.compute_chances(features, logits).clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        z = chances.log() - (1 - chances).log()
        scores = torch.sigmoid(self.slope * z[:, self.order] + self.taught_slope * z[:, self.second] + self.shift)
        hidden = nn.functional.gelu(features @ self.wide + self.wide_offset)
        layer = features @ self.projection + self.projection_offset + hidden @ self.narrow + self.narrow_offset
        conse = nn.functional.normalize(weigh_classes(logits, self.top) @ self.names, dim=1)
        vectors = self.mix * nn.functional.normalize(layer, dim=1) + (1 - self.mix) * conse
        return scores, nn.functional.normalize(vectors, dim=1)

    def compute_chances(self, features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Classes, hypernyms and taught labels, [N, C + hypernyms + K], not calibrated."""
        classes = logits.softmax(1)
        taught = features @ self.taught + self.taught_offset
        first, last = self.scenes.start, self.scenes.stop
        outputs = torch.cat(
            [taught[:, :first].sigmoid(), taught[:, first:last].softmax(1), taught[:, last:].sigmoid()], 1
        )
        return torch.cat([classes, classes @ self.below, outputs @ self.taught_sums], 1)


def weigh_classes(logits: torch.Tensor, top: int = TOP, softness: float = SOFTNESS) -> torch.Tensor:
    """logits [N, C] -> ConSE's weights: the probabilities at a temperature, 0 for all but the `top` classes."""
    weights = (logits / softness).softmax(1)
    return weights * (weights >= weights.topk(top, dim=1).values[:, -1:])
