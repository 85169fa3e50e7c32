"""What is found by trying is what the families' own files say."""

from functools import cache

import pytest
import torch

from tests.support.small_families import BUILDERS, small
from tests.support.small_families.asked import ASKED, unequal
from vqttt.models.base import Inputs
from vqttt.models.discovered.family import Discovered
from vqttt.models.huggingface import HuggingFaceModel

OWN_PROMPTS = ("idefics", "paligemma", "cogvlm", "cogvlm2")
"""Families without a chat template of transformers', which cannot be asked without a file of their own."""
FOUND = [name for name in BUILDERS if name not in OWN_PROMPTS]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def batches(model: HuggingFaceModel) -> list[Inputs]:
    """Three unequal images, several in a sample, and parts of both."""
    first, second, third = unequal()
    single = model.encode([first, second, third], ASKED)
    several = model.encode([[first, second], [third]], ASKED[:2])
    return [single, several, model.select(single, [2, 0, 2]), model.select(several, [1, 0])]


def rows_of(model: HuggingFaceModel, inputs: Inputs) -> dict[str, list[int]]:
    """The sample that each row of each tensor belongs to."""
    rows = {key: list(range(inputs.count)) for key in inputs.tensors}
    return rows | {key: owner.tolist() for key, owner in model.packed(inputs).items()}


@cache
def found_in(name: str) -> tuple[HuggingFaceModel, Discovered]:
    own = small(name)
    return own, Discovered(name, own.network, own.processor).look()


@pytest.fixture(params=FOUND)
def pair(request: pytest.FixtureRequest) -> tuple[HuggingFaceModel, Discovered]:
    """A family's own model, and what is found without its file."""
    return found_in(request.param)


def test_images_lie_where_the_familys_file_says(pair: tuple[HuggingFaceModel, Discovered]) -> None:
    own, found = pair
    for ours, theirs in zip(batches(own), batches(found), strict=True):
        assert ours.tensors.keys() == theirs.tensors.keys()
        assert all(torch.equal(ours.tensors[key], theirs.tensors[key]) for key in ours.tensors)
        images, same = own.pixels(ours), found.pixels(theirs)
        assert torch.equal(images.pixels, same.pixels)
        assert images.owner.tolist() == same.owner.tolist()
        whole = torch.ones_like(images.pixels[:, :1], dtype=torch.bool)
        masks = [whole if one.mask is None else one.mask for one in (images, same)]
        if own.name == "llava_onevision":  # whose file takes the margins of one of several images for content
            assert (masks[1] <= masks[0]).all()
            continue
        assert torch.equal(*masks)
        written = found.with_pixels(theirs, same.pixels + 1), own.with_pixels(ours, images.pixels + 1)
        assert all(torch.equal(written[0].tensors[key], written[1].tensors[key]) for key in ours.tensors)


def test_rows_belong_to_the_samples_that_the_familys_file_says(pair: tuple[HuggingFaceModel, Discovered]) -> None:
    own, found = pair
    for ours, theirs in zip(batches(own), batches(found), strict=True):
        assert own.row_owner(ours).tolist() == found.row_owner(theirs).tolist()
        assert rows_of(own, ours) == rows_of(found, theirs)


def test_vision_blocks_and_projections_are_those_of_the_familys_file(
    pair: tuple[HuggingFaceModel, Discovered],
) -> None:
    own, found = pair
    assert list(own.vision_blocks) == list(found.vision_blocks)
    for block in own.vision_blocks:
        assert own.lora_targets(block) == found.lora_targets(block)
