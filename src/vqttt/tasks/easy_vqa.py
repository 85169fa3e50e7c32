"""easy-VQA: questions about one coloured shape in a 64 px image (Zhou 2019, MIT; PyPI `easy-vqa`).

About three quarters of the answers are yes or no, so questions are sorted into categories: `presence` ("is there a red
shape?"), `absence` ("is there not a red shape?"), `shape` and `color`.
"""

from functools import partial
from pathlib import Path

from vqttt.errors import MissingExtraError
from vqttt.images.files import load_image
from vqttt.types import Sample


def samples(split: str = "test") -> list[Sample]:
    """Return all questions of a split: 9,673 of `test`, 38,575 of `train`, in the package's order.

    Raises:
        MissingExtraError: if the package `easy-vqa` is not installed.
    """
    try:
        import easy_vqa
    except ImportError:
        raise MissingExtraError("the task easy-vqa needs the package easy-vqa: pip install 'vqttt[tasks]'") from None
    if split == "test":
        (questions, answers, images), paths = easy_vqa.get_test_questions(), easy_vqa.get_test_image_paths()
    else:
        (questions, answers, images), paths = easy_vqa.get_train_questions(), easy_vqa.get_train_image_paths()
    return [
        Sample(
            id=f"easy-vqa-{split}-{number:05d}",
            load=partial(load_image, Path(paths[image])),
            question=question,
            answers=(answer,),
            category=_category(question, answer),
            question_type=_category(question, answer),
        )
        for number, (question, answer, image) in enumerate(zip(questions, answers, images, strict=True))
    ]


def _category(question: str, answer: str) -> str:
    if answer in ("yes", "no"):
        return "absence" if " not " in question or question.startswith("is no ") else "presence"
    return "color" if "color" in question or answer not in ("circle", "rectangle", "triangle") else "shape"
