"""How the published code of multiple-choice benchmarks, and of MathVista, is run over predictions.

A reference takes a repository and pairs of a question and a prediction. It returns, for each pair, the published score
and a mark that says why our strict rule may score otherwise. A mark is found in what the published code did, never in
what ours does.
"""

import ast
import contextlib
import copy
import io
import json
import logging
import os
import re
import runpy
import string
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sources import Pairs, Scores, Source, exact_match, run

RANDOM = "an option drawn at random"
MODEL = "a language model extracts the answer"
NEAREST = "the option nearest to a text that is no option"
LEADING = "a letter before a full stop is left to the language model"
WITHIN = "a letter from within a word"
LETTERS = string.ascii_uppercase


def scienceqa(source: Source, pairs: Pairs) -> Scores:
    """LLaVA's script for ScienceQA; the program that writes its input strips the answers."""
    with tempfile.TemporaryDirectory() as name:
        folder, ids = Path(name), [str(number) for number in range(len(pairs))]
        problems = {
            one: {"choices": question["choices"], "answer": LETTERS.index(question["answers"][0])}
            for one, (question, _) in zip(ids, pairs, strict=True)
        }
        said = [
            {"question_id": one, "text": text.strip(), "prompt": "<image>"}
            for one, (_, text) in zip(ids, pairs, strict=True)
        ]
        (folder / "pid_splits.json").write_text(json.dumps({"test": ids}))
        (folder / "problems.json").write_text(json.dumps(problems))
        (folder / "said").write_text("\n".join(map(json.dumps, said)))
        (folder / "script.py").write_text(source.text("llava/eval/eval_science_qa.py"))
        options = {
            "base-dir": name,
            "result-file": folder / "said",
            "output-file": folder / "all",
            "output-result": folder / "result",
        }
        with _arguments(["", *(f"--{key}={value}" for key, value in options.items())]):
            runpy.run_path(str(folder / "script.py"), run_name="__main__")
        chosen = json.loads((folder / "result").read_text())["results"]
    return [(float(chosen[one] == problems[one]["answer"]), "") for one in ids]


def mmmu_choice(source: Source, pairs: Pairs) -> Scores:
    """MMMU's code for multiple choice; what it draws at random is marked."""
    drawn: list[str] = []
    chance = types.SimpleNamespace(choice=lambda letters: drawn.append(letters[0]) or letters[0])
    parse = source.definitions("mmmu/utils/eval_utils.py", "parse_multi_choice_response", random=chance, np=np)
    found = []
    for question, said in pairs:
        drawn.clear()
        letters = dict(zip(LETTERS, question["choices"], strict=False))
        chosen = parse["parse_multi_choice_response"](said, list(letters), letters)
        found.append((float(chosen == question["answers"][0]), RANDOM if drawn else ""))
    return found


def mmstar(source: Source, pairs: Pairs) -> Scores:
    """MMStar's script, which reports sums only: it is run on one prediction at a time, once for each of its skills."""
    code = source.text("eval/vlmeval/evaluate/mmstar.py").replace("from vlmeval.smp import *", "")
    skills = [(one, skill) for one, of_one in _constant(code, "MMStar_score_l2").items() for skill in of_one]
    reported: list[dict[str, float]] = []
    table: list[dict[str, str]] = []
    given = {
        "get_logger": logging.getLogger, "tqdm": list, "dump": lambda scores, _: reported.append(scores),
        "load": lambda _: _Table(table),
    }  # fmt: skip
    evaluate = run(code, given)["MMStar_eval"]
    found = []
    for question, said in pairs:
        row = {"prediction": said, "answer": question["answers"][0], "bench": ""}
        table[:] = [row | {"category": one, "l2_category": skill} for one, skill in skills]
        evaluate("x.xlsx")
        found.append((round(reported[-1]["final score"] * 1500 / len(skills)), ""))
    return found


def ai2d(source: Source, pairs: Pairs) -> Scores:
    """lmms-eval's filter for AI2D, then exact match; the answer is stripped."""
    base = type("ExtendedRegexFilter", (), {})
    file, name = "lmms_eval/tasks/ai2d/utils.py", "MultiChoiceRegexFilter"
    cut, exact = source.definitions(file, name, re=re, ExtendedRegexFilter=base)[name](), exact_match(source)
    return [(exact(cut.apply([[said.strip()]], [{}])[0], question["answers"][0]), "") for question, said in pairs]


def realworldqa(source: Source, pairs: Pairs) -> Scores:
    """lmms-eval's RealWorldQA; what it takes only as a letter anywhere is marked."""
    file = "lmms_eval/tasks/_task_utils/mcq_extract.py"
    names = ("_DEFAULT_CHOICES", "_ANSWER_PHRASES", "_FORMAT_PRIORITY", "extract_mcq_answer")
    code = source.definitions(file, *names, re=re, List=list, Optional=dict)
    ranks = code["_FORMAT_PRIORITY"] = _Recorded(code["_FORMAT_PRIORITY"])
    module = types.ModuleType("lmms_eval.tasks._task_utils.mcq_extract")
    module.extract_mcq_answer = code["extract_mcq_answer"]  # type: ignore[attr-defined]
    for part in ("lmms_eval", "lmms_eval.tasks", "lmms_eval.tasks._task_utils"):
        sys.modules[part] = types.ModuleType(part)
    sys.modules[module.__name__] = module
    name = "realworldqa_process_results"
    score = source.definitions("lmms_eval/tasks/realworldqa/utils.py", name)[name]
    found = []
    for question, said in pairs:
        ranks.asked.clear()
        result = score({"answer": question["answers"][0]}, [said])["exact_match"]
        found.append((result, WITHIN if ranks.asked == {"fallback"} else ""))
    return found


def mmbench(source: Source, pairs: Pairs) -> Scores:
    """VLMEvalKit's exact matching, which MMBench's evaluation runs before it asks a language model."""
    code = source.definitions(
        "vlmeval/utils/matching_util.py", "_VERBOSE_ANSWER_RE", "can_infer_option", "can_infer_text", "can_infer",
        re=re, cp=copy, os=os, string=string, logger=logging.getLogger(),
    )  # fmt: skip
    found = []
    for question, said in pairs:
        choices = dict(zip(LETTERS, question["choices"], strict=False))
        named = code["_VERBOSE_ANSWER_RE"].search(said)
        within = named is not None and re.match(r"\w", said[named.end(1) :]) is not None
        found.append((float(code["can_infer"](said, choices) == question["answers"][0]), WITHIN if within else ""))
    return found


def mathvista(source: Source, pairs: Pairs) -> Scores:
    """MathVista's code; where a language model should extract the answer, it gets the response, and that is marked."""
    asked: list[str] = []
    extract = source.definitions("evaluation/extract_answer.py", "extract_answer", "create_test_prompt",
                                 re=re, logging=logging, demo_prompt="")["extract_answer"]  # fmt: skip
    found = []
    for question, said in pairs:
        asked.clear()
        model = types.SimpleNamespace(get_response=lambda user_prompt, said=said: asked.append(user_prompt) or said)
        problem = question | {"query": "", "pid": "", "choices": question.get("choices")}
        got = extract(model, said, problem, quick_extract=True)
        score, mark = mathvista_extracted(source, [(question, got)])[0]
        found.append((score, MODEL if asked else mark))
    return found


def mathvista_extracted(source: Source, pairs: Pairs) -> Scores:
    """MathVista's code from the extracted answer on."""
    from Levenshtein import distance

    names = ("get_most_similar", "normalize_extracted_answer", "safe_equal")
    code = source.definitions("evaluation/calculate_score.py", *names, re=re, distance=distance, logging=logging)
    similar, compared = code["get_most_similar"], list[str]()
    code["get_most_similar"] = lambda text, choices: compared.append(text) or similar(text, choices)
    found = []
    for question, said in pairs:
        compared.clear()
        fields = [question.get(name) for name in ("choices", "question_type", "answer_type", "precision")]
        got = code["normalize_extracted_answer"](said, *fields)
        mark = _nearest(compared[0], said, question["choices"]) if compared else ""
        found.append((float(code["safe_equal"](got, question["answers"][0])), mark))
    return found


def _nearest(text: str, said: str, choices: Sequence[str]) -> str:
    if not text or len(text) > 1.5 * max(map(len, choices)):
        return NEAREST
    return LEADING if re.match(r"[A-Z][.:)]\s", said.strip()) else ""


def _constant(code: str, name: str) -> Any:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and isinstance(node.value, ast.Dict):
            return ast.literal_eval(node.value)
    raise SystemExit(f"the reference has no constant {name}; take another commit")


@contextlib.contextmanager
def _arguments(given: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, given
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.argv = before


class _Table:
    """As much of a table of pandas as MMStar's script uses."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.iloc = rows

    def __len__(self) -> int:
        return len(self.iloc)


class _Recorded(dict[str, int]):
    """A dictionary that remembers which names were asked for."""

    asked: set[str]

    def __init__(self, values: dict[str, int]) -> None:
        super().__init__(values)
        self.asked = set()

    def get(self, name: str, default: int = 0) -> int:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)
