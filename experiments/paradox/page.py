"""Write the generated parts and the figures of docs/paradox-lab.md from what was measured."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from experiments.markers import put
from experiments.paradox import drawings, pictures, tables, targets
from experiments.paradox.answers import ANSWERS, demand
from experiments.paradox.findings import Answer
from experiments.paradox.frames import NotMeasuredError, Runs
from experiments.paradox.plan import DEMAND, OTHERS, ROOT, WEB
from vqttt.runs.loading import load_examples

PAGE = ROOT / "docs" / "paradox-lab.md"


@dataclass(frozen=True)
class Source:
    """What the parts are made from.

    Attributes:
        runs: what was measured.
        folder: of the run folders.
        page: the page; its figures go into a folder of the same name.
    """

    runs: Runs
    folder: Path
    page: Path = PAGE
    known: dict[str, Answer] = field(default_factory=dict)

    def answer(self, name: str) -> Answer:
        """Return what came out for a hypothesis.

        Raises:
            NotMeasuredError: if what it needs was not measured.
        """
        if name not in self.known:
            self.known[name] = ANSWERS[name](self.runs)
        return self.known[name]

    def figure(self, name: str, draw: Callable[[Path], None], words: str) -> str:
        """Draw a figure, and return what shows it on the page."""
        file = self.page.with_suffix("") / name
        draw(file)
        return f"![{words}]({file.parent.name}/{name})"


def _verdicts(source: Source) -> str:
    found: dict[str, Answer | None] = {}
    for name in ANSWERS:
        try:
            found[name] = source.answer(name)
        except NotMeasuredError:
            found[name] = None
    if not any(found.values()):
        raise NotMeasuredError("any study")
    return tables.verdicts(found)


def _curves(source: Source) -> str:
    words = "Accuracy against image quality, for six qualities of training images"
    figure = source.figure("curves.svg", lambda file: drawings.curves(source.runs, file), words)
    return f"{figure}\n\n{tables.axis(source.runs)}"


def _peak(source: Source) -> str:
    answer = source.answer("peak")
    return f"{tables.findings(answer)}\n\n{tables.in_words(answer)}"


def _restoring(source: Source) -> str:
    words = "What restoring gains, for models trained on clean and on blurred images"
    figure = source.figure("restoring.svg", lambda file: drawings.restorers(source.runs, file), words)
    answer = source.answer("restoring")
    return f"{figure}\n\n{tables.findings(answer)}\n\n{tables.restorers(source.runs)}"


def _spectrum(source: Source) -> str:
    words = "The learned kernels' response against the ratio of the spectra"
    figure = source.figure("spectrum.svg", lambda file: drawings.responses(source.runs, file), words)
    found = tables.findings(source.answer("spectrum"))
    return "\n\n".join([figure, found, tables.share_positive(source.runs), tables.sides(source.runs)])


def _demand(source: Source) -> str:
    effects, answer = demand.by_category(source.runs), source.answer("demand")
    words = "The effect by category, in the order of cognitive demand"
    figure = source.figure("demand.svg", lambda file: drawings.demands(effects, DEMAND, file), words)
    return f"{figure}\n\n{tables.findings(answer)}\n\n{tables.categories(source.runs)}"


def _gains(source: Source) -> str:
    words = "What VQ-TTT gains under each degradation"
    figure = source.figure("gains.svg", lambda file: drawings.degradations(source.runs, file), words)
    return f"{tables.gains(targets.gains(source.runs))}\n\n{figure}"


def _others(source: Source) -> str:
    models = ("embedded", WEB[0], OTHERS[0])
    found = [row for model in models for row in targets.gains(source.runs, (model,), "recipe-others")]
    return tables.gains(found)


def _pictures(source: Source) -> str:
    if "recipe-clean" not in source.runs:
        raise NotMeasuredError("recipe-clean")
    found = pictures.triples(source.runs, load_examples(source.folder / "recipe-clean"))
    if not found:
        return "Among the first answers that tuning set right there is none that blurring sets right as well."
    words = "Clean, blurred and tuned images with the answers to them"
    return source.figure("pictures.webp", lambda file: pictures.draw(found, file), words)


PARTS: dict[str, Callable[[Source], str]] = {
    "verdicts": _verdicts,
    "pictures": _pictures,
    "twins": lambda source: tables.twins(),
    "studies": lambda source: tables.plan(),
    "conditions": lambda source: f"{drawings.own_conditions()}.",
    "curves": _curves,
    "peak": _peak,
    "seeds": lambda source: tables.seeds(source.runs),
    "best": lambda source: tables.best(source.runs),
    "tasks": lambda source: tables.tasks(source.runs),
    "restoring": _restoring,
    "gains": _gains,
    "stream": lambda source: tables.along_the_stream(source.runs),
    "others": _others,
    "reached": lambda source: tables.reached(source.runs),
    "spectrum": _spectrum,
    "degradations": lambda source: tables.by_degradation(source.runs),
    "demand": _demand,
    "flips": lambda source: tables.findings(source.answer("flips")),
    "redraws": lambda source: tables.redraws(source.runs),
    "inside": lambda source: tables.looks(source.runs),
}
"""The parts of the page by the name of their markers; each raises `NotMeasuredError` if its runs are missing."""


def write(runs: Runs, folder: Path, page: Path = PAGE) -> list[str]:
    """Write the parts whose runs are there; return the names of those that were left as they are."""
    source, left = Source(runs, folder, page), []
    for name, part in PARTS.items():
        try:
            text = part(source)
        except NotMeasuredError as error:
            left.append(f"{name} (without {error})")
        else:
            put(page, name, text)
    return left
