"""Invented results of the experiment on training images, with known effects."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product

import numpy as np
import polars as pl

from experiments.paradox.frames import BAND_CENTRES, Runs, prepared
from experiments.paradox.inside import BECAME
from experiments.paradox.plan import DEMAND, MAIN, RESTORERS, SIDES, SOFT, WEB, quality_of
from vqttt.runs.records import CLEAN, NONE, Record, schema, to_frame

N = 120
EVERY = (*MAIN, *SOFT[1:], *WEB[1:])
BLUR = tuple(("gaussian_blur", severity) for severity in range(1, 6))
SIDE = tuple((kind, severity) for kind in SIDES for severity in (1, 3, 5))
Rate = Callable[[str, str, int, str], float]
"""The accuracy for a quality, a degradation, a severity and a restorer."""


def records(
    models: Sequence[str],
    conditions: Sequence[tuple[str, int]],
    rate: Rate,
    n: int = N,
    restorers: Sequence[str] = (NONE,),
    task: str = "vq-mini",
    seeds: Sequence[int] = (0,),
    methods: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Invent records: the same questions are hard everywhere, and `methods` add their gain to the accuracy."""
    hardness = (np.random.default_rng(0).permutation(n) + 0.5) / n
    cells = []
    for model, (kind, severity), restorer in product(models, conditions, restorers):
        share = rate(quality_of(model), kind, severity, restorer)
        for (method, gain), seed in product((methods or {NONE: 0.0}).items(), seeds):
            cell = {"model": model, "task": task, "degradation": kind, "severity": severity, "scale": "relative"}
            cell |= {"restorer": restorer, "method": method, "seed": seed}
            cells.append(
                questions(task, n).with_columns(
                    *(pl.lit(value, schema()[name]).alias(name) for name, value in cell.items()),
                    image_sha256=pl.format("{} {} {} {}", pl.lit(kind), pl.lit(severity), pl.lit(seed), "sample_id"),
                    base_score=pl.Series((hardness < share).astype(float)),
                    score=pl.Series((hardness < share + gain).astype(float)),
                    seconds=pl.lit(2.0 if method == "vq-ttt" else 1.0),
                )
            )
    return prepared(pl.concat(cells).select(list(schema())))


@cache
def questions(task: str, n: int) -> pl.DataFrame:
    """Return questions that cycle through the categories, each about an image of its own."""
    names, levels = [f"{task}-test-{i:06d}" for i in range(n)], list(DEMAND)
    return to_frame(
        [
            Record.blank(sample_id=name, category=levels[i % len(levels)], source_sha256=name)
            for i, name in enumerate(names)
        ],
        {},
    )


def of_own(own: float, clean: float, for_clean: float = 0.95, other: float = 0.7) -> Rate:
    """Return accuracies: of twins of degraded images on their own and on other images, and of the other models."""

    def rate(quality: str, kind: str, severity: int, restorer: str) -> float:
        if quality in ("soft", "noisy", "dark"):
            mine = {"soft": "gaussian_blur", "noisy": "gaussian_noise", "dark": "low_light"}[quality]
            return own if kind == mine and severity >= 3 else clean
        return for_clean if kind == CLEAN else other

    return rate


def axes(rate: Rate, n: int = N) -> Runs:
    """Return the studies along the axes of quality."""
    return Runs(
        blur=records(EVERY, [(CLEAN, 0), *BLUR], rate, n),
        sides=records(EVERY, SIDE, rate, n),
        sharpened=records(EVERY, [(CLEAN, 0)], rate, n, ["unsharp-mask"]),
    )


def restorer_study(embedded: float, soft: float, n: int = N) -> Runs:
    """Return a study in which every restorer changes the accuracy on blurred images by so much."""

    def rate(quality: str, kind: str, severity: int, restorer: str) -> float:
        gain = {"embedded": embedded, "soft": soft}[quality]
        return 0.8 + (gain if restorer != NONE and kind != CLEAN else 0)

    study = records(("embedded", *SOFT), [(CLEAN, 0), *BLUR], rate, n, [NONE, *RESTORERS])
    return Runs(restoring=study)


KINDS = ("gaussian_noise", "fog", "gaussian_blur", "jpeg_compression", "spatter", "contrast")


def recipes(gain: float, sign: float, noise: float = 0.0, n: int = N) -> Runs:
    """Return tuning that gains so much, and kernels whose response is `sign` times what is needed, plus noise."""
    rng = np.random.default_rng(1)
    methods = {NONE: 0.0, "vq-ttt": gain, "vq-ttt-episodic": gain / 2}
    shown = {kind: rng.normal(1.0 if n % 2 else -1.0, 0.3, len(BAND_CENTRES)) for n, kind in enumerate(KINDS)}
    offsets = {kind: rng.normal(0, 1) for kind in (*KINDS, CLEAN)}
    shown[CLEAN] = rng.normal(-1, 0.3, len(BAND_CENTRES))
    spectra = [{"kind": "training", "name": quality_of(model), "power": [0.0] * len(BAND_CENTRES)} for model in MAIN]
    spectra += [
        {
            "kind": "condition",
            "name": kind,
            "degradation": kind,
            "severity": 3 if kind != CLEAN else 0,
            "power": list(power),
        }
        for kind, power in shown.items()
    ]
    learned = [
        {"model": model, "degradation": kind, "severity": 3 if kind != CLEAN else 0, "seed": 0}
        | {"quality": quality_of(model), "gain": list(-sign * power / 2 + noise * offsets[kind])}
        for model in SOFT
        for kind, power in shown.items()
    ]
    conditions = [(kind, 3) for kind in KINDS]
    return Runs(
        {
            "recipe": records(SOFT, conditions, lambda *_: 0.8, n, methods=methods),
            "recipe-clean": records(("embedded", *SOFT), [(CLEAN, 0)], lambda *_: 0.8, n, methods=methods),
            "recipe-others": records(("embedded", WEB[0], MAIN[3]), conditions, lambda *_: 0.8, n, methods=methods),
            "spectra": pl.DataFrame(spectra, infer_schema_length=None),
            "kernels": pl.DataFrame(learned),
        }
    )


def drawn(right: Callable[[int, int], bool], n: int = 200) -> Runs:
    """Return three draws of glass blur about questions whose clean answers are wrong."""
    study = records(SOFT[:1], [(CLEAN, 0), ("glass_blur", 3)], lambda *_: 0.0, n, seeds=(0, 1, 2))
    number, seed = study["sample_id"].str.tail(6).cast(pl.Int64), study["seed"]
    scores = [float(right(i, s)) for i, s in zip(number, seed, strict=True)]
    degraded = pl.col("degradation") != CLEAN
    return Runs(redraws=study.with_columns(base_score=pl.when(degraded).then(pl.Series(scores)).otherwise(0.0)))


def looks() -> pl.DataFrame:
    """Return looks inside: blur moves the attention of what it sets right, and of nothing else, by 0.1."""
    rows = [
        {"n": n, "image": str(n), "became": BECAME[n % 4], "state": state, "plain": 0.4, "relative": 0.3 + moved}
        | {
            "truth": [0.1, 0.2 + moved, 0.5],
            "entropy": [1.0, 1.0, 1.0],
            "right": True,
            "answer": "",
            "area": 0.1,
            "appears": 1,
        }
        for n in range(80)
        for state in ("clean", "blurred")
        for moved in [0.1 if state == "blurred" and n % 4 == 0 else 0.0]
    ]
    return pl.DataFrame(rows)
