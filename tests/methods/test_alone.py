"""Answering a batch alone gives what a study gives, for every configuration that can be written."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava, with_few_views
from vqttt.images.restorers import CORRECTIONS
from vqttt.methods import METHODS, Method, MethodSpec
from vqttt.models.tunable import TunableModel
from vqttt.tuning.adapters import AdapterConfig
from vqttt.tuning.kernels import KERNELS
from vqttt.tuning.objectives import OBJECTIVES

SUMS = ["entropy+0.1*naturalness", "certain-marginal-entropy(certain=0.5)"]

VALUES: dict[str, list[Any]] = {
    "steps": [1, 2, 3],
    "objective": [name for name in OBJECTIVES if not OBJECTIVES[name].features] + SUMS,
    "kernel_rate": [0.0, 0.02, 0.2],
    "lora_rate": [0.0, 1e-3, 1e-2],
    "rate": [1e-4, 1e-2],
    "full_step": [1, 10],
    "afresh": [False, True],
    "forget": [0.0, 0.01],
    "clean_features": [""],
    "checkpoint": [False, True],
    "gate": [0.0, 3.3, 100.0],
    "guard": [True, False],
    "guard_ratio": [1.0, 0.7],
    "window": [4, 100],
    "start": [""],
    "tries": [1, 3],
    "corrections": [CORRECTIONS, ("soften", "smooth", "gamma")],
    "trust": [0.0, 1.0],
    "caution": [0.0, 0.2],
    "boldness": [0.0, 2.0],
    "margin": [0.4, 1.0],
    "sharpness": [0.0, 0.05],
    "floor": [0.0, 0.02, 100.0],
    "kernel": ["none", *KERNELS],
    "kernel_size": [5, 9],
    "kernel_rank": [1, 2],
    "lora_rank": [0, 4],
    "lora_blocks": [1, -2],
    "lora_targets": [("q", "v"), ("q", "k", "v")],
    "momentum": [0.0, 0.9],
    "decay": [0.0, 0.01],
    "views": [1, 3],
    "at_once": [2, 8],
}
"""Values of every setting; a setting that is missing here fails the test, so that a new one is thought of."""

KINDS = {spec.kind: spec for spec in METHODS.values()}


def drawn(config: Any, rng: np.random.Generator) -> Any:
    """Draw every field of a configuration."""
    values = {}
    for field in fields(config):
        old = getattr(config, field.name)
        options = VALUES.get(field.name)
        assert options or is_dataclass(old), f"add values of {field.name} to this test"
        values[field.name] = drawn(old, rng) if is_dataclass(old) else options[rng.integers(len(options))]
    return replace(config, **values)


def compare(model: TunableModel, spec: MethodSpec) -> None:
    images = sample_images(4)
    inputs, base = model.ask(images, QUESTIONS, 4)
    alone = spec.build(model, max_new_tokens=4).answer_alone(inputs)
    asked = spec.build(model, max_new_tokens=4).ask(images, QUESTIONS)
    together = spec.build(model, max_new_tokens=4).answer(inputs, base)
    for a, b, c in zip(alone, together, asked, strict=True):
        assert (a.base_answer, a.steps, a.rolled_back) == (b.base_answer, b.steps, b.rolled_back), spec
        assert abs(a.entropy_after - b.entropy_after) < 2e-3, spec
        assert a.answer[:8] == b.answer[:8]  # a random model's later words are close calls
        assert (a.answer, a.entropy_after) == (c.answer, c.entropy_after)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_registered_method(name: str) -> None:
    compare(tiny_llava(), with_few_views(name))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_configurations_drawn_from_the_fields_of_each_class(kind: type[Method], one_thread: None) -> None:
    spec, model = KINDS[kind], tiny_llava()
    if spec.config is None:
        compare(model, spec)
        return
    rng = np.random.default_rng(0)
    # What a class inherits answers a batch alone as any other batch, whatever the settings.
    inherits = kind.answer_alone is Method.answer_alone
    for gate in VALUES["gate"][:2] if inherits else VALUES["gate"] * 2:
        config = drawn(spec.config, rng)
        compare(model, MethodSpec(kind, replace(config, gate=gate) if hasattr(config, "gate") else config))


def test_the_episodic_method_takes_its_short_way() -> None:
    """Otherwise the comparison above compares one thing with itself."""
    model = tiny_llava()
    inputs, _ = model.ask(sample_images(4), QUESTIONS, 4)
    passes: list[int] = []
    handle = model.vision_blocks[0].register_forward_hook(lambda module, given, output: passes.append(len(given[0])))
    spec = METHODS["vq-ttt-episodic"].changed({"gate": 0.0, "steps": 3})
    spec.build(model, max_new_tokens=4).answer_alone(inputs)
    handle.remove()
    assert len(passes) == 4, "one for the untuned answer and the first step, two for the others, one for the answer"


def test_the_episodic_method_takes_gradients_of_few_samples_only_after_the_gate() -> None:
    model = tiny_llava()
    inputs, base = model.ask(sample_images(4), QUESTIONS, 4)
    least, *_, most = sorted(base.entropies)
    passes: list[int] = []
    handle = model.vision_blocks[0].register_forward_hook(lambda module, given, output: passes.append(len(given[0])))
    for gate, first, later in ((most, [4, 1, 1], [4, 1, 1]), (least, [4, 4, 4], [4, 4])):
        method = METHODS["vq-ttt-episodic"].changed({"gate": gate - 1e-6}).build(model, max_new_tokens=4)
        found = []
        for expected in (first, later):
            passes.clear()
            found.append(method.answer_alone(inputs))
            assert passes == expected, "the batch before tells whether many are uncertain"
        for one, other in zip(*found, strict=True):
            assert one.answer == other.answer and abs(one.entropy_after - other.entropy_after) < 1e-4
    handle.remove()


def test_vq_ttt_without_a_kernel_or_lora_changes_nothing() -> None:
    model = tiny_llava()
    config = replace(METHODS["vq-ttt"].config, gate=0.0, adapters=AdapterConfig(kernel="none", lora_rank=0))
    inputs, base = model.ask(sample_images(4), QUESTIONS, 4)
    answers = MethodSpec(METHODS["vq-ttt"].kind, config).build(model, max_new_tokens=4).answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert torch.equal(
        torch.tensor([a.entropy_after for a in answers]), torch.tensor([a.entropy_before for a in answers])
    )
