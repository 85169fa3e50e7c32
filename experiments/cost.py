"""Measure what methods cost on the embedded model and write these tables of docs/cost.md: `python -m experiments.cost`.

Every number is relative to plain inference in the same run. Takes about ten minutes on two idle cores. What is measured
on models of full size is `python -m perf.full_size`.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from experiments.families import KEPT, PUBLISHED, TEXT, Family
from experiments.markers import put, table
from vqttt.images.degradations import degrade
from vqttt.methods import MethodSpec, cost, find_method
from vqttt.models import load_model
from vqttt.models.base import Inputs
from vqttt.models.tunable import TunableModel
from vqttt.tasks import question_text, vq_mini

RESULTS = Path(__file__).parent / "cost.json"
PAGE = Path("docs/cost.md")
SELECTION = ("vq-select", "vq-ttt", "vq-ttt-episodic", "lora-only", "tta", "tent", "sar", "memo")
Row = dict[str, Any]
Methods = dict[str, MethodSpec]


def half_certain(model: TunableModel, batch: int) -> Inputs:
    """Encode a batch of clean and foggy images of which the model is certain about half."""
    samples = vq_mini.samples("test", 60)
    clean = [sample.load() for sample in samples]
    foggy = [degrade(image, "fog", 5, 0, "relative") for image in clean]
    inputs = model.batch_of(clean + foggy, 2 * [question_text(sample) for sample in samples])
    entropies = model.generate(inputs, 16).entropies
    order = sorted(range(len(entropies)), key=entropies.__getitem__)
    return model.select(inputs, order[: batch // 2] + order[len(order) - batch // 2 :])


def resized(model: Any, side: int) -> TunableModel:
    """Return the embedded model with images of `side` pixels: more image tokens, the same weights."""
    from vqttt.models.llava import Llava

    processor, network = model.processor, model.network
    for size in (processor.image_processor.size, processor.image_processor.crop_size):
        size["height"] = size["width"] = side
    network.config.vision_config.image_size = side
    forward = network.model.vision_tower.forward
    network.model.vision_tower.forward = partial(forward, interpolate_pos_encoding=True)
    return Llava(f"embedded at {side} pixels", network, processor)


def steps(count: int) -> Methods:
    """Return the episodic method with `count` updates, by its name in the table."""
    spec = find_method("vq-ttt-episodic").changed({"steps": count, "gate": 0.0})
    return {f"{count} steps" if count > 1 else "1 step": spec}


def named(*names: str) -> Methods:
    """Return registered methods by name."""
    return {name: find_method(name) for name in names}


def measured(repeats: int) -> Iterator[Row]:
    """Yield the measurements of every part of the page."""
    embedded = load_model("embedded")

    def part(name: str, *arguments: Any, **more: Any) -> Iterator[Row]:
        for measurement in cost.measure(*arguments, **more):
            yield {"part": name} | asdict(measurement)

    yield from part("methods", embedded, named(*SELECTION), (1, 4, 16, 64), repeats)
    chosen = named("vq-select", "vq-ttt", "vq-ttt-episodic")
    yield from part("half", embedded, chosen, (2, 16), repeats, encode=half_certain)
    yield from part("together", embedded, steps(1), (1, 32), 3 * repeats)
    for count in (1, 2, 4, 8):
        yield from part("steps", embedded, steps(count), (16,), repeats)
    for side in (112, 224, 336):
        yield from part("tokens", resized(load_model("embedded"), side), steps(1), (4,), repeats)


def pages(rows: list[Row]) -> dict[str, str]:
    """Return the tables of the page, by the name of their markers."""

    def of(name: str) -> list[Row]:
        return [row for row in rows if row["part"] == name]

    def ratio(row: Row) -> str:
        return f"{row['ratio']:.1f}×"

    batches = sorted({row["batch"] for row in of("methods")})
    body = []
    for method in dict.fromkeys(row["method"] for row in of("methods")):
        mine = {row["batch"]: row for row in of("methods") if row["method"] == method}
        body.append([f"`{method}`", *(ratio(mine[batch]) for batch in batches)])
    parts = {"methods": table(["time relative to plain, batch size", *map(str, batches)], body)}
    parts["half"] = table(
        ["half of the samples certain", "batch", "changeable", "time"],
        [[f"`{row['method']}`", str(row["batch"]), f"{row['tuned']:.0%}", ratio(row)] for row in of("half")],
    )
    ways = zip(("one at a time", "32 in a batch, one set each"), of("together"), strict=False)
    parts["together"] = table(
        ["one step per image", "images per second", "speed-up"],
        [[way, f"{1 / r['seconds']:.1f}", f"{of('together')[0]['seconds'] / r['seconds']:.1f}×"] for way, r in ways],
    )
    parts["steps"] = table(["steps, batch 16", "time"], [[row["method"], ratio(row)] for row in of("steps")])
    parts["tokens"] = table(
        ["batch 4", "method", "ms per sample, plain", "time"],
        [[r["model"], f"`{r['method']}`", f"{1000 * r['plain_seconds']:.0f}", ratio(r)] for r in of("tokens")],
    )
    parts = {name: part if of(name) else "Not measured yet." for name, part in parts.items()}
    return parts | {"memory": memory(PUBLISHED["llava"])}


def memory(family: Family) -> str:
    """Return a table of computed memory and batch sizes of a family's typical checkpoint in bfloat16."""
    weights, layers = 2 * family.billions, (family.tower, (*family.text[:2], family.text[3] + TEXT))
    entered = sum(2 * count * width * tokens for count, width, tokens in layers) / 1e9
    inside = max(KEPT * width * tokens for _, width, tokens in layers) / 1e9
    needs = {
        "no gradient": family.plain,
        "one gradient step": family.tuned,
        "the same, recomputing": family.plain + entered + inside,
    }
    rows = [["memory for a batch of 1", *(f"{need:.1f} GB" for need in needs.values())]]
    for size in (24, 80):
        most = [int((size - weights) / (need - weights)) for need in needs.values()]
        rows.append([f"largest batch in {size} GB", *map(str, most)])
    return table(["", *needs], rows)


def main() -> None:
    """Measure, unless only the page is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--page", action="store_true", help="write the page from the rows of the last measurement")
    arguments = parser.parse_args()
    if not arguments.page:
        rows = []
        for row in measured(arguments.repeats):
            rows.append(row)
            print(f"{row['part']}: {row['method']}, batch {row['batch']}: {row['ratio']:.2f}x", flush=True)
        RESULTS.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    for name, part in pages(json.loads(RESULTS.read_text())).items():
        put(PAGE, name, part)


if __name__ == "__main__":
    main()
