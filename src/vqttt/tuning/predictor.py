"""The predictor: from what an image looks like to what each member of the bank would do to the objective.

Linear regression with a Gaussian prior, in closed form: no rate, no order of samples, nothing to diverge. Online along
the stream; a few kB, so that what one stream taught can be saved and applied, frozen, to the next.
"""

import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.tuning.corrections import names
from vqttt.tuning.spectrum import DESCRIPTORS


class Predictor:
    """Predicts the change of an image's loss under every member of the bank, and chooses the member.

    Args:
        prior: by how much the weights are held to zero; the mean change of a member is held by a tenth of it, so that
            a few samples teach what is good for all before they teach what is good for some.
        caution: how many deviations of its own uncertainty a change must outweigh; the identity has none.
    """

    def __init__(self, prior: float = 10.0, *, caution: float) -> None:
        """Know nothing, and so choose the identity."""
        self.caution = caution
        held = torch.full((DESCRIPTORS + 1,), prior, dtype=torch.float64)
        held[0] = prior / 10
        self._start = torch.diag(held)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.moments = self._start.clone()  # (D, D): sum of outer products of descriptions
        self.products = torch.zeros(len(self._start), len(names()), dtype=torch.float64)  # (D, members)
        self.squares = torch.zeros(len(names()), dtype=torch.float64)  # sum of squared changes
        self.observed = 0

    def observe(self, described: Tensor, changes: Tensor) -> None:
        """Learn from descriptions (N, DESCRIPTORS) and changes of loss (N, members); skips rows that are not finite."""
        whole = torch.isfinite(changes).all(1) & torch.isfinite(described).all(1)
        d, c = self._with_one(described[whole]), changes[whole].double().cpu()
        self.moments = self.moments + d.mT @ d
        self.products = self.products + d.mT @ c
        self.squares = self.squares + c.square().sum(0)
        self.observed += len(d)

    def expect(self, described: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expected change of each image's loss and its deviation, each (N, members)."""
        d = self._with_one(described)
        mean = d @ torch.linalg.solve(self.moments, self.products)
        spread = (d * torch.linalg.solve(self.moments, d.mT).mT).sum(1, keepdim=True).sqrt()
        scale = (self.squares / max(self.observed, 1)).clamp_min(1e-4).sqrt()
        return mean, spread * scale

    def choose(self, described: Tensor) -> Tensor:
        """Return the number of the member to use for each image, (N,)."""
        if not self.observed:
            return torch.zeros(len(described), dtype=torch.long, device=described.device)
        mean, deviation = self.expect(described)
        score = mean + self.caution * deviation
        score[:, 0] = 0
        return score.argmin(1).to(described.device)

    def state(self) -> dict[str, Tensor]:
        """Return what was learned, to be saved."""
        return {
            "moments": self.moments,
            "products": self.products,
            "squares": self.squares,
            "seen": torch.tensor(self.observed),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` returned.

        Raises:
            InputError: if it is of another bank.
        """
        if "products" not in state or state["products"].shape != self.products.shape:
            raise InputError("the file has no predictor for this bank; tune one with this version")
        self.moments, self.products, self.squares = state["moments"], state["products"], state["squares"]
        self.observed = int(state["seen"])

    @staticmethod
    def _with_one(described: Tensor) -> Tensor:
        d = described.double().cpu()
        return torch.cat([torch.ones(len(d), 1, dtype=torch.float64), d], 1)
