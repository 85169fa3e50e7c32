"""The examples of a run as data for the image browser of its page: chosen to a budget, each image once.

Everything here is text of unknown origin. It goes into the page as JSON that cannot close its element, and is shown by
the script as text; only what is an image in base64 is given to an `img`.
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
"""So many bytes of a page are for examples and their images."""

FLIPS = {
    "corrective": "tuning corrected",
    "destructive": "tuning broke",
    "helped": "degradation helped",
    "hurt": "degradation hurt",
    "same": "unchanged",
}
"""Kinds of examples, and what a reader is told of each."""

BY_QUALITY = ("helped", "hurt")
"""Those that show the untuned model, on the clean image and on the degraded one."""

_IMAGE = re.compile(r"data:image/(webp|png|jpeg);base64,[A-Za-z0-9+/=]+")
_WORDS = ("sample_id", "question", "reference", "base_answer", "clean_answer", "answer")
_SEEN = ("clean", "degraded", "filtered")
_SPREAD = ("flip", "task", "degradation", "method", "severity")
_NUMBERS = ("base_confidence", "confidence", "entropy_before", "entropy_after")
_USUAL = {"model": "", "task": "", "degradation": "", "severity": 0, "scale": "relative", "restorer": "none"}
_USUAL |= {"method": "none", "seed": 0}


def collect(details: Sequence[dict[str, Any]], records: pl.DataFrame, budget: int = BUDGET) -> dict[str, Any]:
    """Choose examples, evenly from all kinds, tasks, degradations, methods and severities, until the budget is spent.

    Args:
        details: what the files of `examples/` hold.
        records: from which confidence and entropy of an example are taken.
        budget: bytes of JSON, about.

    Returns:
        `total` examples there were, `examples` chosen, and the `images` and `kernels` that they name by number.
    """
    every = [
        _USUAL
        | {name: cell.get(name, usual) for name, usual in _USUAL.items()}
        | {"kernel": cell.get("kernel")}
        | shown
        for cell in details
        for shown in cell.get("examples") or ()
        if isinstance(shown, dict) and shown.get("flip") in FLIPS
    ]
    flipped = spread([example for example in every if example["flip"] != "same"], _SPREAD)
    images, kernels, chosen, spent = dict[str, int](), dict[str, int](), list[dict[str, Any]](), 0
    for example in flipped + spread([example for example in every if example["flip"] == "same"], _SPREAD):
        seen = [uri if _IMAGE.fullmatch(uri := str(example.get(name))) else "" for name in _SEEN]
        kernel = _kernel(example)
        new = [text for text in {*seen, kernel} if text not in images and text not in kernels]
        cost = 400 + sum(map(len, new)) + sum(len(str(example.get(name) or "")) for name in _WORDS)
        if spent + cost > budget:
            continue
        spent += cost
        places = [images.setdefault(uri, len(images)) if uri else None for uri in seen]
        drawn = kernels.setdefault(kernel, len(kernels)) if kernel else None
        chosen.append(example | {"images": places, "kernel": drawn})
    measured = _measured(chosen, records)
    return {
        "total": len(every),
        "flips": FLIPS,
        "examples": [_told(example) | numbers for example, numbers in zip(chosen, measured, strict=True)],
        "images": list(images),
        "kernels": [json.loads(kernel) for kernel in kernels],
    }


def spread(items: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Reorder items so that any first few of them are of as many kinds as there are, by the first key before all."""
    if not keys:
        return list(items)
    groups: dict[Any, list[dict[str, Any]]] = {}
    for item in items:
        groups.setdefault(item[keys[0]], []).append(item)
    turns = zip_longest(*(spread(group, keys[1:]) for group in groups.values()))
    return [item for turn in turns for item in turn if item is not None]


def as_json(data: dict[str, Any]) -> str:
    """Write for a `script` element of a page, which nothing in the data can close."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _told(example: dict[str, Any]) -> dict[str, Any]:
    """Say of an example what the page shows; `before` is the answer to the clean image where that is compared."""
    cell = {name: example[name] for name in _USUAL}
    identity = json.dumps([*cell.values(), str(example.get("sample_id")), example["flip"]])
    words = {name: str(example.get(name) or "") for name in ("sample_id", "question", "reference", "answer", "through")}
    return {
        "id": hashlib.sha256(identity.encode()).hexdigest()[:10],
        "flip": example["flip"],
        "before": str(example.get("clean_answer" if example["flip"] in BY_QUALITY else "base_answer") or ""),
        "images": example["images"],
        "kernel": example["kernel"],
        "degradation": label(str(cell["degradation"])),
        "severity": int(cell["severity"] or 0),
        **{name: str(cell[name]) for name in ("model", "task", "method", "restorer")},
        **words,
    }


def _kernel(example: dict[str, Any]) -> str:
    """Return a kernel, where it does anything, cut to what is not zero, with its gain at each frequency; as JSON."""
    try:
        kernel = np.array(example["kernel"], np.float64)
    except (TypeError, ValueError):
        return ""
    if kernel.ndim != 2 or not np.isfinite(kernel).all() or figures.identity_distance(kernel) < 1e-6:
        return ""
    weights = np.round(figures.support(kernel), 3) + 0.0
    gain = np.round(figures.frequency_response(kernel)[1], 2) + 0.0
    return json.dumps({"weights": weights.tolist(), "gain": gain.tolist()}, separators=(",", ":"))


def _measured(chosen: Sequence[dict[str, Any]], records: pl.DataFrame) -> list[dict[str, list[float | None]]]:
    """Look up confidence and entropy of examples, before and after what happened to them; None where unknown."""
    image = [name for name in CELL if name != "method"] + ["sample_id"]
    some = records.filter(pl.col("sample_id").is_in([str(example.get("sample_id")) for example in chosen]))
    tuned = {row[:-4]: row[-4:] for row in some.select(*image, "method", *_NUMBERS).iter_rows()}
    untuned = summary.untuned(some).select(*image, "base_confidence", "entropy_before")
    plain = {row[:-2]: row[-2:] for row in untuned.iter_rows()}
    found = []
    for example in chosen:
        key = tuple(example.get(name) for name in image)
        if example["flip"] in BY_QUALITY:
            clean = example | {"degradation": CLEAN, "severity": 0, "restorer": NONE}
            pairs = [plain.get(tuple(e.get(name) for name in image), (None, None)) for e in (clean, example)]
            values = [value for pair in zip(*pairs, strict=True) for value in pair]
        else:
            values = list(tuned.get((*key, example["method"]), [None] * 4))
        known = [None if value is None or not np.isfinite(value) else round(value, 3) for value in values]
        found.append({"confidence": known[:2], "entropy": known[2:]})
    return found
