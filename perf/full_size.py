"""Measure what methods cost on models of full size: `python -m perf.full_size`; `--page` writes docs/cost.md.

The models have random weights in the published shapes (`perf/random_checkpoints.py`) and are loaded as any folder is.
All is measured in one run for each model, on the same image and question. A round has one answer of every method, with
a plain answer before each and at the end; a method's ratio is to the two around it, because machines get faster and
slower. What comes first is not counted: on a GPU an answer of each method, on a CPU two plain ones.

What random weights answer is never certain, so the gate is set: each method that has one answers once with every image
uncertain and once with every image certain. Where a share p of the images is uncertain, one at a time, an image takes p
times the one and 1 - p times the other. Answers never end early: each has as many tokens as `--tokens` says.
"""

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage

from experiments.markers import put, table
from perf.random_checkpoints import MODELS, make
from vqttt.errors import VQTTTError
from vqttt.methods import Method, MethodSpec, cost, find_method
from vqttt.models import LoadOptions, load_model
from vqttt.models.tunable import TunableModel, tunable
from vqttt.tasks import question_text, vq_mini
from vqttt.types import Image

RESULTS = Path(__file__).parent / "results" / "full_size.json"
PAGE = Path("docs/cost.md")
SELECTION = ("vq-select", "vq-ttt", "vq-ttt-episodic", "tent")
GATES = {"uncertain": 0.0, "certain": 1e6}
"""The gate that makes every image so, in nats; no answer is as uncertain as the second."""

SIDE = 672
"""Pixels. Both models then have 576 image tokens: LLaVA-1.5 shrinks to 336 pixels, Qwen2.5-VL takes 28 a token."""

RUN = ("model", "layers", "dtype", "device", "tokens", "image")
"""What rows of one run have in common."""

IDENTITY = (*RUN, "method", "checkpoint", "images")
"""What tells one row from another; a later row replaces the same one."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured: a method, whether activations are recomputed, and whether images are certain."""

    method: str
    checkpoint: bool
    images: str
    spec: MethodSpec


def settings(methods: Sequence[str], checkpoint: bool) -> list[Setting]:
    """Return all settings of the given methods, with plain inference first.

    Args:
        methods: names in the registry.
        checkpoint: whether methods that can recompute activations are measured in that way, too.
    """
    found = [Setting(method="none", checkpoint=False, images="uncertain", spec=find_method("none"))]
    for name in dict.fromkeys(methods):
        spec = find_method(name)
        known = {field.name for field in fields(spec.config)} if spec.config is not None else set()
        for again in [False, True] if checkpoint and "checkpoint" in known else [False]:
            own = spec.changed({"checkpoint": True}) if again else spec
            for images, gate in GATES.items() if "gate" in known else [("uncertain", 0.0)]:
                if again and images == "certain":
                    continue  # nothing is computed that could be recomputed
                gated = own.changed({"gate": gate}) if "gate" in known else own
                found.append(Setting(method=name, checkpoint=again, images=images, spec=gated))
    return [setting for n, setting in enumerate(found) if n == 0 or setting.method != "none"]


def measured(model: TunableModel, chosen: Sequence[Setting], tokens: int, side: int, repeats: int) -> Iterator[Row]:
    """Yield a row for each setting, once all rounds are done.

    Args:
        model: the model.
        chosen: the settings, with plain inference first.
        tokens: of an answer.
        side: of the square that the image is resized to, in pixels.
        repeats: rounds that count; of their times the median is taken, of their peaks the largest.
    """
    image, question = asked(side)
    plain, *methods = (setting.spec.build(model, max_new_tokens=tokens) for setting in chosen)
    for method in (plain, *methods) if model.device_type == "cuda" else (plain, plain):  # a GPU loads code at first use
        once(model, method, image, question)
    answers: list[list[Row]] = [[] for _ in methods]
    plains = []
    for _ in range(repeats):
        plains.append(once(model, plain, image, question) | {"ratio": 1.0})
        for method, found in zip(methods, answers, strict=True):
            found.append(once(model, method, image, question))
            plains.append(once(model, plain, image, question) | {"ratio": 1.0})
            around = (plains[-2]["seconds"] + plains[-1]["seconds"]) / 2
            found[-1]["ratio"] = found[-1]["seconds"] / around
    for setting, results in zip(chosen, (plains, *answers), strict=True):
        yield {
            "method": setting.method,
            "checkpoint": setting.checkpoint,
            "images": setting.images,
            **{key: round(statistics.median(result[key] for result in results), 3) for key in ("seconds", "ratio")},
            **{key: results[-1][key] for key in ("looks", "backward", "prompt", "changeable")},
            "peak_gb": max((round(r["peak_gb"], 3) for r in results if r["peak_gb"] is not None), default=None),
            "tokens": tokens,
            "image": "{1}x{0}".format(*image.shape),
            "repeats": repeats,
        }


def asked(side: int) -> tuple[Image, str]:
    """Return an image and a question of the study."""
    sample = vq_mini.samples("dev", 1)[0]
    resized = PILImage.fromarray(sample.load()).resize((side, side), PILImage.Resampling.BICUBIC)
    return np.asarray(resized), question_text(sample)


def once(model: TunableModel, method: Method, image: Image, question: str) -> Row:
    """Answer one question from its image and text, and return what that took."""
    device, answers = model.device_type, []
    cost.reset_peak(device)
    with cost.counted(model) as passes:
        seconds = cost.timed(lambda: answers.extend(method.ask([image], [question])), device)
    peak = cost.peak_memory(device)
    if answers[0].error:
        raise SystemExit(f"{model.name}: {method.name}: {answers[0].error}")
    print(f"{model.name}: {method.name}, {seconds:.1f} s, {passes.looks} looks, {peak or 0:.0f} MiB", flush=True)
    return {
        "seconds": seconds,
        "looks": passes.looks,
        "backward": passes.backward,
        "prompt": passes.tokens,
        "changeable": answers[0].steps > 0,
        "peak_gb": None if peak is None else peak * 2**20 / 1e9,
    }


def about(model: TunableModel) -> Row:
    """Return what the rows of a run have in common."""
    cuda = model.device_type == "cuda"
    return {
        "billions": round(sum(weight.numel() for weight in model.network.parameters()) / 1e9, 2),
        "dtype": str(next(model.network.parameters()).dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(model.device) if cuda else processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "vqttt": version("vqttt"),
        "date": datetime.now(UTC).date().isoformat(),
    }


def processor() -> str:
    """Return the name of this machine's processor."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write(rows: Sequence[Row], file: Path) -> None:
    """Write rows, each in the place of the same one that is there."""
    before = json.loads(file.read_text()) if file.is_file() else []
    merged = {tuple(row[key] for key in IDENTITY): row for row in (*before, *rows)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[\n" + ",\n".join(map(json.dumps, merged.values())) + "\n]\n")


def page(rows: Sequence[Row]) -> str:
    """Return a table for each run with all layers."""
    runs: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if not row["layers"]:
            runs.setdefault(tuple(row[key] for key in RUN), []).append(row)
    return "\n\n".join(f"{_caption(run)}\n\n{_table(run)}" for run in runs.values()) or "Not measured yet."


def _caption(run: Sequence[Row]) -> str:
    first = run[0]
    prompt = max(row["prompt"] for row in run)
    where = first["device"] + ("" if "cuda" in first else f", {first['threads']} threads")
    return (
        f"**{first['model']}**, {first['billions']:.2f} billion weights in {first['dtype']}, on {where}; an image of "
        f"{first['image']} pixels, prompts of {prompt} tokens, answers of {first['tokens']}; median of "
        f"{first['repeats']} (vqttt {first['vqttt']}, torch {first['torch']}, {first['date']}):"
    )


def _table(run: Sequence[Row]) -> str:
    by_state: dict[tuple[str, bool], Mapping[str, Row]] = {}
    for row in run:
        key = row["method"], row["checkpoint"]
        by_state[key] = {**by_state.get(key, {}), row["images"]: row}
    body = []
    for (method, checkpoint), states in by_state.items():
        uncertain = states["uncertain"]
        certain = states.get("certain") or by_state[method, False].get("certain", uncertain)
        half = (uncertain["ratio"] + max(1.0, certain["ratio"])) / 2  # below 1 is chance
        peak = max((row["peak_gb"] for row in states.values() if row["peak_gb"] is not None), default=None)
        body.append(
            [
                f"`{method}`" + (", recomputing" if checkpoint else ""),
                str(uncertain["looks"]),
                str(uncertain["backward"]),
                f"{uncertain['seconds']:.1f}",
                *(f"{ratio:.2f}×" for ratio in (uncertain["ratio"], certain["ratio"], half)),
                "–" if peak is None else f"{peak:.1f}",
            ]
        )
    header = ["method", "looks", "backward", "seconds", "uncertain", "certain", "half of each", "peak GB"]
    return table(header, body)


def run(name: str, options: argparse.Namespace) -> list[Row]:
    """Make a model, load it as a user does, and measure."""
    keep: Callable[[], AbstractContextManager[Any]] = tempfile.TemporaryDirectory
    if options.folder is not None:
        keep = nullcontext
    with keep() as temporary:
        place = make(name, options.folder or Path(temporary), getattr(torch, options.dtype), options.layers)
        loaded = load_model(str(place), LoadOptions(dtype=options.dtype, device=options.device))
        model = tunable(loaded, "this measurement")
        model.name = name
        common = {"model": name, "layers": options.layers} | about(model)
        chosen = settings(options.methods.split(","), options.checkpoint)
        return [common | row for row in measured(model, chosen, options.tokens, options.side, options.repeats)]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    built = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    built.add_argument("--model", choices=list(MODELS), help="one of the models; by default each in turn")
    built.add_argument("--methods", default=",".join(SELECTION), help="names of methods, comma-separated")
    built.add_argument("--checkpoint", action="store_true", help="also with activations computed again, where possible")
    built.add_argument("--device", default="cpu", help="such as cpu or cuda")
    built.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    built.add_argument("--tokens", type=int, default=16, help="tokens of an answer")
    built.add_argument("--side", type=int, default=SIDE, help=f"side of the image in pixels [{SIDE}]")
    built.add_argument("--repeats", type=int, default=2, help="rounds that count")
    built.add_argument("--layers", type=int, default=0, help="of each part, for a quick look; by default all")
    built.add_argument("--folder", type=Path, help="keeps the models for another run; by default they are removed")
    built.add_argument("--out", type=Path, help="JSON file; by default the page's, if the model has all its layers")
    built.add_argument("--page", action="store_true", help="only write the page, from the last measurement")
    return built


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, unless only the page is asked for, and write."""
    options = parser().parse_args(arguments)
    out = options.out or (None if options.layers else RESULTS)
    for name in [] if options.page else [options.model] if options.model else list(MODELS):
        try:
            rows = run(name, options)
        except VQTTTError as error:
            raise SystemExit(str(error)) from error
        if out is not None:
            write(rows, out)
        print(page([row | {"layers": 0} for row in rows]))
    if options.page or out == RESULTS:
        put(PAGE, "full size", page(json.loads(RESULTS.read_text()) if RESULTS.is_file() else []))


if __name__ == "__main__":
    main()
