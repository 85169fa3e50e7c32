"""SAR and MEMO are the published algorithms, step for step: here they are written out with plain torch."""

from copy import deepcopy
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.errors import InputError
from vqttt.methods import METHODS, Memo, MemoConfig, Sar, SarConfig
from vqttt.models.fake import FakeTunableModel
from vqttt.models.llava import Llava


def norms_of(network: nn.Module, blocks: int) -> list[nn.Parameter]:
    """Weights and biases of the norms of the first vision blocks."""
    return [
        parameter
        for name, parameter in network.named_parameters()
        if "vision_tower" in name and "norm" in name and any(f"layers.{n}." in name for n in range(blocks))
    ]


def entropies(network: Any, inputs: Any) -> Tensor:
    logits = network(**inputs.tensors).logits[:, -1]
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)


class Derived:
    """SAR for one network: filter, climb, filter again, descend with momentum, watch the mean."""

    def __init__(self, network: nn.Module, config: SarConfig, words: int) -> None:
        self.network, self.config, self.threshold = network, config, config.margin * log(words)
        self.weights = [weight.requires_grad_() for weight in norms_of(network, blocks=2)]
        self.start = [weight.detach().clone() for weight in self.weights]
        self.velocity = [torch.zeros_like(weight) for weight in self.weights]
        self.mean: float | None = None
        self.resets, self.moved = 0, False

    def update(self, inputs: Any) -> tuple[int, int]:
        """One batch; returns how many samples passed each filter."""
        first = entropies(self.network, inputs)
        reliable = first < self.threshold
        slope = self.slope(first[reliable])
        length = torch.cat([part.flatten() for part in slope]).norm()
        here = [weight.detach().clone() for weight in self.weights]
        self.write([w + self.config.sharpness * s / (length + 1e-12) for w, s in zip(here, slope, strict=True)])
        second = entropies(self.network, inputs)[reliable]
        still = second < self.threshold
        slope = self.slope(second[still])
        self.velocity = [self.config.momentum * v + s for v, s in zip(self.velocity, slope, strict=True)]
        self.write([w - self.config.rate * v for w, v in zip(here, self.velocity, strict=True)])
        if still.any():
            value = second[still].mean().item()
            self.mean = value if self.mean is None else 0.9 * self.mean + 0.1 * value
        if self.mean is not None and self.mean < self.config.floor:
            self.write(self.start)
            self.velocity = [torch.zeros_like(weight) for weight in self.weights]
            self.resets += 1
        return int(reliable.sum()), int(still.sum())

    def slope(self, chosen: Tensor) -> list[Tensor]:
        if not len(chosen):
            return [torch.zeros_like(weight) for weight in self.weights]
        return list(torch.autograd.grad(chosen.mean(), self.weights))

    def write(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for weight, value in zip(self.weights, values, strict=True):
                weight.copy_(value)


def spread_of_entropies(model: Llava) -> Tensor:
    images = sample_images(16)
    with torch.no_grad():
        return torch.cat([entropies(model.network, model.encode(images[s : s + 4], QUESTIONS)) for s in (0, 4, 8, 12)])


@pytest.mark.parametrize("case", ["some reliable", "a reset", "none reliable later"])
def test_sar_is_the_published_algorithm_step_for_step(case: str) -> None:
    model = tiny_llava()
    words = model.network.get_output_embeddings().weight.shape[0]
    ordered = spread_of_entropies(model).sort().values
    middle = float(ordered[10]) / log(words)  # some of the samples are reliable
    floor = 2 * log(words) if case == "a reset" else 0.0
    config = SarConfig(margin=middle, rate=0.05, floor=floor)
    method = Sar(model, config, max_new_tokens=2)
    derived = Derived(deepcopy(model.network), config, words)
    assert len(derived.weights) == 2 * 4, "two of three blocks, two norms each, weight and bias"
    images, counts = sample_images(16), []
    for start in range(0, 16, 4):
        if case == "none reliable later" and start == 8:
            derived.threshold, method.config = 0.0, SarConfig(margin=0.0, rate=0.05, floor=0.0)
            before = [weight.detach().clone() for weight in derived.weights]
        inputs = model.encode(images[start : start + 4], QUESTIONS)
        counts.append(derived.update(inputs))
        method.answer(inputs, model.generate(inputs, 2))
        assert method.mean_entropy == pytest.approx(derived.mean, abs=1e-5)
        probe = model.encode(images[:4], QUESTIONS)
        with torch.no_grad(), method.adapters.applied(probe) as adapted:
            ours = model.answer_logits(adapted)[:, 0]
        torch.testing.assert_close(ours, derived.network(**probe.tensors).logits[:, -1].detach(), atol=1e-4, rtol=1e-4)
    if case == "some reliable":
        assert any(0 < reliable < 4 for reliable, _ in counts) and any(
            0 < still < reliable for reliable, still in counts
        )
    elif case == "a reset":
        assert derived.resets and method.mean_entropy is not None, "the mean goes on after a reset"
    else:
        assert counts[2:] == [(0, 0), (0, 0)]
        assert not all(map(torch.equal, before, derived.weights)), "momentum still moves the norms"
    method.reset()
    assert method.mean_entropy is None, "another stream has another mean"


def test_sar_answers_with_the_outputs_from_before_the_update() -> None:
    model = tiny_llava()
    inputs = model.encode(sample_images(4), QUESTIONS)
    base = model.generate(inputs, 2)
    answers = Sar(model, SarConfig(margin=2.0, rate=10.0), max_new_tokens=2).answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert not any(answer.rolled_back for answer in answers)


def test_sar_leaves_the_last_quarter_of_the_blocks_alone() -> None:
    blocks = [nn.Identity() for _ in range(24)]
    method: Any = METHODS["sar"].build(tiny_llava())
    assert [len(method.adapted(blocks[:count])) for count in (1, 2, 3, 12, 24)] == [1, 1, 2, 9, 18]


def augmented(method: Memo, inputs: Any) -> Any:
    """The views that the method draws for one sample."""
    import zlib

    pixels = method.model.pixels(inputs).pixels
    drawn = np.random.SeedSequence([method.seed, zlib.crc32(pixels.float().numpy().tobytes())])
    return method.augmented(inputs, drawn.spawn(method.config.views))


def test_memo_is_the_published_algorithm_step_for_step() -> None:
    """For each image: views, the entropy of their mean answer, one AdamW step on all weights, then the image itself."""
    model = tiny_llava()
    method = Memo(model, MemoConfig(rate=1e-3, views=5, at_once=2), max_new_tokens=2)
    images = sample_images(3)
    inputs = model.encode(images, QUESTIONS[:3])
    before = model.fingerprint()
    answers = method.answer(inputs, model.generate(inputs, 2))
    assert model.fingerprint() == before
    assert not any(weight.requires_grad or weight.grad is not None for weight in model.network.parameters())
    for n, answer in enumerate(answers):
        alone = model.encode(images[n : n + 1], QUESTIONS[n : n + 1])
        network = deepcopy(model.network).requires_grad_()
        adam = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
        probabilities = [network(**view.tensors).logits[:, -1].softmax(1) for view in augmented(method, alone)]
        mean = torch.cat(probabilities).mean(0)
        assert len(torch.cat(probabilities)) == 5
        (-(mean * mean.log()).sum()).backward()
        adam.step()
        tuned = Llava("tuned", network, model.processor).generate(alone, 2)
        assert answer.answer == tuned.texts[0]
        assert answer.entropy_after == pytest.approx(tuned.entropies[0], abs=1e-4)
        assert abs(answer.entropy_after - answer.entropy_before) > 1e-3, "the step must change something"


def test_memo_gives_the_same_whatever_the_batch_and_the_views_in_a_pass() -> None:
    model = FakeTunableModel()
    images = sample_images(3)
    found = []
    for at_once, rows in ((1, [[0, 1, 2]]), (8, [[0, 1, 2]]), (3, [[0], [1], [2]])):
        method = Memo(model, MemoConfig(rate=1e-2, views=5, at_once=at_once))
        of_case = []
        for some in rows:
            inputs, base = model.ask([images[n] for n in some], [QUESTIONS[n] for n in some], 2)
            of_case += [answer.entropy_after for answer in method.answer(inputs, base)]
        found.append(of_case)
    assert found[0] == pytest.approx(found[1], abs=1e-5) and found[0] == pytest.approx(found[2], abs=1e-5)


def test_memo_puts_the_weights_back_even_if_a_pass_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeTunableModel()
    inputs, base = model.ask(sample_images(2), QUESTIONS[:2], 2)
    before = model.fingerprint()

    def failing(*given: Any) -> None:
        raise RuntimeError("out of memory")

    method = Memo(model, MemoConfig(rate=0.1, views=2))
    monkeypatch.setattr(model, "generate", failing)
    with pytest.raises(RuntimeError):
        method.answer(inputs, base)
    assert model.fingerprint() == before
    assert not any(weight.requires_grad for weight in model.network.parameters())


def test_memo_refuses_weights_that_its_step_cannot_change() -> None:
    model = FakeTunableModel()
    model.network.to(torch.bfloat16)
    with pytest.raises(InputError, match="bfloat16 rounds away; load the model with --dtype float32"):
        METHODS["memo"].build(model)
