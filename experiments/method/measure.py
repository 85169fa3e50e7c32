"""Measure: `python -m experiments.method` runs all phases on two cores in under two hours and resumes where it stopped.

Rows go to `experiments/method/results/PHASE.jsonl`, one for each cell and method, with every sample's score before and
after; `python -m experiments.method.page` makes the page and its figures of them.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.method.plan import MAIN, TWELVE, Cell, cells, methods
from vqttt.images.degradations import DEGRADATIONS, degrade, image_seed
from vqttt.images.restorers import restore
from vqttt.results.statistics import ece
from vqttt.runs.records import CLEAN
from vqttt.scoring import score
from vqttt.tasks import load_task, question_text, vq_mini
from vqttt.types import Sample

RESULTS = Path(__file__).parent / "results"
PHASES = ("main", "streams", "baselines", "tasks", "ablations", "mild")
RESTORERS = ("matched", "auto")


def samples_of(cell: Cell) -> list[Sample]:
    """Return a cell's samples: those of another seed are other scenes, and so are those of the frozen stream."""
    if cell.task != "vq-mini":
        return load_task(cell.task, cell.count)
    if cell.degradation == "one-answer":
        return [sample for sample in vq_mini.samples("test", 8000) if sample.answers == ("yes",)][: cell.count]
    start = 3000 if cell.degradation == "frozen" else cell.seed * cell.count
    return vq_mini.samples("test", start + cell.count)[start:]


def condition(cell: Cell, index: int, rng: np.random.Generator) -> tuple[str, int]:
    """Return what happens to sample number `index` of a cell."""
    if cell.phase != "streams":
        return cell.degradation, cell.severity
    kinds = tuple(DEGRADATIONS)
    if cell.degradation == "changing":
        turn = index // 500
        return (CLEAN, 0) if turn % 3 == 2 else (TWELVE[turn], 3 + turn % 3)
    if cell.degradation == "one-answer":
        return "gaussian_noise", 5
    drawn = str(rng.choice(kinds)), int(rng.integers(1, 6))
    return (CLEAN, 0) if rng.random() < 1 / 3 else drawn


def rows(cell: Cell, model: Any, folder: Path, only: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Answer a cell by all its methods, or by some only."""
    samples = samples_of(cell)
    rng = np.random.default_rng([7, cell.seed, len(cell.degradation)])
    conditions = [condition(cell, index, rng) for index in range(len(samples))]
    model.clean_features = clean_features(cell.task, model, folder)
    answering = {name: make(model) for name, make in methods(cell, str(folder)).items() if not only or name in only}
    if not answering:
        return
    answers, cost, scores = _answered(cell, samples, conditions, answering, model, others=not only)
    before = [score(answer.base_answer, s) for answer, s in zip(next(iter(answers.values())), samples, strict=True)]
    common = asdict(cell) | {"before": _bits(before)}
    if cell.phase == "streams":
        common["conditions"] = [f"{kind}-{severity}" for kind, severity in conditions]
    for name, given in answers.items():
        after = [score(answer.answer, sample) for answer, sample in zip(given, samples, strict=True)]
        yield common | {
            "method": name,
            "after": _bits(after),
            "calibration": [ece([a.base_confidence for a in given], before), ece([a.confidence for a in given], after)],
            "tuned": float(np.mean([a.steps > 0 for a in given])),
            "rolled_back": float(np.mean([a.rolled_back for a in given])),
            "cost": cost[name],
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        if cell.degradation == "mixed" and name in MAIN:
            answering[name].save(folder / f"{name}.safetensors")
    for name in (name for name in RESTORERS if name in scores):
        yield common | {"method": f"restore: {name}", "after": _bits(scores[name])}
    if members := scores.get("members"):
        yield common | {"method": "members", "members": [_bits(list(column)) for column in zip(*members, strict=True)]}


def _answered(
    cell: Cell,
    samples: Sequence[Sample],
    conditions: Sequence[tuple[str, int]],
    answering: dict[str, Any],
    model: Any,
    *,
    others: bool,
) -> tuple[dict[str, list[Any]], dict[str, float], dict[str, list[Any]]]:
    """Answer all samples, batch by batch.

    Returns:
        the answers of each method, its time relative to plain inference, and with `others` the scores of the restorers
        and of the members of the bank, where the phase compares with them.
    """
    import torch

    answers: dict[str, list[Any]] = {name: [] for name in answering}
    restoring = RESTORERS if others and cell.phase in ("tasks", "baselines") else ()
    scores: dict[str, list[Any]] = {name: [] for name in (*restoring, "members")}
    spent, plain = dict.fromkeys(answering, 0.0), 0.0
    for start in range(0, len(samples), cell.batch):
        batch, kinds = samples[start : start + cell.batch], conditions[start : start + cell.batch]
        images = [
            s.load() if kind == CLEAN else degrade(s.load(), kind, severity, image_seed(cell.seed, s.id), "relative")
            for s, (kind, severity) in zip(batch, kinds, strict=True)
        ]
        questions = [question_text(sample) for sample in batch]
        inputs = replace(model.encode(images, questions), groups=tuple(sample.question_type for sample in batch))
        began = time.perf_counter()
        with torch.no_grad():
            base = model.generate(inputs, 16)
        plain += time.perf_counter() - began
        for name, method in answering.items():
            began = time.perf_counter()
            answers[name] += method.answer(inputs, base)
            spent[name] += time.perf_counter() - began
        for name in restoring:
            mended = [restore(image, name, kind) for image, (kind, _) in zip(images, kinds, strict=True)]
            with torch.no_grad():
                texts = model.generate(model.encode(mended, questions), 16).texts
            scores[name] += [score(text, sample) for text, sample in zip(texts, batch, strict=True)]
        if others and cell.phase == "baselines" and cell.seed == 0:
            scores["members"] += by_member(model, inputs, batch)
    return answers, {name: 1 + seconds / plain for name, seconds in spent.items()}, scores


def by_member(model: Any, inputs: Any, batch: Sequence[Sample]) -> list[list[float]]:
    """Return the score of every sample through every member of the bank, for the oracles."""
    import torch

    from vqttt.tuning.search import views

    with torch.no_grad():
        texts = [model.generate(view, 16).texts for view in views(model, inputs)]
    return [[score(of_view[n], sample) for of_view in texts] for n, sample in enumerate(batch)]


def clean_features(task: str, model: Any, folder: Path) -> Path:
    """Return the file of clean statistics for a task, made of 256 undegraded training images without labels."""
    from vqttt.tasks import digits, easy_vqa, fashion_mnist
    from vqttt.tuning.feature_statistics import measure_clean, save_clean

    file = folder / f"clean-{task}.safetensors"
    if not file.is_file():
        training = {
            "vq-mini": lambda: vq_mini.samples("train", 256),
            "digits": lambda: digits.samples("train"),
            "easy-vqa": lambda: easy_vqa.samples("train"),
            "fashion-mnist": lambda: fashion_mnist.samples("train"),
        }[task]()
        some = training[:: max(1, len(training) // 256)][:256]
        clean = measure_clean(model, [s.load() for s in some], [question_text(s) for s in some])
        partial = file.with_suffix(f".{os.getpid()}")
        save_clean(partial, clean)
        partial.replace(file)
    return file


def _bits(scores: Sequence[float]) -> str:
    return "".join("1" if value >= 0.5 else "0" for value in scores)


def _work(part: int, phases: Sequence[str], folder: Path, only: Sequence[str]) -> None:
    import torch

    from vqttt.models import load_model

    torch.set_num_threads(1)
    model = load_model("embedded")
    for phase in phases:
        file = folder / f"{phase}.{part}.jsonl"
        old = [json.loads(line) for file in folder.glob(f"{phase}.*.jsonl") for line in file.open()]
        done = {(row["key"], row["method"]) for row in old}
        for cell in cells(phase):
            wanted = [name for name in methods(cell, str(folder)) if not only or name in only]
            if all((cell.key, name) in done for name in wanted) or not _claimed(cell, folder):
                continue
            if cell.degradation == "frozen":  # it needs what the mixed stream has taught
                taught = [name for name in MAIN if not only or name in only]
                while not all((folder / f"{name}.safetensors").is_file() for name in taught):
                    time.sleep(5)
            made = [row | {"key": cell.key} for row in rows(cell, model, folder, only)]
            with file.open("a") as out:
                out.writelines(json.dumps(row) + "\n" for row in made)
            print(f"{time.strftime('%H:%M:%S')} {cell.key}", flush=True)


def _claimed(cell: Cell, folder: Path) -> bool:
    """Take a cell for this process, unless another has it."""
    try:
        (folder / "claims" / cell.key).open("x").close()
    except FileExistsError:
        return False
    return True


def gather(phase: str, folder: Path) -> None:
    """Put the rows of all workers among the committed ones, in the order of the plan, a new row for an old one."""
    file = RESULTS / f"{phase}.jsonl"
    found = {_identity(row): row for row in map(json.loads, file.open())} if file.is_file() else {}
    for part in sorted(folder.glob(f"{phase}.*.jsonl")):
        found |= {_identity(row): row for row in map(json.loads, part.open())}
    RESULTS.mkdir(exist_ok=True)
    with file.open("w") as out:
        for cell in cells(phase):
            out.writelines(json.dumps(row) + "\n" for (key, _), row in found.items() if key == cell.key)


def _identity(row: dict[str, Any]) -> tuple[str, str]:
    row.pop("key", None)
    return Cell(**{field: row[field] for field in Cell.__dataclass_fields__}).key, row["method"]


def main() -> None:
    """Run the phases that are asked for, on as many processes as there are cores, each with one thread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phase", action="append", choices=PHASES)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("runs/method"))
    parser.add_argument("--method", action="append", default=[], help="only this, beside the committed rows of others")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder / "claims", ignore_errors=True)
    (arguments.folder / "claims").mkdir(parents=True)
    phases = arguments.phase or list(PHASES)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    working = [
        context.Process(target=_work, args=(part, phases, arguments.folder, arguments.method))
        for part in range(arguments.workers)
    ]
    for process in working:
        process.start()
    for process in working:
        process.join()
    for phase in phases:
        gather(phase, arguments.folder)
