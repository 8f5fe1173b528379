"""Heads on a frozen network's features: every label's calibrated score, and a vector in the space of the text tower.

scores: softmax over ImageNet's classes; a hypernym is the sum over its classes; then each label's own straight line
through the logit (John Platt, "Probabilistic outputs for support vector machines", 1999), which keeps their order.
vectors: a linear layer into the text tower's space, mixed with the vectors of the class names, weighted by the classes'
probabilities (Mohammad Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", 2014: ConSE),
of unit length. With slope 1 and shift 0 the score of `dog` is the sum of the scores of its classes.
"""

from collections.abc import Sequence

import torch
from torch import nn

MIN_PROBABILITY = 1e-7  # probabilities are clipped to this distance from 0 and 1 before the logarithm
TOP = 25  # classes whose names make up a vector


class Heads(nn.Module):
    """features float32 [N, F] -> scores float32 [N, C + hypernyms] in 0..1, vectors float32 [N, D] of unit length.

    weight [C, F], bias [C]: the classifier. hypernyms: the class indexes of each. slope, shift: [C + hypernyms].
    names [C, D]: the class names' text vectors. projection [F, D], offset [D]: the trained layer. mix: its share of the
    vector; the rest is ConSE over the `top` classes at the temperature `softness`.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor,
        hypernyms: Sequence[Sequence[int]],
        slope: torch.Tensor,
        shift: torch.Tensor,
        names: torch.Tensor,
        projection: torch.Tensor,
        offset: torch.Tensor,
        *,
        mix: float,
        top: int = TOP,
        softness: float = 2.0,
    ):
        super().__init__()
        below = torch.zeros(len(weight), len(hypernyms))
        for column, classes in enumerate(hypernyms):
            below[list(classes), column] = 1
        tensors = {"weight": weight, "bias": bias, "below": below, "slope": slope, "shift": shift, "names": names}
        for name, tensor in (*tensors.items(), ("projection", projection), ("offset", offset)):
            self.register_buffer(name, tensor.detach().clone().float())
        self.mix, self.top, self.softness = mix, top, softness

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = features @ self.weight.T + self.bias
        classes = logits.softmax(1)
        chances = torch.cat([classes, classes @ self.below], 1).clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        scores = torch.sigmoid(self.slope * (chances.log() - (1 - chances).log()) + self.shift)
        layer = nn.functional.normalize(features @ self.projection + self.offset, dim=1)
        vectors = nn.functional.normalize(self.mix * layer + (1 - self.mix) * self.conse(logits), dim=1)
        return scores, vectors

    def conse(self, logits: torch.Tensor) -> torch.Tensor:
        """logits [N, C] -> the weighted mean of the names of the `top` classes, [N, D] of unit length."""
        weights = (logits / self.softness).softmax(1)
        cut = weights.topk(self.top, dim=1).values[:, -1:]
        return nn.functional.normalize((weights * (weights >= cut)) @ self.names, dim=1)
