"""Write what a benchmark's published code scores many predictions, for the tests to compare our rules with.

    python tests/scoring/differential/make.py NAME PATH [COMMIT]

NAME is a file of this folder without `.json`; PATH is a clone of the repository that the file names, of which only the
history is read; COMMIT is the newest by default. The published code is run from there (see `sources.py`): none of it is
kept. `mathvista` needs the package `Levenshtein`, and some others need `numpy`.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import predictions as said
import published_choices as by_choice
import published_texts as by_text
from sources import Pairs, Question, Scores, Source

COLORS = ("green", "red", "dark red", "blue")
NUMBERS = ("12", "15", "5", "51")
ANGLES = ("30°", "45°", "60°", "cannot be determined")
LETTERED = ("B", "C", "D", "A", "E")
SENTENCES = ("A cat sleeps on the sofa", "Two dogs play", "It rains", "Nothing can be seen")


@dataclass(frozen=True)
class Reference:
    """A published scoring: where its code is, how it is run, and the questions to run it on."""

    repository: str
    file: str
    run: Callable[[Source, Pairs], Scores]
    questions: list[tuple[Question, list[str]]]


def choices(rule: str, *sets: tuple[str, ...]) -> list[tuple[Question, list[str]]]:
    """Make a question for each set of options, the second of which is right."""
    return [({"rule": rule, "answers": ["B"], "choices": list(one)}, said.of_choices(one, len(rule))) for one in sets]


def numbers(rule: str, *sets: tuple[str, ...]) -> list[tuple[Question, list[str]]]:
    """Make a question for each list of numbers, the first of which is right."""
    return [({"rule": rule, "answers": [one[0]]}, said.of_numbers(one, len(rule))) for one in sets]


def texts(rule: str, *sets: tuple[str, ...]) -> list[tuple[Question, list[str]]]:
    """Make a question for each list of texts, the first of which is right."""
    return [({"rule": rule, "answers": [one[0]]}, said.of_texts(one, len(rule))) for one in sets]


def yes_or_no(rule: str) -> list[tuple[Question, list[str]]]:
    """Make a question whose answer is yes, and one whose answer is no."""
    return [({"rule": rule, "answers": [one]}, said.of_yes_or_no(len(rule))) for one in ("yes", "no")]


def people(rule: str) -> list[tuple[Question, list[str]]]:
    """Make questions with ten people's answers, which agree or differ, some of which are normalised to nothing."""
    contracted = [
        "dont", "don't", "wouldnt've", "wouldn'tve", "ive", "i've", "im", "its", "shes", "hes", "he's", "twas",
        "somebody'd", "ow's'at", "yall'll", "let's", "whys",
    ]  # fmt: skip
    answers = (
        ["stop"] * 10,
        ["red"] * 3 + ["dark red"] * 2 + ["Red"] * 2 + ["maroon", "red.", "a red"],
        ["the"] * 6 + ["a"] * 4,
        ["2"] * 4 + ["two"] * 4 + ["three", "2.0"],
        ["1,000"] * 5 + ["1000"] * 5,
        ["red, white"] * 5 + ["red white"] * 5,
        ["none"] * 5 + ["0"] * 3 + ["-"] * 2,
        ["don't"] * 3 + ["dont"] * 3 + contracted[2:6],
        ["joe's"] * 9 + ["joes"],
        ["well-known"] * 5 + ["well known"] * 3 + ["well - known"] * 2,
        ["Yes"] * 10,
        ["he's"] * 2 + contracted[7:15],
    )
    return [
        ({"rule": rule, "answers": one}, [*said.of_texts((one[0], one[-1], *one), len(rule)), *contracted])
        for one in answers
    ]


def mathvista(rule: str, kind: str, *sets: tuple[str, ...], precision: int = 0) -> list[tuple[Question, list[str]]]:
    """Make free-form questions of MathVista."""
    about = {"question_type": "free_form", "answer_type": kind, "precision": precision}
    return [(question | about, predictions) for question, predictions in numbers(rule, *sets)]


def mathvista_choices(*sets: tuple[str, ...]) -> list[tuple[Question, list[str]]]:
    """Make multiple-choice questions of MathVista; its answers are texts of options."""
    about = {"question_type": "multi_choice", "answer_type": "text"}
    made = choices("mathvista-choice", *sets)
    return [(question | about | {"answers": question["choices"][1:2]}, given) for question, given in made]


def ocr(rule: str, dataset: str, *sets: tuple[str, ...]) -> list[tuple[Question, list[str]]]:
    """Make questions of OCRBench; either of the first two texts is right."""
    made = texts(rule, *sets)
    return [
        (one | {"dataset": dataset, "answers": list(known[:2])}, given)
        for (one, given), known in zip(made, sets, strict=True)
    ]


MATHVISTA = (
    mathvista("mathvista-integer", "integer", ("5", "7"), ("0", "1"), ("1200", "12"))
    + mathvista("mathvista-float-1", "float", ("0.5", "5.0"), ("1.2", "12"), precision=1)
    + mathvista("mathvista-float-2", "float", ("0.46", "46"), precision=2)
    + mathvista_choices(COLORS, NUMBERS, ANGLES, LETTERED, ("Yes", "No"))
)
MATHVISTA += [
    (question | {"answers": ["[1, 2]"], "answer_type": "list", "rule": "mathvista-list"}, ["[1,2]", "[1, 2].", *given])
    for question, given in mathvista("mathvista-list", "list", ("1", "2"))
]
LMMS, KIT = "EvolvingLMMs-Lab/lmms-eval", "open-compass/VLMEvalKit"
UTILS = "lmms_eval/tasks/{}/utils.py"
REFERENCES = {
    "ai2d": Reference(LMMS, UTILS.format("ai2d"), by_choice.ai2d, choices("letter", COLORS, NUMBERS, LETTERED)),
    "chartqa": Reference(
        LMMS, UTILS.format("chartqa"), by_text.chartqa,
        numbers("chartqa", ("100", "50"), ("0.12", "12"), ("0", "1"), ("-5", "5"), ("2014", "57"))
        + texts("chartqa", ("blue", "red"), ("12%", "12"), ("Yes", "No"), ("inf", "5"), ("nan", "5")),
    ),
    "gqa": Reference(
        LMMS, "lmms_eval/api/metrics.py", by_text.gqa,
        texts("exact", ("left", "right"), ("t-shirt", "shirt"), ("?", "!")),
    ),
    "mathvista": Reference("lupantech/MathVista", "evaluation/extract_answer.py", by_choice.mathvista, MATHVISTA),
    "mathvista-extracted": Reference(
        "lupantech/MathVista", "evaluation/calculate_score.py", by_choice.mathvista_extracted, MATHVISTA
    ),
    "mmbench": Reference(
        KIT, "vlmeval/utils/matching_util.py", by_choice.mmbench,
        choices("mmbench", COLORS, NUMBERS, SENTENCES, ("Yes", "No")),
    ),
    "mme": Reference(LMMS, UTILS.format("mme"), by_text.mme, yes_or_no("mme")),
    "mmmu-choice": Reference(
        "MMMU-Benchmark/MMMU", "mmmu/utils/eval_utils.py", by_choice.mmmu_choice,
        choices("mmmu-choice", COLORS, NUMBERS, SENTENCES),
    ),
    "mmmu-open": Reference(
        "MMMU-Benchmark/MMMU", "mmmu/utils/eval_utils.py", by_text.mmmu_open,
        numbers("mmmu-open", ("12", "5"), ("1200", "7"), ("-350", "3.5"), ("0.5", "5"))
        + texts("mmmu-open", ("membrane", "cell"), ("a", "b"), ("infinity", "inf"), ("nan", "5"), ("C", "D")),
    ),
    "mmstar": Reference(
        "MMStar-Benchmark/MMStar", "eval/vlmeval/evaluate/mmstar.py", by_choice.mmstar,
        choices("mmstar", COLORS, LETTERED),
    ),
    "ocrbench": Reference(
        "Yuliang-Liu/MultimodalOCR", "OCRBench/example.py", by_text.ocrbench,
        ocr("ocrbench", "IIIT5K", ("centre", "CENTER"), ("two\nlines", "2 lines"), ("<b>", "x"), ("12", "$5"))
        + ocr("ocrbench-expression", "HME100k", (r"\frac { 1 } { 2 }", "x ^ 2"), ("a < b", "1 + 1")),
    ),
    "pope": Reference("AoiDragon/POPE", "evaluate.py", by_text.pope, yes_or_no("pope")),
    "realworldqa": Reference(
        LMMS, UTILS.format("realworldqa"), by_choice.realworldqa,
        choices("realworldqa", COLORS, NUMBERS, SENTENCES, ("Yes", "No"))
        + texts("realworldqa-open", ("Downhill", "Up"), ("2", "3")),
    ),
    "scienceqa": Reference(
        "haotian-liu/LLaVA", "llava/eval/eval_science_qa.py", by_choice.scienceqa,
        choices("scienceqa", COLORS, ("Yes", "No"), LETTERED),
    ),
    "textvqa": Reference("facebookresearch/mmf", "mmf/utils/m4c_evaluators.py", by_text.textvqa, people("vqa")),
    "vqav2": Reference(LMMS, UTILS.format("vqav2"), by_text.vqav2, people("vqav2")),
    "vqav2-2017": Reference(
        "GT-Vision-Lab/VQA", "PythonEvaluationTools/vqaEvaluation/vqaEval.py", by_text.vqa_script, people("vqav2")
    ),
}  # fmt: skip


def write(name: str, source: Source, folder: Path) -> None:
    """Run a reference over its questions, and write one line for each prediction."""
    reference = REFERENCES[name]
    numbered = [(number, one) for number, (_, given) in enumerate(reference.questions) for one in given]
    scored = reference.run(source, [(reference.questions[number][0], one) for number, one in numbered])
    about = {"repository": reference.repository, **source.version(), "file": reference.file}
    questions = ",\n".join(json.dumps(question, ensure_ascii=False) for question, _ in reference.questions)
    rows = ",\n".join(
        json.dumps([number, one, round(score, 9), mark], ensure_ascii=True)
        for (number, one), (score, mark) in zip(numbered, scored, strict=True)
    )
    text = f'{{"reference": {json.dumps(about)},\n"questions": [\n{questions}],\n"rows": [\n{rows}]}}\n'
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in REFERENCES:
        known = "\n".join(f"  {name}: {one.repository}" for name, one in REFERENCES.items())
        raise SystemExit(f"usage: make.py NAME PATH [COMMIT]; NAME and the repository that it needs are\n{known}")
    write(sys.argv[1], Source(*sys.argv[2:]), Path(__file__).parent)
