"""Small tables in the exact schema of each benchmark's dataset on the Hub: column names, types, and unusual cells."""

import io
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as PILImage

TEXT, WHOLE, REAL = Value("string"), Value("int64"), Value("float64")
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def image(color: tuple[int, int, int] = RED) -> dict[str, Any]:
    """Make a plain image, encoded as in a dataset."""
    file = io.BytesIO()
    PILImage.fromarray(np.full((20, 30, 3), color, np.uint8)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def table(features: dict[str, Any], *rows: dict[str, Any]) -> Dataset:
    """Make a table; fields that a row lacks are empty."""
    filled = [{name: row.get(name) for name in features} for row in rows]
    return Dataset.from_list(filled, features=Features(features))


def texts(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), TEXT)


def mathvista() -> Dataset:
    about = texts("category context grade language source split task") | {"img_height": WHOLE, "img_width": WHOLE}
    features = texts("pid question image unit answer question_type answer_type query")
    features |= {"decoded_image": Image(), "choices": List(TEXT), "precision": REAL}
    features |= {"metadata": about | {"skills": List(TEXT)}}
    common = {"decoded_image": image(), "metadata": {"task": "geometry problem solving", "skills": ["algebra"]}}
    free = common | {"question_type": "free_form", "choices": None}
    return table(
        features,
        common | {"pid": "1", "question": "Which color?", "choices": ["green", "red"], "answer": "red", "query": "Q1"}
        | {"question_type": "multi_choice", "answer_type": "text"},
        free | {"pid": "2", "question": "How long?", "precision": 1.0, "answer": "1.2", "query": "Q2"}
        | {"answer_type": "float"},
        free | {"pid": "3", "question": "How many?", "answer": "4", "answer_type": "integer", "query": "Q3"},
        free | {"pid": "4", "question": "Which?", "answer": "[1, 2]", "answer_type": "list", "query": "Q4"},
    )  # fmt: skip


def mmmu() -> Dataset:
    features = texts("id question options explanation") | {f"image_{n}": Image() for n in range(1, 8)}
    features |= texts("img_type answer topic_difficulty question_type subfield")
    several = {"image_1": image(), "image_2": image(GREEN)}
    options = {"options": "['green', 'red', \"it's blue\"]", "answer": "B", "question_type": "multiple-choice"}
    return table(
        features,
        options | {"id": "validation_Art_Theory_1", "question": "<image 1> Which?", "image_1": image()},
        options | several | {"id": "validation_Art_Theory_2", "question": "<image 1> or <image 2>?"},
        {"id": "validation_Math_3", "question": "<image 1> Area?", "options": "[]", "answer": "['4', 'four']"}
        | {"question_type": "open", "image_1": image(BLUE)},
        options | {"id": "test_Math_4", "question": "Hidden?", "answer": "?", "image_1": image()},
    )


def scienceqa() -> Dataset:
    features = {"image": Image(), "question": TEXT, "choices": List(TEXT), "answer": Value("int8"), "hint": TEXT}
    features |= texts("task grade subject topic category skill lecture solution")
    row = {"choices": ["green", "red"], "subject": "natural science", "topic": "physics", "skill": "Tell colors"}
    return table(
        features,
        row | {"question": "Which color?", "answer": 1, "hint": "Look at it.", "image": image()},
        row | {"question": "Which color?", "answer": 0, "hint": "", "image": image(GREEN)},
        row | {"question": "Without an image?", "answer": 0, "hint": ""},
    )


def textvqa() -> Dataset:
    features = texts("image_id question flickr_original_url flickr_300k_url set_name")
    features |= {"question_id": Value("int32"), "image_width": Value("int32"), "image_height": Value("int32")}
    features |= dict.fromkeys(("question_tokens", "answers", "image_classes", "ocr_tokens"), List(TEXT))
    row = {"image": image(), "answers": ["red"] * 3 + ["Red."] * 2 + ["dark red"] * 5}
    return table(features | {"image": Image()}, row | {"question_id": 34602, "question": "what does it SAY?"})


def mme() -> Dataset:
    features = texts("question_id question answer category") | {"image": Image()}
    names = (("color", "Yes"), ("color", "No"), ("code_reasoning", "Yes"), ("code_reasoning", "No"))
    rows = [
        {"question_id": f"{name}/0001.png", "category": name, "answer": answer, "image": image()}
        | {"question": f"Is it {answer}? Please answer yes or no."}
        for name, answer in names
    ]
    return table(features, *rows)


def mmstar() -> Dataset:
    features = {"index": WHOLE, "question": TEXT, "image": Image()} | texts("answer category l2_category")
    features |= {"meta_info": texts("source split image_path")}
    options = "A: light, pale green, B: red, C: dark red, D: blue"
    row = {"category": "math", "l2_category": "geometry", "image": image(), "answer": "B"}
    return table(
        features,
        row | {"index": 0, "question": f"Which color?\nOptions: {options}"},
        row | {"index": 1, "question": "Which of the letters A to D?"},
    )


def realworldqa() -> Dataset:
    features = {"image": Image()} | texts("question answer")
    by_letter = "Please answer directly with only the letter of the correct option and nothing else."
    return table(
        features,
        {"question": f"Which color?\nA. green\nB. red\n{by_letter}", "answer": "B", "image": image()},
        {"question": "How many?\nPlease answer directly with a single word or number.", "answer": "3"}
        | {"image": image()},
    )  # fmt: skip


def pope() -> Dataset:
    features = texts("id question_id question answer image_source category") | {"image": Image()}
    rows = [
        {"id": str(n), "question_id": "1", "question": f"Is there a {split} dog in the image?", "category": split}
        | {"answer": answer, "image_source": "COCO_1", "image": image()}
        for n, (split, answer) in enumerate([("adversarial", "yes"), ("adversarial", "no"), ("random", "no")])
    ]
    return table(features, *rows)


def mmbench() -> Dataset:
    features = texts("index question hint answer A B C D category source L2-category comment split") | {
        "image": Image()
    }
    row = {"hint": "nan", "A": "green", "B": "red", "C": "nan", "D": "nan", "category": "color", "image": image()}
    row |= {"L2-category": "perception", "split": "dev"}
    return table(
        features,
        row | {"index": "241", "question": "Which color?", "answer": "B"},
        row | {"index": "1000241", "question": "Which color?", "answer": "A", "A": "red", "B": "green"},
        row | {"index": "252", "question": "And this?", "answer": "A", "hint": "It grows.", "image": image(GREEN)},
    )


def ai2d() -> Dataset:
    features = {"question": TEXT, "options": List(TEXT), "answer": TEXT, "image": Image()}
    return table(features, {"question": "Which?", "options": ["B", "C", "D", "A"], "answer": "1", "image": image()})


def chartqa() -> Dataset:
    row = {"question": "How much?", "answer": "42", "image": image()}
    rows = [row | {"type": "human_test"}, row | {"type": "augmented_test"}]
    return table(texts("type question answer") | {"image": Image()}, *rows)


def ocrbench() -> Dataset:
    features = {"dataset": TEXT, "question": TEXT, "question_type": TEXT, "answer": List(TEXT), "image": Image()}
    row = {"question": "what is written in the image?", "image": image()}
    return table(
        features,
        row | {"dataset": "IIIT5K", "question_type": "Regular Text Recognition", "answer": ["RED"]},
        row | {"dataset": "HME100k", "question_type": "Handwritten Mathematical Expression Recognition"}
        | {"answer": ["x ^ { 2 }"]},
    )  # fmt: skip


def vqav2() -> Dataset:
    given = {"answer": TEXT, "answer_confidence": TEXT, "answer_id": WHOLE}
    features = texts("question_type multiple_choice_answer answer_type question") | {"answers": List(given)}
    features |= {"image_id": WHOLE, "question_id": WHOLE, "image": Image()}
    answers = [{"answer": "red", "answer_confidence": "yes", "answer_id": n} for n in range(1, 11)]
    row = {"question_type": "what color", "answer_type": "other", "image": image(), "image_id": 42}
    return table(features, row | {"question_id": 262148000, "question": "What color is it?", "answers": answers})


def gqa() -> Dataset:
    places = {"global": TEXT, "local": TEXT}
    features = texts("id imageId question answer fullAnswer") | {"isBalanced": Value("bool"), "groups": places}
    features |= {"types": texts("structural semantic detailed"), "semanticStr": TEXT}
    row = {"imageId": "n161313", "answer": "red", "types": {"structural": "query", "semantic": "attr"}}
    return table(
        features,
        row | {"id": "201307251", "question": "What color is it?"},
        row | {"id": "201640614", "question": "And this?", "imageId": "n0"},
    )


def gqa_images() -> Dataset:
    rows = [{"id": "n7", "image": image(GREEN)}, {"id": "n161313", "image": image(RED)}]
    return table({"id": TEXT, "image": Image()}, *rows)


TABLES = {
    made.__name__: made
    for made in (
        mathvista, mmmu, scienceqa, textvqa, mme, mmstar, realworldqa, pope, mmbench, ai2d, chartqa, ocrbench, vqav2,
        gqa,
    )
}  # fmt: skip
