"""The tables of docs/paradox-lab.md. Effects are in points with their 95% intervals."""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from experiments.markers import table
from experiments.method.rows import points
from experiments.paradox import inside, targets
from experiments.paradox.answers import demand, flips, peak, restoring, spectrum
from experiments.paradox.findings import NO, UNDECIDED, YES, Answer, Finding
from experiments.paradox.frames import Runs
from experiments.paradox.plan import DEMAND, HYPOTHESES, MAIN, OWN_QUALITY, RESTORERS, SOFT, WEB, quality_of, studies
from experiments.paradox.spectra import making
from vqttt.results.statistics import ALPHA, Estimate
from vqttt.runs.records import CLEAN, NONE

MISSING = "not measured"


def change(finding: Finding | None, mark: bool = False) -> str:
    """Write a finding's number with its interval; with `mark`, in bold if it differs from zero after Holm."""
    if finding is None:
        return "–"
    if finding.unit == "points":
        value, low, high = (points(100 * number) for number in finding.value)
    else:
        value, low, high = (f"{number:.2f}".replace("-", "−") for number in finding.value)
    text = f"{value} [{low}, {high}]"
    return f"**{text}**" if mark and finding.p < ALPHA else text


def level(value: Estimate) -> str:
    """Write an accuracy with its interval."""
    return f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def p_value(p: float) -> str:
    """Write a p-value; nothing where there is none."""
    return "" if isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def model_name(model: str) -> str:
    """Name a twin by its quality and training seed."""
    if model == "all":
        return "all seeds"
    if model in ("embedded", SOFT[0], WEB[0]):
        return f"`{model}`"
    return f"{quality_of(model)}, seed {Path(model).name.rsplit('-', 1)[-1]}"


def verdicts(answers: Mapping[str, Answer | None]) -> str:
    """Tabulate the hypotheses with what came out."""
    body = []
    for name, sentence in HYPOTHESES.items():
        found = answers.get(name)
        if found is None:
            body.append((sentence, MISSING, ""))
        else:
            unit = " points" if found.main.unit == "points" else ""
            parts = [f"{verdict}: {names}" for verdict in (YES, NO, UNDECIDED) if (names := _cases(found, verdict))]
            words = f"**{found.verdict}**" + (f" ({'; '.join(parts)})" if parts else "")
            body.append((sentence, words, f"{found.main.about}: {change(found.main)}{unit}"))
    return table(("hypothesis", "verdict", "the number that says most"), body, left=3)


def findings(answer: Answer) -> str:
    """Tabulate all findings that an answer rests on."""
    body = [
        (one.about, change(one), p_value(one.p), str(one.n), str(one.images), one.verdict) for one in answer.findings
    ]
    return table(("", "value", "p (Holm)", "comparisons", "clusters", "as expected"), body)


def axis(runs: Runs) -> str:
    """Tabulate accuracy along the axis of blur; the best place of each row is bold."""
    body = []
    for quality, places in peak.along_the_axis(runs).items():
        best = max(places, key=lambda name: places[name].value)
        body.append([quality, *(f"**{level(v)}**" if name == best else level(v) for name, v in places.items())])
    return table(["training images", *(name.replace("_", " ") for name in peak.ON_AXIS)], body)


def seeds(runs: Runs) -> str:
    """Tabulate own quality minus clean of every twin, and its spread over training seeds."""
    body = []
    for quality in OWN_QUALITY:
        found, over = peak.by_seed(runs, quality)
        body += [[model_name(model), change(one), ""] for model, one in found.items()]
        if len(found) > 1:
            body[-1][-1] = f"{100 * over:.1f} over {len(found)} seeds"
    return table(("twin", "own quality minus clean", "standard deviation"), body)


def best(runs: Runs) -> str:
    """Tabulate the best of all conditions by quality, and the gain of one that is chosen on half of the images."""
    body = []
    for quality in peak.QUALITIES:
        name, one, count = peak.best_of_all(runs, quality)
        half = Finding(about="", value=peak.chosen_on_half(runs, quality))
        body.append((quality, name.replace("_", " "), change(one), p_value(one.p), str(count), change(half)))
    head = ("training images", "best degraded condition", "minus clean", "p (Holm)", "of", "chosen on half the images")
    return table(head, body)


def tasks(runs: Runs) -> str:
    """Tabulate own quality minus clean on the other tasks."""
    found = peak.other_tasks(runs)
    names = list(dict.fromkeys(task for task, _ in found))
    qualities = list(dict.fromkeys(quality for _, quality in found))
    body = [(task, *(change(found.get((task, quality)), mark=True) for quality in qualities)) for task in names]
    return table(("own quality minus clean", *qualities), body)


def restorers(runs: Runs) -> str:
    """Tabulate the gain of each restorer by model and place on the axis."""
    found = restoring.by_restorer(runs)
    rows = dict.fromkeys((group, place) for group, place, _ in found)
    body = [
        (_group(group), place, *(change(found.get((group, place, name)), mark=True) for name in RESTORERS))
        for group, place in rows
    ]
    return table(("model", "images", *RESTORERS), body, left=2)


def _group(name: str) -> str:
    return name if name.endswith(", all") else model_name(name)


def sides(runs: Runs) -> str:
    """Tabulate by quality the correlation of kernel and need, and the gains of `vq-ttt` on both sides."""
    rows = spectrum.curves(runs)
    body = []
    for quality in peak.QUALITIES:
        some = rows.filter(rows["quality"] == quality)
        if some.is_empty():
            continue
        gained = spectrum.gains_by_side(runs, quality)
        moved = spectrum.correlation("", some)
        body.append((quality, change(moved), *(change(gained.get(side)) for side in ("sharper", "blurrier"))))
    head = ("training images", "correlation", "gain on sharper images", "gain on blurrier images")
    return table(head, body)


def by_degradation(runs: Runs, quality: str = "soft") -> str:
    """Tabulate for each degradation what the fine bands need, what the kernel does, and what `vq-ttt` gains."""
    body = [
        (
            str(row["degradation"]).replace("_", " "),
            f"{row['ratio']:.2f}×",
            f"{row['gain']:.2f}×",
            change(row["change"]),
        )  # type: ignore[arg-type]
        for row in spectrum.by_degradation(runs, quality)
    ]
    return table(("", "needed in the fine bands", "the kernel", "gain of vq-ttt"), body)


def categories(runs: Runs) -> str:
    """Tabulate the effect by category."""
    body = [
        (name, str(DEMAND[name]), change(one, mark=True), p_value(one.p), str(one.n))
        for name, one in demand.by_category(runs).items()
    ]
    return table(("category", "demand", "own quality minus clean", "p (Holm)", "comparisons"), body)


def redraws(runs: Runs) -> str:
    """Tabulate how often flips recur under another draw, and how often they would by chance."""
    body = [
        (f"glass blur {severity}", str(wrong), f"{100 * again:.1f}%", f"{100 * chance:.1f}%")
        for severity, wrong, again, chance in flips.shares(flips.drawn_right(runs["redraws"]))
    ]
    return table(("", "wrong on the clean image", "a flip recurs", "by chance"), body)


def looks(runs: Runs) -> str:
    """Tabulate attention and logit lens on the clean and the blurred image."""
    body = [
        (row["value"], row["became"], str(row["n"]), f"{100 * row['clean']:.1f}", f"{100 * row['blurred']:.1f}",
         change(row["moved"]))
        for row in inside.compared(runs)
    ]  # fmt: skip
    head = ("%", "answer when blurred", "n", "clean", "blurred", "blurred − clean")
    return table(head, body, left=2)


def gains(found: Sequence[targets.Gains]) -> str:
    """Tabulate what methods gain, by model."""
    body = []
    for one in found:
        worst = "–" if one.worst is None else f"{one.worst.about.replace('_', ' ')} {change(one.worst)}"
        time = "–" if one.time is None else f"{one.time:.1f}×"
        numbers = (change(part) for part in (one.degraded, one.clean))
        body.append((one.method, model_name(one.model), *numbers, worst, str(one.harmed), time))
    head = ("method", "model", "degraded", "clean", "worst degradation", "clearly worse", "time")
    return table(head, body, left=2)


def along_the_stream(runs: Runs) -> str:
    """Say what `vq-ttt` gains at the start of a stream and after it."""
    early, late = targets.along_the_stream(runs)
    gained = f"on the first 20 images of each it gains {change(early)} points, on those after them {change(late)}"
    return f"`vq-ttt` learns along its stream: {gained}."


def reached(runs: Runs) -> str:
    """Tabulate what was set out to reach."""
    words: dict[Any, str] = {None: MISSING, True: "yes", False: "no"}
    body = [(one.aim, change(one.found), words[one.reached]) for one in targets.reached(runs)]
    return table(("set out to reach", "measured", "reached"), body)


def twins() -> str:
    """Tabulate what was done to the training images of each model, and how many training seeds there are."""
    body = []
    for model in MAIN:
        quality = quality_of(model)
        count = sum(quality_of(other) == quality for other in {*MAIN, *SOFT, *WEB})
        body.append((f"`{quality}`", making(quality).__doc__ or "", str(count)))
    return table(("training images", "what was done to them", "seeds"), body, left=2)


def plan() -> str:
    """Tabulate the studies."""
    body = []
    for study in studies():
        config = study.config
        degraded = [name.replace("_", " ") for name in config.degradations if name != CLEAN]
        shown = degraded if len(degraded) < 8 else [f"{len(degraded)} degradations"]
        severities = f", severities {', '.join(map(str, config.severities))}" if degraded else ""
        images = f"{', '.join([CLEAN] * (CLEAN in config.degradations) + shown)}{severities}"
        ways = ", ".join(name for name in (*config.methods, *config.restorers) if name != NONE)
        numbers = (str(len(config.models)), str(config.limit), str(len(config.seeds)))
        body.append((f"`{study.name}`", ", ".join(config.tasks), images, ways, *numbers))
    head = ("study", "tasks", "images", "tuned or restored", "models", "questions a cell", "draws")
    return table(head, body, left=4)


def in_words(answer: Answer) -> str:
    """Say for which parts of a hypothesis what was expected came out, for which it did not, and which are open."""
    said = {YES: "As expected for", NO: "Not as expected for", UNDECIDED: "Too few questions to tell for"}
    return " ".join(f"{words}: {names}." for verdict, words in said.items() if (names := _cases(answer, verdict)))


def _cases(answer: Answer, verdict: str) -> str:
    return ", ".join(name for name, one in answer.cases.items() if one == verdict)


def share_positive(runs: Runs) -> str:
    """Say in how many conditions of each model kernel and need correlate positively over the bands."""
    rows = spectrum.curves(runs)
    values = []
    for cell in rows.partition_by("model", "degradation", "severity"):
        x, y = cell["ratio"].to_numpy(), cell["gain"].to_numpy()
        if x.std() > 0 and y.std() > 0:
            values.append(float(np.corrcoef(x, y)[0, 1]))
    positive = sum(value > 0 for value in values)
    return f"Taken one by one, the two curves correlate positively in {positive} of {len(values)} streams."
