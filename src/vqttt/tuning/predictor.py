"""The predictor: from an image's description to what each correction would do to the objective.

It is Bayesian linear regression with a Gaussian prior, solved in closed form: there is no learning rate, the order of
the samples does not matter, and nothing can diverge. It learns along the stream. Its state takes a few kB and can be
saved and applied, frozen, to another stream.
"""

import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.tuning.corrections import names
from vqttt.tuning.spectrum import DESCRIPTORS


class Predictor:
    """Predicts how every correction changes the loss of an image, and chooses a correction.

    Attributes:
        moments: the prior plus the sum of the descriptions' outer products, (D, D), where D = 1 + DESCRIPTORS.
        products: sum of the outer products of descriptions and changes of loss, (D, corrections).
        squares: sum of the squared changes of loss, (corrections,).
        observed: number of samples learned from.
    """

    def __init__(self, prior: float = 10.0, *, caution: float) -> None:
        """Start without evidence, so that the identity is chosen.

        Args:
            prior: strength of the prior that holds the weights at zero. The intercepts, which are the mean changes of
                loss, get a tenth of it: a few samples show which correction is good for all images before they show
                which is good for some.
            caution: a correction is chosen only if the loss is expected to fall by more than this many standard
                deviations of the prediction.
        """
        self.caution = caution
        strength = torch.full((DESCRIPTORS + 1,), prior, dtype=torch.float64)
        strength[0] = prior / 10
        self._prior = torch.diag(strength)
        self.reset()

    def reset(self) -> None:
        """Forget all evidence."""
        self.moments = self._prior.clone()
        self.products = torch.zeros(len(self._prior), len(names()), dtype=torch.float64)
        self.squares = torch.zeros(len(names()), dtype=torch.float64)
        self.observed = 0

    def observe(self, described: Tensor, changes: Tensor) -> None:
        """Learn from samples; those with values that are not finite are skipped.

        Args:
            described: descriptions of the images, (N, DESCRIPTORS).
            changes: how each correction changed the loss, (N, corrections).
        """
        finite = torch.isfinite(changes).all(1) & torch.isfinite(described).all(1)
        d, c = self._with_intercept(described[finite]), changes[finite].double().cpu()
        self.moments = self.moments + d.mT @ d
        self.products = self.products + d.mT @ c
        self.squares = self.squares + c.square().sum(0)
        self.observed += len(d)

    def expect(self, described: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expected change of each image's loss and its standard deviation, (N, corrections) each."""
        d = self._with_intercept(described)
        mean = d @ torch.linalg.solve(self.moments, self.products)
        spread = (d * torch.linalg.solve(self.moments, d.mT).mT).sum(1, keepdim=True).sqrt()
        scale = (self.squares / max(self.observed, 1)).clamp_min(1e-4).sqrt()
        return mean, spread * scale

    def choose(self, described: Tensor) -> Tensor:
        """Return the number of the correction to use for each image, (N,); 0 is the identity."""
        if not self.observed:
            return torch.zeros(len(described), dtype=torch.long, device=described.device)
        mean, deviation = self.expect(described)
        score = mean + self.caution * deviation
        score[:, 0] = 0  # the identity changes no loss, and that is certain
        return score.argmin(1).to(described.device)

    def state(self) -> dict[str, Tensor]:
        """Return the evidence, to be saved."""
        return {
            "moments": self.moments,
            "products": self.products,
            "squares": self.squares,
            "seen": torch.tensor(self.observed),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Replace the evidence by what `state` returned.

        Raises:
            InputError: if it was saved with other corrections or descriptions.
        """
        if "products" not in state or state["products"].shape != self.products.shape:
            raise InputError("the file has no predictor for the corrections of this version; run `vqttt tune` again")
        self.moments, self.products, self.squares = state["moments"], state["products"], state["squares"]
        self.observed = int(state["seen"])

    @staticmethod
    def _with_intercept(described: Tensor) -> Tensor:
        d = described.double().cpu()
        return torch.cat([torch.ones(len(d), 1, dtype=torch.float64), d], 1)
