"""The pictures of docs/paradox-lab.md: questions that a soft twin answers right if the image is blurred, or tuned."""

import base64
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from experiments.paradox.answers.flips import CONDITION
from experiments.paradox.frames import Runs
from vqttt.images.degradations import degrade, image_seed
from vqttt.images.files import load_image, save_image
from vqttt.results.figures import STYLE
from vqttt.results.statistics import RIGHT
from vqttt.runs.records import CLEAN
from vqttt.tasks import vq_mini
from vqttt.types import Image

ROWS = 3


@dataclass(frozen=True, kw_only=True)
class Triple:
    """One question: the clean image, the blurred one, and the clean one as tuned, with the answer to each."""

    model: str
    question: str
    reference: str
    images: tuple[Image, Image, Image]
    answers: tuple[str, str, str]


def triples(runs: Runs, examples: Sequence[dict[str, Any]]) -> list[Triple]:
    """Return the first questions that tuning set right on the clean image and blurring sets right as well.

    Args:
        runs: what was measured.
        examples: those of the study `recipe-clean`.
    """
    kind, severity = CONDITION.split()
    blurred = runs["blur"].filter(pl.col("condition") == CONDITION, pl.col("quality") == "soft")
    right = {
        (row["model"], row["sample_id"]): row["base_answer"]
        for row in blurred.filter(pl.col("base_score") >= RIGHT).iter_rows(named=True)
    }
    found = []
    for cell in examples:
        if (cell["method"], cell["degradation"]) != ("vq-ttt", CLEAN):
            continue
        for one in cell["examples"]:
            answer = right.get((cell["model"], one["sample_id"]))
            if one["flip"] == "corrective" and answer is not None:
                split, number = one["sample_id"].removeprefix("vq-mini-").rsplit("-", 1)
                clean = vq_mini.samples(split, int(number) + 1)[-1].load()
                soft = degrade(clean, kind, int(severity), image_seed(0, one["sample_id"]))
                found.append(
                    Triple(
                        model=cell["model"],
                        question=one["question"],
                        reference=one["reference"],
                        images=(clean, soft, _decoded(one["filtered"])),
                        answers=(one["base_answer"], answer, one["answer"]),
                    )
                )
    return found[:ROWS]


def _decoded(uri: str) -> Image:
    return load_image(base64.b64decode(uri.partition(",")[2]))


def draw(found: Sequence[Triple], file: Path) -> None:
    """Draw a row for each question, and under each picture the answer to it."""
    from matplotlib import style
    from matplotlib.figure import Figure

    titles = ("clean image", CONDITION.replace("_", " "), "clean image, as tuned")
    with style.context(["default", STYLE]), tempfile.TemporaryDirectory() as folder:
        figure = Figure(figsize=(8.4, 3.1 * len(found)), layout="constrained", facecolor="white")
        for panels, one in zip(figure.subplots(len(found), 3, squeeze=False), found, strict=True):
            for axes, title, image, answer in zip(panels, titles, one.images, one.answers, strict=True):
                axes.imshow(image)
                axes.set(xticks=[], yticks=[], title=title)
                axes.grid(visible=False)
                verdict = "right" if answer == one.reference else "wrong"
                axes.set_xlabel(f"“{answer}” ({verdict})", fontsize=11)
            panels[0].set_ylabel("\n".join(textwrap.wrap(one.question, 26)), fontsize=10)
        figure.savefig(Path(folder) / "pictures.png", dpi=110)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_image(load_image(Path(folder) / "pictures.png"), file)
