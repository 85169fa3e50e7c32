import math

import torch

from vqttt.objectives import OBJECTIVES, confidence, mean_entropy, token_entropy


def test_entropy_of_known_distributions() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, -1e9, -1e9, -1e9]])
    torch.testing.assert_close(token_entropy(logits), torch.tensor([math.log(4), 0.0]))


def test_the_mean_is_over_masked_positions() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[0, 2] = torch.tensor([50.0, 0, 0, 0])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(mean_entropy(logits, mask), torch.tensor([math.log(4)]))
    assert mean_entropy(logits, torch.zeros_like(mask)).item() == 0


def test_confidence_is_a_geometric_mean() -> None:
    logits = torch.log(torch.tensor([[[0.5, 0.5], [0.125, 0.875]]]))
    tokens = torch.tensor([[0, 0]])
    both = torch.ones(1, 2, dtype=torch.bool)
    torch.testing.assert_close(confidence(logits, tokens, both), torch.tensor([0.25]))


def test_objectives_keep_samples_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 5, generator=generator, requires_grad=True)
    mask = torch.ones(3, 2, dtype=torch.bool)
    for name in OBJECTIVES:
        losses = OBJECTIVES[name].loss(logits, mask)
        (gradient,) = torch.autograd.grad(losses[1], logits)
        assert losses.shape == (3,)
        assert gradient[1].abs().sum() > 0
        assert gradient[[0, 2]].abs().sum() == 0
