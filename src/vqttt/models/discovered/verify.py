"""What a model must do before its numbers can be trusted, tried on a few random images in seconds.

The first checks are needed to answer, the others to tune and to look inside. They use nothing but the interface of
`TunableModel`, so they hold for a family with a file of its own as well.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqttt.errors import VQTTTError, in_a_line
from vqttt.models.base import Inputs
from vqttt.models.tunable import Part, TunableModel, forward_hooks
from vqttt.types import Image

SIZES = ((96, 64), (64, 96), (80, 80))
"""Height and width of the images, in pixels."""

QUESTIONS = ("What is in the image?", "How many?", "What color is the largest object that you see?")
"""Their prompts differ in length, so that a batch has padding."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: what was checked.
        needed: what it is needed for, `answers` or `tuning`.
        found: what was found.
        failed: what was wrong; empty if it holds.
        sure: whether the outcome is the model's; not if the machine, such as a lack of memory, may be the cause.
    """

    name: str
    needed: str
    found: str
    failed: str = ""
    sure: bool = True


class CheckError(VQTTTError):
    """What is wrong, in a few words."""


Checker = Callable[[TunableModel, Inputs], str]
"""Returns what was found; raises `CheckError`."""


def random_images(seed: int = 0) -> list[Image]:
    """Return three images of blocks of random colours, of the sizes of `SIZES`."""
    rng = np.random.default_rng(seed)
    blocks = [rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8) for height, width in SIZES]
    return [block.repeat(8, 0).repeat(8, 1) for block in blocks]


def verified(model: TunableModel, untunable: str = "") -> list[Check]:
    """Return the outcome of all checks.

    Args:
        model: the model.
        untunable: why it cannot be tuned, if that is known; then only the checks for answers are made.
    """
    try:
        inputs = model.encode(random_images(), list(QUESTIONS))
    except Exception as error:  # a processor may raise anything over what does not fit
        return [Check("prompt", ANSWERS, "", _reason(error), isinstance(error, VQTTTError))]
    wanted = [check for check in CHECKS if not untunable or check[0] == ANSWERS]
    checks = [_outcome(name, needed, check, model, inputs) for needed, name, check in wanted]
    return [*checks, Check("layout", TUNING, "", untunable, sure=False)] if untunable else checks


def _outcome(name: str, needed: str, check: "Checker", model: TunableModel, inputs: Inputs) -> Check:
    try:
        return Check(name, needed, check(model, inputs))
    except Exception as error:  # a network may raise anything over what does not fit
        return Check(name, needed, "", _reason(error), isinstance(error, VQTTTError))


def _reason(error: Exception) -> str:
    return in_a_line(error)[:200]


def _logits(model: TunableModel, inputs: Inputs) -> Tensor:
    with torch.no_grad():
        return model.answer_logits(inputs)[:, 0]


def _rounding(model: TunableModel, logits: Tensor) -> float:
    """Return how far logits of the same prompt may be apart where they were computed in another batch."""
    coarse = next(model.network.parameters()).dtype in (torch.float16, torch.bfloat16)
    return (0.1 if coarse else 1e-2) * float(logits.std().clamp_min(0.1))


def _check_prompts(model: TunableModel, inputs: Inputs) -> str:
    """The prompts begin once."""
    ids = inputs.tensors.get("input_ids")
    if ids is None:
        raise CheckError("the processor gives no tokens of the question")
    bos = model.processor.tokenizer.bos_token_id  # type: ignore[attr-defined]
    first = [row[kept.bool()][:2].tolist() for row, kept in zip(ids, inputs.tensors["attention_mask"], strict=True)]
    if [bos, bos] in first:
        raise CheckError("the prompt begins twice")
    texts = [model.processor.tokenizer.decode(row) for row in ids]  # type: ignore[attr-defined]
    return f"{len(texts[0].split())} words, {ids.shape[1]} tokens"


def _check_images(model: TunableModel, inputs: Inputs) -> str:
    """Each image has an effect on its own sample and on no other."""
    plain, others = _logits(model, inputs), random_images(1)
    limit = _rounding(model, plain)
    least = float("inf")
    for n in range(inputs.count):
        images = random_images()
        images[n] = others[n]
        changes = (_logits(model, model.encode(images, list(QUESTIONS))) - plain).abs().amax(1)
        if changes[n] == 0:
            raise CheckError("another image gives the same answer")
        if max(float(change) for m, change in enumerate(changes) if m != n) > limit:
            raise CheckError("an image changes the answer of another sample")
        least = min(least, float(changes[n]))
    return f"logits change by {least:.2g} or more"


def _check_batches(model: TunableModel, inputs: Inputs) -> str:
    """A sample's answer does not depend on its batch."""
    plain, images = _logits(model, inputs), random_images()
    apart = 0.0
    for n, question in enumerate(QUESTIONS):
        single = _logits(model, model.encode(images[n : n + 1], [question]))[0]
        apart = max(apart, float((single - plain[n]).abs().max()))
    if apart > _rounding(model, plain):
        raise CheckError(f"in a batch a sample's logits differ by {apart:.2g}, so padding has an effect")
    return f"{apart:.1g} apart"


def _check_generation(model: TunableModel, inputs: Inputs) -> str:
    """Answers that are generated have the logits of one pass over them."""
    answers = model.generate(inputs, 3)
    with torch.no_grad():
        forced = model.answer_logits(inputs, answers.tokens)
    apart = float((forced - answers.logits)[answers.mask].abs().max())
    if apart > _rounding(model, forced):
        raise CheckError(f"the logits of generated tokens differ by {apart:.2g} from those of one pass")
    return f"{apart:.1g} apart"


def _check_pixels(model: TunableModel, inputs: Inputs) -> str:
    """Pixels can be read and written back without changing a bit."""
    shown = model.pixels(inputs)
    again = model.with_pixels(inputs, shown.pixels)
    for key, values in inputs.tensors.items():
        if not torch.equal(again.tensors[key], values):
            raise CheckError(f"{key} changes when its own pixels are written back")
    if set(shown.owner.tolist()) != set(range(inputs.count)):
        raise CheckError("a sample has no image")
    count, _, height, width = shown.pixels.shape
    return f"{count} of {height} x {width}" + ("" if shown.mask is None else ", with padding")


def _check_padding(model: TunableModel, inputs: Inputs) -> str:
    """A change of the content leaves every bit of the padding."""
    shown = model.pixels(inputs)
    changed = shown.changed(lambda content, which: content + 0.5)
    other = model.with_pixels(inputs, changed)
    again = model.pixels(other).pixels
    mask = torch.ones_like(shown.pixels[:, :1], dtype=torch.bool) if shown.mask is None else shown.mask
    if not torch.equal(again.where(~mask, 0), shown.pixels.where(~mask, 0)):
        raise CheckError("padding changes with the content")
    if not ((again - shown.pixels).abs() > 0.1).any(1, keepdim=True)[mask].all():
        raise CheckError("a change of the content is lost")
    return f"{float(mask.float().mean()):.0%} is content"


_CUT = "no gradient reaches the pixels; the model may turn images into discrete tokens"


def _check_gradients(model: TunableModel, inputs: Inputs) -> str:
    """Gradients reach the pixels and the projections, and no weight."""
    shown = model.pixels(inputs)
    leaf = shown.pixels.clone().requires_grad_()
    with _shifted(model, None) as shifts:
        loss = model.answer_logits(model.with_pixels(inputs, leaf)).logsumexp(-1).sum()
        if not loss.requires_grad:
            raise CheckError(_CUT)
        loss.backward()  # type: ignore[no-untyped-call]
    if leaf.grad is None or not leaf.grad.any():
        raise CheckError(_CUT)
    if not leaf.grad.isfinite().all():
        raise CheckError("the gradient of the pixels is not finite")
    reached = torch.zeros(inputs.count, dtype=torch.bool, device=leaf.device)
    reached[shown.owner[leaf.grad.flatten(1).any(1)]] = True
    if not reached.all():
        raise CheckError("no gradient reaches the pixels of a sample")
    if any(parameter.grad is not None for parameter in model.network.parameters()):
        raise CheckError("a gradient reaches the model's own weights")
    if any(shift.grad is None or not shift.grad.any() for shift in shifts):
        raise CheckError("no gradient reaches a projection of a vision block")
    return f"pixels and {len(shifts)} projections"


def _check_selection(model: TunableModel, inputs: Inputs) -> str:
    """Samples that are selected from a batch keep their answers."""
    plain, rows = _logits(model, inputs), [2, 0]
    apart = float((_logits(model, model.select(inputs, rows)) - plain[rows]).abs().max())
    if apart > _rounding(model, plain):
        raise CheckError(f"the logits of selected samples differ by {apart:.2g}")
    return f"{apart:.1g} apart"


def _check_rows(model: TunableModel, inputs: Inputs) -> str:
    """A change to a sample's rows in a vision block changes its answer and no other; in any batch."""
    if not model.together or not _targets(model):
        return "not needed" if model.together else "not known: samples of a batch have no LoRA of their own"
    equal = [image[:64, :64] for image in random_images()]
    batches = (inputs, model.encode(equal, list(QUESTIONS)), model.encode(equal[:1], list(QUESTIONS[:1])))
    for batch in batches:
        plain = _logits(model, batch)
        limit = _rounding(model, plain)
        for n in range(batch.count):
            with _shifted(model, model.row_owner(batch) == n):
                changes = (_logits(model, batch) - plain).abs().amax(1)
            others = max([float(change) for m, change in enumerate(changes) if m != n], default=0.0)
            if changes[n] == 0 or others > limit:
                raise CheckError("the rows of a vision block do not belong to the samples that they should")
    return f"{len(model.row_owner(inputs))} rows"


def _targets(model: TunableModel) -> list[nn.Module]:
    """Return the linears of the first block that LoRA may adapt."""
    found = [model.lora_targets(block) for block in list(model.vision_blocks)[:1]]
    linears = [one.linear if isinstance(one, Part) else one for targets in found for one in targets.values()]
    return list(dict.fromkeys(linears))


@contextmanager
def _shifted(model: TunableModel, rows: Tensor | None) -> Iterator[list[Tensor]]:
    """Within the block, shifts are added to what projections of the first vision block put out; yields the shifts.

    Args:
        model: the model.
        rows: which rows of the block's input are shifted; None for shifts of zero that gradients reach.
    """
    shifts: list[Tensor] = []

    def add(module: Any, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if rows is None:
            shift = torch.zeros_like(output, requires_grad=True)
            shifts.append(shift)
            return output + shift
        packed = output.ndim == 3 and len(output) == 1 < len(rows) == output.shape[1]
        own = rows[None] if packed else rows
        if not packed and len(own) != len(output):
            own = own.repeat_interleave(len(output) // len(own))
        ramp = torch.linspace(-3, 3, output.shape[-1], device=output.device, dtype=output.dtype)
        return output + own.view(*own.shape, *[1] * (output.ndim - own.ndim)).to(output) * ramp * output.std()

    with forward_hooks([(linear, add) for linear in _targets(model)]):
        yield shifts


ANSWERS, TUNING = "answers", "tuning"
CHECKS: tuple[tuple[str, str, Checker], ...] = (
    (ANSWERS, "prompt", _check_prompts),
    (ANSWERS, "images matter", _check_images),
    (ANSWERS, "batches", _check_batches),
    (ANSWERS, "generation", _check_generation),
    (TUNING, "pixels", _check_pixels),
    (TUNING, "padding", _check_padding),
    (TUNING, "gradients", _check_gradients),
    (TUNING, "selection", _check_selection),
    (TUNING, "rows", _check_rows),
)
"""What each check is needed for, its name, and the check."""
