"""The tables and figures of docs/analyses.md."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.analyses.measure import BATCH, METHOD, SEED, TOKENS, Row, choose_layer, measure, placed
from experiments.markers import put, table
from vqttt.images.degradations import degrade, image_seed
from vqttt.images.files import load_image, save_image
from vqttt.interpret import Row as View
from vqttt.interpret import draw, examine
from vqttt.methods import find_method
from vqttt.models import load_model
from vqttt.models.tunable import TunableModel
from vqttt.results.clusters import cluster_mean, paired_difference
from vqttt.results.figures import COLOURS, STYLE
from vqttt.results.statistics import Estimate

ROOT = Path(__file__).resolve().parents[2]
PAGE, FIGURES = ROOT / "docs" / "analyses.md", ROOT / "docs" / "analyses"
KINDS = [("gaussian_noise", 5), ("motion_blur", 5), ("snow", 5), ("fog", 5)]
DEV, TEST = 100, 200

_Value = Callable[[Row], float]


def main() -> None:
    """Measure, then write the page and its figures."""
    torch.set_num_threads(1)
    model = load_model("embedded")
    layers, best = choose_layer(model, DEV)
    rows = list(measure(model, KINDS, TEST, best["layer"], best["generic"]))
    put(PAGE, "layers", layers_table(layers))
    put(PAGE, "shares", shares_table(rows))
    put(PAGE, "answers", answers_table(rows))
    put(PAGE, "lens", lens_table(rows))
    put(PAGE, "families", families_table())
    FIGURES.mkdir(exist_ok=True)
    draw_lens(rows)
    put(PAGE, "example", example(model, rows, best))


def layers_table(rows: Sequence[Row]) -> str:
    """Tabulate the share of attention inside the box on clean `dev` scenes, by layer and instruction."""
    last = max(row["layer"] for row in rows)
    body = [
        [f"“{row['generic']}”", "all" if row["layer"] == last else str(row["layer"] + 1)]
        + [f"{100 * row[kind]:.1f}%" for kind in ("plain", "relative")]
        for row in rows
    ]
    return table(["generic instruction", "layer", "attention", "relative attention"], body)


def state(rows: Sequence[Row], name: str, kind: str | None = None) -> list[Row]:
    """Select the rows of a state, for one degradation or all, in the order of questions."""
    return [row for row in rows if row["state"] == name and kind in (None, row["kind"])]


def triples(rows: Sequence[Row], kind: str | None) -> list[tuple[Row, Row, Row]]:
    """Return the clean, degraded and tuned row of each question, for one degradation or all."""
    clean = {row["n"]: row for row in state(rows, "clean")}
    pairs = zip(state(rows, "degraded", kind), state(rows, "tuned", kind), strict=True)
    return [(clean[degraded["n"]], degraded, tuned) for degraded, tuned in pairs]


def per_question(rows: Sequence[tuple[Row, Row, Row]], value: _Value) -> np.ndarray:
    """Return a value's means over each question's degradations, (questions, 3): clean, degraded and tuned."""
    questions = sorted({triple[0]["n"] for triple in rows})
    return np.array([np.mean([[value(row) for row in t] for t in rows if t[0]["n"] == n], axis=0) for n in questions])


def with_interval(found: Estimate, form: str = "{:.1f}", scale: float = 100) -> str:
    """Write a mean and its interval."""
    value, low, high = (form.format(scale * number) for number in found)
    return f"{value} [{low}, {high}]"


def compared(
    triple: Sequence[tuple[Row, Row, Row]], value: _Value, form: str = "{:.1f}", scale: float = 100
) -> list[str]:
    """Write the clean value, the change by degradation, and the change by tuning."""
    clean, degraded, tuned = per_question(triple, value).T
    signed = form.replace(":", ":+")
    return [
        with_interval(paired_difference(0 * clean, clean), form, scale),
        with_interval(paired_difference(clean, degraded), signed, scale),
        with_interval(paired_difference(degraded, tuned), signed, scale),
    ]


def shares_table(rows: Sequence[Row]) -> str:
    """Tabulate the share of attention inside the box, and accuracy, by degradation."""
    values: dict[str, _Value] = {
        "attention": lambda row: row["plain"],
        "relative attention": lambda row: row["relative"],
        "accuracy": lambda row: row["right"],
    }
    body = [
        [f"{name}, {kind.replace('_', ' ') if kind else 'all four'}", *compared(triples(rows, kind), value)]
        for name, value in values.items()
        for kind in (*(kind for kind, _ in KINDS), None)
    ]
    area = 100 * np.mean([row["area"] for row in state(rows, "clean")])
    head = ["% inside the box", "clean", "degraded − clean", "tuned − degraded"]
    return f"The box covers {area:.1f}% of the image, which is the share by chance.\n\n{table(head, body)}"


def answers_table(rows: Sequence[Row]) -> str:
    """Tabulate attention inside the box by what became of the answer."""
    body = []
    for name, was, now in (
        ("right, stays right", True, True),
        ("corrected by tuning", False, True),
        ("broken by tuning", True, False),
        ("wrong, stays wrong", False, False),
    ):
        some = [t for t in triples(rows, None) if (t[1]["right"], t[2]["right"]) == (was, now)]
        if not some:
            continue
        clean, degraded, tuned = np.array([[row["plain"] for row in t] for t in some]).T
        cells, questions = np.zeros(len(some)), np.array([t[0]["n"] for t in some])
        moved = cluster_mean(tuned - degraded, cells, questions)
        means = [f"{100 * clean.mean():.1f}", f"{100 * degraded.mean():.1f}", f"{100 * tuned.mean():.1f}"]
        body.append([name, str(len(some)), *means, with_interval(moved, "{:+.1f}")])
    return table(["answer to the degraded image", "n", "clean", "degraded", "tuned", "tuned − degraded"], body)


def lens_table(rows: Sequence[Row]) -> str:
    """Tabulate what the logit lens shows after each layer, over all degradations."""
    some = triples(rows, None)
    depth = len(some[0][0]["truth"])
    body = []
    for n in range(depth):
        body.append(
            [f"probability of the right answer, layer {n + 1} (%)", *compared(some, lambda row, n=n: row["truth"][n])]
        )
    most = max(max(row["entropy"]) for three in some for row in three)  # intervals are those of values up to 1
    for n in range(depth):
        share = compared(some, lambda row, n=n: row["entropy"][n] / most, "{:.2f}", most)
        body.append([f"entropy, layer {n + 1} (nats)", *share])
    for n in range(1, depth):
        body.append([f"own answer found by layer {n} (%)", *compared(some, lambda row, n=n: 0 < row["appears"] <= n)])
    return table(["", "clean", "degraded − clean", "tuned − degraded"], body)


def draw_lens(rows: Sequence[Row]) -> None:
    """Draw the probability of the right answer by layer, with a panel per degradation."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", STYLE]):
        figure = Figure(figsize=(10.5, 2.6), layout="constrained")
        panels = figure.subplots(1, len(KINDS), sharey=True)
        for axes, (kind, severity) in zip(panels, KINDS, strict=True):
            for n, (name, colour, marker) in enumerate(
                zip(("clean", "degraded", "tuned"), COLOURS, "osD", strict=False)
            ):
                curves = np.array([triple[n]["truth"] for triple in triples(rows, kind)])
                ends = [paired_difference(0 * column, column) for column in curves.T]
                value, low, high = 100 * np.array(ends).T
                x = np.arange(1, len(value) + 1) + 0.06 * (n - 1)
                axes.errorbar(x, value, yerr=[value - low, high - value], color=colour, marker=marker, label=name)
            axes.set(title=f"{kind.replace('_', ' ')} {severity}", xlabel="layer", ylim=(-3, 103))
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].set_ylabel("probability of the right answer (%)", fontsize=8.5)
        panels[0].legend(fontsize=8, frameon=False)
        figure.savefig(FIGURES / "lens.svg", metadata={"Date": None, "Creator": None})


def example(model: TunableModel, rows: Sequence[Row], best: Row) -> str:
    """Draw the first answer that fog broke and tuning corrected, at the same place in the same stream."""
    kind, severity = KINDS[-1]
    corrected = [c["n"] for c, d, t in triples(rows, kind) if c["right"] and not d["right"] and t["right"]]
    if not corrected:
        return f"Tuning corrected no answer that {kind} had broken."
    n, places = corrected[0], placed("test", TEST)
    images = [degrade(s.load(), kind, severity, image_seed(SEED, s.id)) for s, _ in places[: n - n % BATCH + BATCH]]
    method = find_method(METHOD).build(model, max_new_tokens=TOKENS, seed=SEED)
    for start in range(0, len(images), BATCH):
        batch = model.batch_of(images[start : start + BATCH], [s.question for s, _ in places[start : start + BATCH]])
        method.answer(batch, model.generate(batch, TOKENS))
    sample = places[n][0]
    layers = None if best["layer"] == len(model.decoder.attention) else [best["layer"]]
    more: dict[str, Any] = {"question": sample.question, "layers": layers, "generic": best["generic"]}
    first, token = examine(model, "clean", sample.load(), **more)
    views: list[View] = [first]
    for name, explain in ((f"{kind} {severity}", None), (METHOD, method.explain)):
        views.append(examine(model, name, images[n], clean_token=token, explain=explain, **more)[0])
    with tempfile.TemporaryDirectory() as folder:
        draw(views, Path(folder) / "example.png", sample.question)
        save_image(load_image(Path(folder) / "example.png"), FIGURES / "example.webp")
    count = f"the first of {len(corrected)} answers that {kind} broke and tuning corrected"
    return f"![{sample.question}](analyses/example.webp)\n\n`{sample.id}`, “{sample.question}”, {count}."


def families_table() -> str:
    """Tabulate what each family exposes, according to its small model."""
    from tests.support.small_families import BUILDERS, small
    from tests.support.small_models import sample_images

    body = []
    for name in BUILDERS:
        model = small(name)
        grids = model.image_tokens(model.encode(sample_images(1), ["what?"])).grids
        crossed = model.decoder.crossed
        places = "yes" if any(grid is not None for grid in grids) else "no: latents"
        attends, words = ("cross-attention", "no") if crossed else ("self-attention", "yes")
        body.append([f"`{name}`", attends, places, "yes", words])
    return table(["small model", "attends by", "places in the image", "lens", "words over the image"], body)
