"""Measure the embedded MLLM on undegraded test splits: `python -m training.accuracy` prints docs/embedded.md's table.

Answers come from plain transformers generation, without vqttt's model classes. Chance is a random guess among the
answers to that question type; majority is the best constant answer for each question type.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from vqttt.tasks import digits, easy_vqa, fashion_mnist, vq_mini
from vqttt.types import Sample

FOLDER = Path(__file__).resolve().parent.parent / "src" / "vqttt" / "embedded"
TASKS = {
    "easy-vqa": easy_vqa.samples,
    "digits": digits.samples,
    "fashion-mnist": fashion_mnist.samples,
    "vq-mini": lambda split: vq_mini.samples(split, 4000),
}


@torch.inference_mode()
def generate(folder: Path, samples: Sequence[Sample], batch: int = 64) -> list[str]:
    """Answer every sample greedily with the checkpoint in `folder`."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    answers = []
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        chats = [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": sample.question}]}]
            for sample in part
        ]
        prompts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
        inputs = processor(images=[s.load() for s in part], text=prompts, return_tensors="pt", padding=True)
        tokens = model.generate(**inputs)[:, inputs["input_ids"].shape[1] :]
        answers += processor.batch_decode(tokens, skip_special_tokens=True)
    return answers


def table(folder: Path, tasks: Sequence[str], limit: int | None = None, split: str = "test") -> str:
    """Return a Markdown table with task, category, number of questions, accuracy, chance and majority."""
    lines = ["| task | category | questions | accuracy | chance | majority |", "|---|---|---|---|---|---|"]
    for task in tasks:
        samples = TASKS[task](split)[:limit]
        right = [a.strip() == s.answers[0] for a, s in zip(generate(folder, samples), samples, strict=True)]
        categories = sorted({s.category for s in samples}, key=[s.category for s in samples].index)
        for category in ["all", *(categories if task in ("easy-vqa", "vq-mini") else [])]:
            picked = [i for i, s in enumerate(samples) if category in ("all", s.category)]
            chance, majority = blind_rates([samples[i] for i in picked])
            accuracy = sum(right[i] for i in picked) / len(picked)
            lines.append(f"| {task} | {category} | {len(picked):,} | {accuracy:.3f} | {chance:.3f} | {majority:.3f} |")
    return "\n".join(lines)


def blind_rates(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the accuracy of random and of constant answers, chosen per question type without the image."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        answers[sample.question_type][sample.answers[0]] += 1
    chance = sum(counter.total() / len(counter) for counter in answers.values())
    majority = sum(max(counter.values()) for counter in answers.values())
    return chance / len(samples), majority / len(samples)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--task", choices=TASKS, action="append")
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    print(table(arguments.folder, arguments.task or list(TASKS), arguments.limit))


if __name__ == "__main__":
    main()
