"""What single families do beyond what all must do."""

from copy import copy

import numpy as np
import torch
from PIL import Image as PILImage

from tests.support.small_families import small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.tuning.adapters import AdapterConfig, Adapters


def test_crops_of_gemma3_belong_to_their_sample() -> None:
    model = copy(small("gemma3"))
    model.processor = copy(model.processor)
    model.processor.images_kwargs = {
        **model.processor.images_kwargs,
        "do_pan_and_scan": True,
        "pan_and_scan_min_crop_size": 16,
    }
    square, wide = sample_images(2)
    inputs = model.encode([square, np.ascontiguousarray(wide[:24])], QUESTIONS[:2])
    owner = model.pixels(inputs).owner.tolist()
    assert owner[0] == 0 and owner[1:] == [1] * (len(owner) - 1) and len(owner) > 3
    assert model.select(inputs, [1]).tensors["pixel_values"].shape[0] == len(owner) - 1
    assert model.answer_logits(inputs).shape[:2] == (2, 1)


def test_patches_of_qwen_are_joined_to_images() -> None:
    """The images are those that the image processor cuts into patches."""
    model = small("qwen2_5_vl")
    images = [np.ascontiguousarray(sample_images(1)[0][:32]), sample_images(2)[1]]
    pixels, owner, mask = model.pixels(model.encode(images, QUESTIONS[:2]))
    assert owner.tolist() == [0, 1] and mask is not None
    stats = model.processor.image_processor
    mean, std = (np.array(values) for values in (stats.image_mean, stats.image_std))
    for n, image in enumerate(images):
        assert int(mask[n].sum()) == image.shape[0] * image.shape[1], "these sizes need no resizing"
        expected = torch.tensor((image / 255 - mean) / std).permute(2, 0, 1)
        shown = pixels[n][:, : image.shape[0], : image.shape[1]]
        torch.testing.assert_close(shown.double(), expected, atol=1e-5, rtol=0)


def test_tiles_of_llava_next_make_up_the_image() -> None:
    """The tiles follow the overview, row by row."""
    model = small("llava_next")
    image = sample_images(1)[0]
    pixels = model.pixels(model.encode([image], QUESTIONS[:1])).pixels
    whole = torch.cat([torch.cat(list(pixels[1:3]), 2), torch.cat(list(pixels[3:5]), 2)], 1)
    stats = model.processor.image_processor
    expected = (image / 255 - np.array(stats.image_mean)) / np.array(stats.image_std)
    torch.testing.assert_close(whole.double(), torch.tensor(expected).permute(2, 0, 1), atol=1e-5, rtol=0)


def test_lora_of_a_fused_projection_leaves_the_key_alone() -> None:
    model = small("qwen2_vl")
    inputs = model.encode([sample_images(1)[0]], QUESTIONS[:1])
    adapters = Adapters(model, AdapterConfig(kernel="none", lora_blocks=1), sets=1)
    linear = adapters.lora[0].module
    outputs: list[torch.Tensor] = []
    with torch.no_grad():
        for tensor in adapters.lora_parameters:
            tensor.add_(0.1)
        for applied in (False, True):
            with adapters.applied(inputs) if applied else torch.no_grad():
                handle = linear.register_forward_hook(lambda module, arguments, output: outputs.append(output))
                model.answer_logits(inputs)
                handle.remove()
    plain, tuned = (output.chunk(3, -1) for output in outputs)
    assert torch.equal(plain[1], tuned[1])
    assert not torch.allclose(plain[0], tuned[0]) and not torch.allclose(plain[2], tuned[2])


def test_idefics_asks_in_the_format_of_its_training_data() -> None:
    model = small("idefics")
    shown = PILImage.fromarray(sample_images(1)[0])
    ids = model.process([[shown]], ["what color is it?"])["input_ids"][0]
    text = model.processor.tokenizer.decode(ids, skip_special_tokens=False).replace(" ", "")
    image = "<fake_token_around_image><image><fake_token_around_image>"
    assert f"<s>user:{image}whatcolorisit?" in text and text.endswith("assistant:")
