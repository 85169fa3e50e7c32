"""A model of your own: any function from an image and a question to a text and the log-probabilities of its tokens.

`vq-select` needs no more than that. The function below stands for yours: it names the colour that stands out most, and
the less it stands out, the less sure it is. Haze takes colours away.
"""

import argparse
from collections.abc import Sequence

import numpy as np

import vqttt

COLORS = ("red", "green", "blue")


def my_model(image: vqttt.Image, question: str) -> tuple[str, Sequence[float]]:
    """Answer in one token; an answer of several tokens has one log-probability for each."""
    above_gray = image - image.mean(2, keepdims=True)
    logits = above_gray.clip(0).mean((0, 1)) / 2
    logprobs = logits - np.logaddexp.reduce(logits)
    return COLORS[int(logprobs.argmax())], [float(logprobs.max())]


def hazy(n: int) -> vqttt.Image:
    """Return an image of a coloured patch in haze."""
    image = np.full((96, 96, 3), 40, np.uint8)
    image[20:70, 20:70, n % 3] = 120
    return vqttt.degrade(image, "haze", severity=5, seed=n)


def main() -> None:
    """Ask about 30 images, and compare the answers with and without vq-select."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    answerer = vqttt.Answerer(my_model, method="vq-select", settings={"tries": 2})
    answers = [answerer.answer(hazy(n), "what color is the patch?") for n in range(30)]
    wanted = [COLORS[n % 3] for n in range(30)]
    untuned = sum(one.base_answer == color for one, color in zip(answers, wanted, strict=True))
    right = sum(one.answer == color for one, color in zip(answers, wanted, strict=True))
    print(f"30 images: {untuned} right untuned, {right} right with vq-select")
    answerer.save("my_model.safetensors")


if __name__ == "__main__":
    main()
