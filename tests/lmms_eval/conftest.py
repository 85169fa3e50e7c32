"""A small table of questions for the local tasks; skipped where lmms-eval is missing (`make lmms-eval`)."""

import io
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image as PILImage

from vqttt.tasks import vq_mini

TASKS = Path(__file__).parent / "tasks"
INSTALLED = find_spec("lmms_eval") is not None
collect_ignore_glob = [] if INSTALLED else ["test_*.py"]
if INSTALLED:
    import datasets


def encoded(image) -> bytes:
    stream = io.BytesIO()
    PILImage.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def write():
    """Return what writes some questions of vq-mini to questions.parquet; a picture may be given in place of its own."""

    def table(folder: Path, count: int, pictures: dict[int, bytes | None]) -> None:
        rows = []
        for n, sample in enumerate(vq_mini.samples("test", count)):
            picture = pictures[n] if n in pictures else encoded(sample.load())
            shown = picture and {"bytes": picture, "path": None}
            rows.append({"image": shown, "question": sample.question, "answer": sample.answers[0]})
        kinds = {name: datasets.Value("string") for name in ("question", "answer")}
        features = datasets.Features({"image": datasets.Image(), **kinds})
        datasets.Dataset.from_list(rows, features=features).to_parquet(folder / "questions.parquet")

    return table
