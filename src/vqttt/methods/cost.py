"""What methods cost: time and peak memory, as ratios to plain inference measured in the same run."""

import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vqttt.errors import InputError
from vqttt.methods import METHODS, Method, MethodSpec
from vqttt.models.base import Inputs, Model
from vqttt.models.memory import peak_memory, start_peak
from vqttt.models.tunable import TunableModel

QUESTIONS = ("what color is the circle?", "how many shapes are there?", "what digit is written?", "is there any star?")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One measurement.

    Attributes:
        seconds: for one sample, the untuned answer included, median over repeats; `plain_seconds` without the method.
        ratio: `seconds` over `plain_seconds`.
        peak_mib: memory that the answers needed beyond the loaded model, in MiB; likewise `plain_peak_mib`. None where
            the system does not report it.
        tuned: share of the samples that passed the method's gate.
    """

    model: str
    method: str
    batch: int
    seconds: float
    plain_seconds: float
    ratio: float
    peak_mib: float | None
    plain_peak_mib: float | None
    tuned: float
    threads: int
    device: str


def measure(
    model: Model,
    methods: Mapping[str, MethodSpec],
    batches: Sequence[int],
    repeats: int,
    encode: Callable[[Any, int], Inputs] | None = None,
) -> Iterator[Cost]:
    """Measure every method at every batch size, in turns with plain inference, so that both meet the same machine.

    A method that explores its first samples is measured after that.

    Args:
        model: on which the methods run.
        methods: by name.
        batches: batch sizes.
        repeats: measurements, of which the median counts.
        encode: makes a batch of a given number of samples; by default of images that no model is certain about.

    Raises:
        InputError: if a number is below 1.
    """
    if min(*batches, repeats) < 1:
        raise InputError("batch sizes and repeats must be at least 1")
    for batch in batches:
        inputs = (encode or uncertain_images)(model, batch)

        def plain(inputs: Inputs = inputs) -> None:
            model.generate(inputs, 16)

        plain()
        _, base_peak = _timed(plain)  # before methods run: memory that they leave behind would hide it
        for name, spec in methods.items():
            method = spec.build(model)
            tuned: list[float] = []

            def whole(method: Method = method, inputs: Inputs = inputs, tuned: list[float] = tuned) -> None:
                answers = method.answer_alone(inputs)
                tuned.append(float(np.mean([answer.steps > 0 for answer in answers])))

            method.answer_alone(inputs)  # a first pass is slower
            (base_seconds, _), (seconds, peak) = _by_turns((plain, whole), repeats)
            yield Cost(
                model=model.name,
                method=name,
                batch=batch,
                seconds=seconds / batch,
                plain_seconds=base_seconds / batch,
                ratio=seconds / base_seconds,
                peak_mib=peak,
                plain_peak_mib=base_peak,
                tuned=statistics.mean(tuned),
                threads=torch.get_num_threads(),
                device=model.device_type,
            )


def write(costs: Sequence[Cost], path: Path) -> None:
    """Write measurements as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n")


def profile(model: Model, method: str, batch: int) -> str:
    """Return a table of where the time of one batch goes, by torch.profiler."""
    inputs, answering = uncertain_images(model, batch), METHODS[method].build(model)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        answering.answer_alone(inputs)
    return str(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=40))


def proportioned() -> TunableModel:
    """Return a LLaVA of LLaVA-1.5's proportions: CLIP-L/14-336, 576 image tokens, two layers of 7B; random weights."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    from vqttt.models import load_model
    from vqttt.models.huggingface import HuggingFaceModel
    from vqttt.models.llava import Llava

    embedded = load_model("embedded")
    assert isinstance(embedded, HuggingFaceModel)
    processor = embedded.processor
    processor.image_processor.size = {"height": 336, "width": 336}
    processor.image_processor.crop_size = {"height": 336, "width": 336}
    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14,
    )  # fmt: skip
    text = LlamaConfig(vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=2)
    token = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    torch.manual_seed(0)
    network = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=token)
    )
    network.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    network.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return Llava("llava-1.5-proportions", network, processor)


def uncertain_images(model: Model, batch: int) -> Inputs:
    """Encode structured noise: images of whose answers no model is certain, so that they are tuned."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (batch, 16, 16, 3), dtype=np.uint8).repeat(14, 1).repeat(14, 2)
    return model.batch_of(list(coarse), [QUESTIONS[n % len(QUESTIONS)] for n in range(batch)])


def _by_turns(calls: Sequence[Callable[[], Any]], repeats: int) -> list[tuple[float, float | None]]:
    """Call in turns; return for each call its median seconds and the most memory it took beyond what was in use."""
    measured = [[_timed(call) for call in calls] for _ in range(repeats)]
    return [
        (
            statistics.median(seconds for seconds, _ in of_call),
            max((peak for _, peak in of_call if peak is not None), default=None),
        )
        for of_call in zip(*measured, strict=True)
    ]


def _timed(call: Callable[[], Any]) -> tuple[float, float | None]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    before = reset_peak(device)
    seconds = timed(call, device)
    peak = peak_memory(device)
    return seconds, None if before is None or peak is None else peak - before


def timed(call: Callable[[], Any], device: str) -> float:
    """Return the seconds that a call takes, until the device has done all of it."""
    began = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def reset_peak(device: str) -> float | None:
    """Give back memory that is not in use, and start to look for the peak anew.

    Args:
        device: `cuda`, or any other type for the memory of this process.

    Returns:
        What is in use, in MiB; None where the system does not report it.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):  # only glibc can
        ctypes.CDLL(None).malloc_trim(0)
    return start_peak(device)


@dataclass
class Passes:
    """What a network did for a number of answers.

    Attributes:
        looks: images with their questions that went through the network; the tokens of an answer after the first do
            not count, nor does what a backward pass computes again.
        backward: backward passes.
        tokens: the most tokens that a prompt had.
    """

    looks: int = 0
    backward: int = 0
    tokens: int = 0


@contextmanager
def counted(model: TunableModel) -> Iterator[Passes]:
    """Within the block, count what the network does."""
    passes, backward = Passes(), torch.autograd.backward

    def look(network: Any, given: Any, named: Mapping[str, Any]) -> None:
        rows, length = named["input_ids"].shape
        passes.looks += rows if length > 1 else 0
        passes.tokens = max(passes.tokens, length)

    def counting(*given: Any, **named: Any) -> None:
        passes.backward += 1
        backward(*given, **named)

    handle = model.network.register_forward_pre_hook(look, with_kwargs=True)
    torch.autograd.backward = counting  # Tensor.backward calls it, too
    try:
        yield passes
    finally:
        handle.remove()
        torch.autograd.backward = backward
