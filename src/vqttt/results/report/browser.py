"""The examples of a run as data for the image browser of its page: chosen within a budget, each image stored once.

Examples contain text of unknown origin. It goes into the page as JSON that cannot close its element, and the script
shows it as text only. Only images in base64 become the source of an `img`.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import polars as pl

from vqttt.results import figures, summary
from vqttt.results.tables import label
from vqttt.runs.records import CELL, CLEAN, NONE

BUDGET = 2_200_000
"""Maximum size of a page's examples and their images, in bytes."""

FLIPS = {
    "corrective": "corrected by tuning",
    "destructive": "broken by tuning",
    "helped": "corrected by degradation",
    "hurt": "broken by degradation",
    "same": "unchanged",
}
"""Kinds of examples, and how a page names them."""

BY_QUALITY = ("helped", "hurt")
"""Kinds that compare the untuned model's answers to the clean and the degraded image."""

IMAGE = re.compile(r"data:image/(webp|png|jpeg);base64,[A-Za-z0-9+/=]+")
"""What may become the source of an image."""

_TEXTS = ("sample_id", "question", "reference", "base_answer", "clean_answer", "answer")
_VERSIONS = ("clean", "degraded", "filtered")
_SPREAD_OVER = ("flip", "task", "degradation", "method", "severity")
_MEASURES = ("base_confidence", "confidence", "entropy_before", "entropy_after")

_OVERHEAD = 400
"""Approximate size of an example's JSON without its texts and images, in bytes."""

_DEFAULTS = {"model": "", "task": "", "degradation": "", "severity": 0, "scale": "relative", "restorer": NONE}
_DEFAULTS |= {"method": NONE, "seed": 0}
"""The cell of an example, where its file does not say."""


def collect(details: Sequence[dict[str, Any]], records: pl.DataFrame, budget: int = BUDGET) -> dict[str, Any]:
    """Choose examples evenly from all kinds, tasks, degradations, methods and severities until the budget is spent.

    Args:
        details: contents of the files in `examples/`.
        records: records of the run, which give the confidence and entropy of each example.
        budget: approximate maximum size of the JSON, in bytes.

    Returns:
        The `total` number of examples, the `examples` chosen, and the `images` and `kernels` that they refer to by
        number.
    """
    every = examples_of(details)
    changed = spread([example for example in every if example["flip"] != "same"], _SPREAD_OVER)
    unchanged = spread([example for example in every if example["flip"] == "same"], _SPREAD_OVER)
    images, kernels, chosen, spent = dict[str, int](), dict[str, int](), list[dict[str, Any]](), 0
    for example in changed + unchanged:
        uris = _versions(example)
        kernel = _kernel(example)
        new = [text for text in {*uris, kernel} if text not in images and text not in kernels]
        cost = _OVERHEAD + sum(map(len, new)) + sum(len(str(example.get(name) or "")) for name in _TEXTS)
        if spent + cost > budget:
            continue
        spent += cost
        numbers = [images.setdefault(uri, len(images)) if uri else None for uri in uris]
        number = kernels.setdefault(kernel, len(kernels)) if kernel else None
        chosen.append(example | {"images": numbers, "kernel": number})
    measured = _measured(chosen, records)
    return {
        "total": len(every),
        "flips": FLIPS,
        "examples": [_for_page(example) | numbers for example, numbers in zip(chosen, measured, strict=True)],
        "images": list(images),
        "kernels": [json.loads(kernel) for kernel in kernels],
    }


def examples_of(details: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the examples of all cells, each with the identity of its cell; skip what is not a known kind of example."""
    return [
        _DEFAULTS
        | {name: cell.get(name, default) for name, default in _DEFAULTS.items()}
        | {"kernel": cell.get("kernel")}
        | example
        for cell in details
        for example in cell.get("examples") or ()
        if isinstance(example, dict) and example.get("flip") in FLIPS
    ]


def spread(items: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Reorder items so that every prefix covers as many values of the keys as possible, earlier keys first."""
    if not keys:
        return list(items)
    groups: dict[Any, list[dict[str, Any]]] = {}
    for item in items:
        groups.setdefault(item[keys[0]], []).append(item)
    rounds = zip_longest(*(spread(group, keys[1:]) for group in groups.values()))
    return [item for one_each in rounds for item in one_each if item is not None]


def _versions(example: dict[str, Any]) -> list[str]:
    """Return the images of an example: clean, as the model saw it, and as tuned; empty where there is none.

    The second is empty where it is no other image than the clean one: on clean images that were not restored.
    """
    uris = [uri if IMAGE.fullmatch(uri := str(example.get(name))) else "" for name in _VERSIONS]
    if _condition(example) == CLEAN and uris[0]:
        uris[1] = ""
    return uris


def _condition(example: dict[str, Any]) -> str:
    """Say what was done to an image before the model saw it."""
    degraded, restored = example["degradation"] != CLEAN, example["restorer"] not in (NONE, "", None)
    if degraded:
        return "degraded, then restored" if restored else "degraded"
    return "restored" if restored else CLEAN


def as_json(data: dict[str, Any]) -> str:
    """Write JSON for a `script` element of a page; nothing in the data can close the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _kernel(example: dict[str, Any]) -> str:
    """Return an example's kernel as JSON, cropped, with its gain by frequency; empty if there is none or no change."""
    try:
        kernel = np.array(example["kernel"], np.float64)
    except (TypeError, ValueError):
        return ""
    if kernel.ndim != 2 or not np.isfinite(kernel).all() or figures.identity_distance(kernel) < 1e-6:
        return ""
    weights = np.round(figures.support(kernel), 3) + 0.0
    gain = np.round(figures.frequency_response(kernel)[1], 2) + 0.0
    return json.dumps({"weights": weights.tolist(), "gain": gain.tolist()}, separators=(",", ":"))


def _for_page(example: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of an example; `before` is the answer that `answer` is compared with."""
    cell = {name: example[name] for name in _DEFAULTS}
    identity = json.dumps([*cell.values(), str(example.get("sample_id")), example["flip"]])
    texts = {name: str(example.get(name) or "") for name in ("sample_id", "question", "reference", "answer")}
    return {
        "id": hashlib.sha256(identity.encode()).hexdigest()[:10],
        "flip": example["flip"],
        "before": str(example.get("clean_answer" if example["flip"] in BY_QUALITY else "base_answer") or ""),
        "images": example["images"],
        "kernel": example["kernel"],
        "degradation": label(str(cell["degradation"])),
        "severity": int(cell["severity"] or 0),
        **{name: str(cell[name]) for name in ("model", "task", "method", "restorer")},
        "versions": [CLEAN, _condition(example), _tuned(example)],
        **texts,
    }


def _tuned(example: dict[str, Any]) -> str:
    """Name the image as tuned, and say how it was tuned if the example does."""
    how = str(example.get("how") or example.get("through") or "")  # `through` in runs of earlier versions
    return f"as tuned: {how}" if how else "as tuned"


def _measured(chosen: Sequence[dict[str, Any]], records: pl.DataFrame) -> list[dict[str, list[float | None]]]:
    """Return the confidence and entropy of each example's two answers; None where the records do not have them."""
    image = [name for name in CELL if name != "method"] + ["sample_id"]
    some = records.filter(pl.col("sample_id").is_in([str(example.get("sample_id")) for example in chosen]))
    tuned = {row[:-4]: row[-4:] for row in some.select(*image, "method", *_MEASURES).iter_rows()}
    base = summary.untuned(some).select(*image, "base_confidence", "entropy_before")
    untuned = {row[:-2]: row[-2:] for row in base.iter_rows()}
    found = []
    for example in chosen:
        key = tuple(example.get(name) for name in image)
        if example["flip"] in BY_QUALITY:
            clean = example | {"degradation": CLEAN, "severity": 0, "restorer": NONE}
            pairs = [untuned.get(tuple(one.get(name) for name in image), (None, None)) for one in (clean, example)]
            values = [value for pair in zip(*pairs, strict=True) for value in pair]
        else:
            values = list(tuned.get((*key, example["method"]), [None] * 4))
        known = [None if value is None or not np.isfinite(value) else round(value, 3) for value in values]
        found.append({"confidence": known[:2], "entropy": known[2:]})
    return found
