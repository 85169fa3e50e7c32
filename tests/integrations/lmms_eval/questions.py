"""Write questions of vq-mini as a table for the local tasks.

`python -m tests.integrations.lmms_eval.questions FOLDER [COUNT]`
"""

import io
import sys
from pathlib import Path

from PIL import Image as PILImage

from vqttt.tasks import vq_mini

TASKS = Path(__file__).parent / "tasks"


def write(folder: Path, count: int = 160, images: dict[int, bytes | None] | None = None) -> None:
    """Write questions.parquet; what `images` has for a row goes in place of its own image."""
    import datasets

    rows = []
    for n, sample in enumerate(vq_mini.samples("test", count)):
        image = images[n] if images and n in images else encoded(sample.load())
        shown = image and {"bytes": image, "path": None}
        rows.append({"image": shown, "question": sample.question, "answer": sample.answers[0]})
    kinds = {name: datasets.Value("string") for name in ("question", "answer")}
    features = datasets.Features({"image": datasets.Image(), **kinds})
    datasets.Dataset.from_list(rows, features=features).to_parquet(folder / "questions.parquet")


def encoded(image) -> bytes:
    stream = io.BytesIO()
    PILImage.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
