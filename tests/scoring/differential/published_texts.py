"""How the published code of open and yes-or-no benchmarks is run over predictions.

A reference takes a repository and pairs of a question and a prediction. It returns, for each pair, the published score
and a mark that says why our strict rule may score otherwise. A mark is found in what the published code did, never in
what ours does.
"""

import ast
import contextlib
import io
import json
import re
import statistics
import tempfile
import types
from pathlib import Path

from sources import Pairs, Scores, Source, exact_match, run

EMPTY = "an empty answer"
DEFAULT = "whatever is not no counts as yes"
UNANIMOUS = "all ten people agree, so nothing is normalised"
NAN = "nan is a number that equals nothing"


def textvqa(source: Source, pairs: Pairs) -> Scores:
    """MMF's evaluator of TextVQA, which normalises as EvalAI does."""
    names = ("EvalAIAnswerProcessor", "TextVQAAccuracyEvaluator")
    evaluator = source.definitions("mmf/utils/m4c_evaluators.py", *names, re=re, tqdm=list)[names[1]]()
    entries = [{"pred_answer": said, "gt_answers": question["answers"]} for question, said in pairs]
    return [(evaluator.eval_pred_list([one]), _empty(one["pred_answer"])) for one in entries]


def vqa_script(source: Source, pairs: Pairs) -> Scores:
    """VQA's own script, of Python 2."""
    code = source.text("PythonEvaluationTools/vqaEvaluation/vqaEval.py")
    code = re.sub(r'print ("[^"]*")', r"print(\1)", code)
    truth, given = (
        types.SimpleNamespace(qa={}, getQuesIds=lambda: list(range(len(pairs)))),
        types.SimpleNamespace(qa={}),
    )
    for number, (question, said) in enumerate(pairs):
        people = [{"answer": answer, "answer_id": index} for index, answer in enumerate(question["answers"])]
        truth.qa[number] = {"answers": people, "question_type": "", "answer_type": ""}
        given.qa[number] = {"answer": said}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = run(code, {"__name__": "vqaEval"})["VQAEval"](truth, given, n=12)
        evaluation.evaluate()
    marks = [_empty(said) or (UNANIMOUS if len(set(question["answers"])) == 1 else "") for question, said in pairs]
    return [(evaluation.evalQA[number] / 100, mark) for number, mark in enumerate(marks)]


def vqav2(source: Source, pairs: Pairs) -> Scores:
    """lmms-eval's VQAv2."""
    names = ("EvalAIAnswerProcessor", "vqav2_process_results")
    processor = source.definitions("lmms_eval/tasks/_task_utils/vqa_eval_metric.py", names[0], re=re)[names[0]]
    score = source.definitions(
        "lmms_eval/tasks/vqav2/utils.py", names[1], statistics=statistics, **{names[0]: processor}
    )
    found = []
    for question, said in pairs:
        people = [{"answer": answer, "answer_id": index} for index, answer in enumerate(question["answers"])]
        result = score[names[1]]({"answers": people, "question_id": 0}, [said])
        found.append((result["exact_match"], _empty(said)))
    return found


def pope(source: Source, pairs: Pairs) -> Scores:
    """POPE's script, given files in place of its two empty names."""
    with tempfile.TemporaryDirectory() as folder:
        answers, labels = Path(folder) / "answers", Path(folder) / "labels"
        answers.write_text("\n".join(json.dumps({"answer": said}) for _, said in pairs))
        labels.write_text("\n".join(json.dumps({"label": question["answers"][0]}) for question, _ in pairs))
        code = source.text("evaluate.py")
        code = re.sub(r"ans_file = '.*'", f"ans_file = {str(answers)!r}", code)
        code = re.sub(r"label_file = '.*'", f"label_file = {str(labels)!r}", code)
        with contextlib.redirect_stdout(io.StringIO()):
            read = [one["answer"] for one in run(code, {})["answers"]]
    found = []
    for (question, said), label in zip(pairs, read, strict=True):
        says_yes = re.search(r"\byes\b", said.strip().split(".")[0].replace(",", ""), re.IGNORECASE)
        found.append((float(label == question["answers"][0]), "" if label == "no" or says_yes else DEFAULT))
    return found


def mme(source: Source, pairs: Pairs) -> Scores:
    """lmms-eval's reading of MME's answers."""
    parse = source.definitions("lmms_eval/tasks/mme/utils.py", "parse_pred_ans")["parse_pred_ans"]
    return [(float(parse(said) == question["answers"][0]), "") for question, said in pairs]


def mmmu_open(source: Source, pairs: Pairs) -> Scores:
    """MMMU's code for open questions."""
    names = ("check_is_number", "normalize_str", "extract_numbers", "parse_open_response", "eval_open")
    code = source.definitions("mmmu/utils/eval_utils.py", *names, re=re)
    found = []
    for question, said in pairs:
        read = code["parse_open_response"](said)
        wanted = [form for answer in question["answers"] for form in code["normalize_str"](answer)]
        mark = NAN if any(form != form for form in (*read, *wanted)) else ""
        found.append((float(code["eval_open"](question["answers"], read)), mark))
    return found


def ocrbench(source: Source, pairs: Pairs) -> Scores:
    """The loop of OCRBench's script that compares predictions with answers."""
    main = next(node for node in ast.parse(source.text("OCRBench/example.py")).body if isinstance(node, ast.If))
    loop = next(node for node in main.body if isinstance(node, ast.For) and "HME100k" in ast.unparse(node))
    data = [
        {"type": "", "dataset_name": question["dataset"], "answers": question["answers"], "predict": said}
        for question, said in pairs
    ]
    run(ast.Module([loop], []), {"data": data})
    return [(float(one["result"]), "") for one in data]


def chartqa(source: Source, pairs: Pairs) -> Scores:
    """lmms-eval's relaxed accuracy; the answer is stripped, as in VLMEvalKit."""
    code = source.definitions("lmms_eval/tasks/chartqa/utils.py", "relaxed_correctness")
    compare = code["relaxed_correctness"]
    return [(float(compare(said.strip(), question["answers"][0])), "") for question, said in pairs]


def gqa(source: Source, pairs: Pairs) -> Scores:
    """lmms-eval's exact match; the answer is stripped."""
    return [(exact_match(source)(said.strip(), question["answers"][0]), _empty(said)) for question, said in pairs]


def _empty(said: str) -> str:
    return "" if said.strip() else EMPTY
