"""A folder of images to JSON lines: `python batch_job.py FOLDER "QUESTION"` writes answers.jsonl.

Without arguments it makes a folder of its own. A batch is one pass of the model. A file that is no image costs a line.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import vqttt


def made_folder() -> Path:
    """Make a folder with circles in fog, and a file that is no image."""
    folder = Path(tempfile.mkdtemp())
    for n, color in enumerate(("red", "green", "blue", "yellow", "cyan") * 4):
        image = Image.new("RGB", (224, 224), "white")
        ImageDraw.Draw(image).ellipse((60, 60, 150, 150), fill=color)
        vqttt.save_image(vqttt.degrade(np.array(image), "fog", severity=4, seed=n), folder / f"{n:02}-{color}.png")
    (folder / "notes.png").write_text("no image")
    return folder


def main() -> None:
    """Answer the question about every image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("question", nargs="?", default="what color is it?", metavar="QUESTION")
    given = parser.parse_args()
    folder, question = given.folder or made_folder(), given.question
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if not files:
        parser.exit(2, f"{folder}: no folder with PNG, JPEG or WebP images; give one that has some\n")
    with Path("answers.jsonl").open("w") as lines, vqttt.Answerer("embedded", method="vq-select") as answerer:
        for batch in (files[first : first + 16] for first in range(0, len(files), 16)):
            images: dict[str, vqttt.Image] = {}
            for file in batch:
                try:
                    images[file.name] = vqttt.load_image(file)
                except vqttt.VQTTTError as error:
                    print(json.dumps({"image": file.name, "error": str(error)}), file=lines)
            try:
                answers = answerer.answer_all([*images.values()], [question] * len(images)) if images else []
            except vqttt.VQTTTError as error:  # such as a question that cannot be asked
                parser.exit(2, f"{error}\n")
            for name, one in zip(images, answers, strict=True):
                told = {"error": one.error} if one.error else {"answer": one.answer, "untuned": one.base_answer}
                print(json.dumps({"image": name, **told}), file=lines)


if __name__ == "__main__":
    main()
