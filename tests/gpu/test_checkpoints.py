"""Published checkpoints on a GPU: `python -m pytest tests/gpu`.

By default they test the first id of every family that fits on the GPU. `VQTTT_MODELS="id-or-folder ..."` names other
models, which may also run on a CPU.
"""

import os

import pytest
import torch
from PIL import Image as PILImage
from transformers import AutoProcessor

from experiments.families import PUBLISHED
from tests.support.transformers_chat import transformers_inputs
from vqttt.images.degradations import degrade
from vqttt.methods import METHODS
from vqttt.models import load_model
from vqttt.models.cogvlm import CogVLM
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.loading import LoadOptions
from vqttt.tasks import vq_mini
from vqttt.tuning.adapters import AdapterConfig, Adapters
from vqttt.tuning.tuner import Tuner, TuningConfig

NAMED = os.environ.get("VQTTT_MODELS", "").split()
MEMORY = torch.cuda.get_device_properties(0).total_memory / 1e9 if torch.cuda.is_available() else 0.0
CHOSEN = NAMED or [family.ids[0] for family in PUBLISHED.values() if family.tuned < 0.95 * MEMORY]
pytestmark = pytest.mark.skipif(not CHOSEN, reason="needs a GPU, or VQTTT_MODELS")

IMAGE = degrade(vq_mini.samples("dev", 1)[0].load(), "fog", 4, 0, "relative")
QUESTION = "what color is the largest shape?"
SHOWN = [[PILImage.fromarray(IMAGE)]]


@pytest.fixture(scope="module", params=CHOSEN or ["none"])
def model(request: pytest.FixtureRequest) -> HuggingFaceModel:
    options = LoadOptions(dtype="bfloat16") if torch.cuda.is_available() else LoadOptions()
    loaded = load_model(request.param, options)
    assert isinstance(loaded, HuggingFaceModel), loaded
    return loaded


def test_identity_equals_plain_transformers(model: HuggingFaceModel) -> None:
    """The batch is transformers' own, token by token; so are the answers."""
    inputs = model.encode([IMAGE], [QUESTION])
    # A processor of its own, as the checkpoint has it; ours stays with CogVLM, which transformers does not have.
    ours = model.processor if isinstance(model, CogVLM) else AutoProcessor.from_pretrained(model.name)
    theirs = {key: value.to(model.device) for key, value in transformers_inputs(ours, SHOWN, [QUESTION]).items()}
    theirs["pixel_values"] = theirs["pixel_values"].to(model.network.dtype)
    assert set(inputs.tensors) == set(theirs)
    assert all(torch.equal(inputs.tensors[key], theirs[key]) for key in theirs)
    plain = model.network.generate(**theirs, max_new_tokens=8)
    with torch.no_grad(), Adapters(model, AdapterConfig(), sets=1).applied(inputs) as adapted:
        assert torch.equal(model.network.generate(**adapted.tensors, max_new_tokens=8), plain)
    shown = model.to_image(model.pixels(inputs).pixels[0])
    assert PILImage.fromarray(shown).size[0] > 0


def test_one_step_lowers_the_objective(model: HuggingFaceModel) -> None:
    inputs = model.encode([IMAGE], [QUESTION])
    base = model.generate(inputs, 8)
    tuner = Tuner(model, TuningConfig(kernel_rate=1e-3), sets=1, seed=0)
    assert tuner.step(inputs, base).item() > tuner.losses(inputs, base).item()
    assert all(parameter.grad is None for parameter in model.network.parameters())


@pytest.mark.parametrize("method", ["vq-ttt", "vq-select", "vq-ttt-episodic"])
def test_methods_answer(model: HuggingFaceModel, method: str) -> None:
    weights = model.fingerprint()
    (answer,) = METHODS[method].build(model).answer_alone(model.encode([IMAGE], [QUESTION]))
    assert answer.answer
    assert answer.entropy_after <= answer.entropy_before
    assert model.fingerprint() == weights


def test_a_step_takes_no_more_memory_than_estimated(model: HuggingFaceModel) -> None:
    family = next((family for family in PUBLISHED.values() if model.name in family.ids[:1]), None)
    if family is None or not torch.cuda.is_available():
        pytest.skip("estimated for the first id of a family, on a GPU")
    torch.cuda.reset_peak_memory_stats()
    METHODS["vq-ttt-episodic"].build(model).answer_alone(model.encode([IMAGE], [QUESTION]))
    assert torch.cuda.max_memory_allocated() / 1e9 < 1.2 * family.tuned + 1
