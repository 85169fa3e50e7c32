"""A camera at dusk: the method learns from frame to frame, and what it learned outlives the program.

Run it twice: the second time it goes on from what the first one saved. A circle in failing light stands for the camera.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import vqttt

LEARNED = Path("camera.safetensors")
COLORS = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "pink")


def frames(count: int) -> Iterator[tuple[str, vqttt.Image]]:
    """Yield frames as a camera would, uint8 (H, W, 3), here with the colour that is in them."""
    for n in range(count):
        color, left = COLORS[n % len(COLORS)], 20 + 13 * (n % 8)
        frame = Image.new("RGB", (224, 224), "white")
        ImageDraw.Draw(frame).ellipse((left, 60, left + 70, 130), fill=color)
        yield color, vqttt.degrade(np.array(frame), "low_light", severity=2 + n % 3, seed=n)


def main() -> None:
    """Answer a question about every frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    start = LEARNED if LEARNED.exists() else None
    print(f"goes on from {start}" if start else "starts from nothing")
    right = untuned = 0
    try:
        learner = vqttt.Answerer("embedded", method="vq-select", start=start)
    except vqttt.VQTTTError as error:  # such as a damaged file
        parser.exit(2, f"{error}; or remove {LEARNED}, to start from nothing\n")
    with learner as answerer:
        try:
            for color, frame in frames(32):
                answer = answerer.answer(frame, "what color is the circle?")
                right, untuned = right + (answer.answer == color), untuned + (answer.base_answer == color)
                if answer.answer != answer.base_answer:
                    print(f"{answer.base_answer} -> {answer.answer}: {answer.how}, {1000 * answer.seconds:.0f} ms")
        finally:  # also if somebody stops the program
            answerer.save(LEARNED)
    print(f"32 frames: {untuned} right untuned, {right} right with vq-select")


if __name__ == "__main__":
    main()
