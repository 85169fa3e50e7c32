"""The predictor: from an image's description to how much surer each correction would make the answer.

For each correction it is a Gaussian process (Rasmussen and Williams 2006): what the correction did on images like this
one counts most. It learns from tries alone, in closed form: there is no learning rate, and nothing can diverge. The
parameters were chosen on development scenes (`LOG.md`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.tuning.spectrum import DESCRIPTORS

# What explains the gains of a correction: a part that all images share, one (of variance 1) that falls with the squared
# distance of their descriptions, and what neither explains.
COMMON, FALL, UNEXPLAINED = 0.3, 0.2, 1.0
_SCALE = 0.3  # the deviation of the second part, in certainty


def certainty(entropies: Sequence[float] | Tensor) -> Tensor:
    """Return exp(-entropy), 0 to 1: 1 for an answer without doubt, 1/n for n that are equally likely."""
    return torch.as_tensor(entropies, dtype=torch.float64).neg().exp()


def likeness(a: Tensor, b: Tensor) -> Tensor:
    """Return the explained covariance of a correction's gains on images described by (A, D) and (B, D), (A, B)."""
    a, b = a.double(), b.double()
    distances = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.mT
    return COMMON + torch.exp(-FALL * distances.clamp_min(0))


@dataclass(frozen=True)
class Experience:
    """What one correction did. It is never changed in place, so that a reference to it is a snapshot.

    Attributes:
        described: the descriptions of the images on which it was tried, oldest first, (T, DESCRIPTORS).
        gained: the certainty that each try gained over the untuned answer, (T,).
        factor: the Cholesky factor of the covariance of these gains, (T, T), lower.
    """

    described: Tensor
    gained: Tensor
    factor: Tensor

    @classmethod
    def none(cls) -> "Experience":
        """Return that of a correction that was never tried."""
        return cls(torch.zeros(0, DESCRIPTORS), torch.zeros(0).double(), torch.zeros(0, 0).double())

    def grown(self, described: Tensor, gained: Tensor, memory: int) -> "Experience":
        """Return it with further tries; of more than `memory` and a quarter, only the latest `memory` stay."""
        whole = replace(self, described=torch.cat([self.described, described]), gained=torch.cat([self.gained, gained]))
        if len(whole.gained) > memory + memory // 4:
            latest = Experience.none()
            return latest.grown(whole.described[-memory:], whole.gained[-memory:], memory)
        across = torch.linalg.solve_triangular(self.factor, likeness(self.described, described), upper=False)
        own = likeness(described, described) + UNEXPLAINED * torch.eye(len(gained)).double()
        corner = torch.linalg.cholesky(own - across.mT @ across)
        above = torch.cat([self.factor, torch.zeros(across.shape, dtype=torch.float64)], 1)
        return replace(whole, factor=torch.cat([above, torch.cat([across.mT, corner], 1)]))

    def expect(self, described: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gain that is expected on each image, (N,), and the covariance, (N, N)."""
        half = torch.linalg.solve_triangular(self.factor, likeness(self.described, described), upper=False)
        gains = torch.linalg.solve_triangular(self.factor, self.gained[:, None], upper=False)
        return (half.mT @ gains)[:, 0], likeness(described, described) - half.mT @ half


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to try on N images.

    Attributes:
        tried: the corrections to try on each, (N, K).
        promised: the certainty that each of them promises to gain, (N, K).
        idle: images and corrections that do not change them, and so gain nothing.
    """

    tried: Tensor
    promised: Tensor
    idle: Sequence[tuple[int, int]]


class Predictor:
    """Ranks corrections for an image by the certainty that they promise.

    Attributes:
        experience: what each correction did.
        tries: the number of tries so far.
    """

    memory = 1024
    """How many tries of each correction are remembered; the time for a batch grows with the square of it."""

    def __init__(self, corrections: int, *, boldness: float = 1.0) -> None:
        """Start without evidence: all corrections promise the same.

        Args:
            corrections: number of corrections, C.
            boldness: the last try on an image goes to the correction with the highest promise plus this many of its
                standard deviations, so that corrections of which little is known get their chance.
        """
        self.boldness, self.tries = boldness, 0
        self.experience = (Experience.none(),) * corrections

    def memory_used(self) -> int:
        """Return the bytes of all that is remembered; most are the covariances of tries."""
        return sum(
            tensor.nbytes for known in self.experience for tensor in (known.described, known.gained, known.factor)
        )

    def observe(self, described: Tensor, choice: Choice, gained: Tensor) -> None:
        """Learn from tries; those whose numbers are not finite are left out.

        Args:
            described: descriptions of the images, (N, DESCRIPTORS).
            choice: what `choose` returned for them.
            gained: the certainty that each of the tried corrections gained, (N, K).
        """
        gained, sound = gained.double(), described.isfinite().all(1)
        of: dict[int, list[tuple[int, float]]] = {}
        for n, c in choice.idle:
            of.setdefault(c, []).append((n, 0.0))
        for n, (numbers, gains) in enumerate(zip(choice.tried.tolist(), gained.tolist(), strict=True)):
            for c, gain in zip(numbers, gains, strict=True):
                if isfinite(gain) and (n, c) not in choice.idle:
                    of.setdefault(c, []).append((n, gain))
        grown = list(self.experience)
        for c, tries in of.items():
            known = [(n, gain) for n, gain in sorted(tries) if sound[n]]
            if known:
                rows, gains = [n for n, _ in known], torch.tensor([gain for _, gain in known], dtype=torch.float64)
                grown[c] = grown[c].grown(described[rows], gains, self.memory)
                self.tries += len(known)
        self.experience = tuple(grown)

    def choose(
        self, described: Tensor, count: int, changes: Callable[[int, int], bool] = lambda n, correction: True
    ) -> Choice:
        """Choose the corrections to try on each image, the most promising first.

        A choice for one image makes the same choice less bold for images like it, although its result is not known yet:
        so a batch spreads its tries (Desautels et al. 2014).

        Args:
            described: descriptions of the images, (N, DESCRIPTORS).
            count: corrections to try on each, K.
            changes: tells whether a correction changes image n. One that does not is passed over, unless too few do.
        """
        expected = [one.expect(described) for one in self.experience]
        promised = torch.stack([mean for mean, _ in expected], 1)
        covariance = torch.stack([own for _, own in expected])
        tried, idle = torch.empty(len(described), count, dtype=torch.long), list[tuple[int, int]]()
        for n, promises in enumerate(promised):
            left, useful, useless = promises.clone(), list[int](), list[int]()
            while len(useful) < count and len(useful) + len(useless) < len(left):
                # Where all promise the same, as without evidence, the one that is known least goes first.
                bold = self.boldness if len(useful) == count - 1 else 1e-6
                deviation = covariance[:, n, n].clamp_min(0).sqrt()
                best = int((left + bold * _SCALE * deviation).argmax())
                left[best] = -torch.inf
                (useful if changes(n, best) else useless).append(best)
                known = covariance[best, :, n].clone()
                covariance[best] -= torch.outer(known, known) / (known[n] + UNEXPLAINED)
            tried[n] = torch.tensor((useful + useless)[:count])
            idle += [(n, c) for c in useless]
        return Choice(tried=tried, promised=promised.gather(1, tried), idle=idle)

    def snapshot(self) -> tuple[tuple[Experience, ...], int]:
        """Return all evidence, for `restore`."""
        return self.experience, self.tries

    def restore(self, snapshot: tuple[tuple[Experience, ...], int]) -> None:
        """Return to a snapshot, bit for bit."""
        self.experience, self.tries = snapshot

    def state(self) -> dict[str, Tensor]:
        """Return the evidence, to be saved: the tries of all corrections in turn, and how many each has."""
        return {
            "described": torch.cat([one.described for one in self.experience]),
            "gained": torch.cat([one.gained for one in self.experience]).float(),
            "counts": torch.tensor([len(one.gained) for one in self.experience]),
            "tries": torch.tensor(self.tries),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Replace the evidence by what `state` returned.

        Raises:
            InputError: if it was saved with other corrections or descriptions.
        """
        counts = state.get("counts", torch.zeros(0, dtype=torch.long))
        if len(counts) != len(self.experience) or state["described"].shape != (int(counts.sum()), DESCRIPTORS):
            raise InputError("the file has no predictor for the corrections of this version; run `vqttt tune` again")
        parts = zip(*(torch.split(state[name], counts.tolist()) for name in ("described", "gained")), strict=True)
        nothing = Experience.none()
        self.experience = tuple(nothing.grown(d, g.double(), self.memory) if len(g) else nothing for d, g in parts)
        self.tries = int(state["tries"])
