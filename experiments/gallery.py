"""Contact sheets of everything that can happen to an image: `python -m experiments.gallery`.

Writes docs/gallery.md and the sheets in docs/gallery/, from photographs that scikit-image carries.
"""

from pathlib import Path

import cv2
import numpy as np

from vqttt.images.degradations import DEGRADATIONS, STYLES
from vqttt.images.files import save_image
from vqttt.images.gallery import contact_sheet

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIDE, TILE = 224, 150


def main() -> None:
    """Draw, write."""
    from skimage import data

    photos = {"coffee": data.coffee(), "astronaut": data.astronaut()}
    names = list(DEGRADATIONS)
    chains = [name for name in names if DEGRADATIONS[name].__module__.endswith(".chains")]
    sheets = {
        "ImageNet-C": ("imagenet-c", "astronaut", names[:19]),
        "Beyond ImageNet-C": ("beyond", "coffee", [name for name in names[19:] if name not in chains]),
        "Camera pipelines": ("pipelines", "coffee", chains),
        "Styles": ("styles", "coffee", list(STYLES)),
    }
    (DOCS / "gallery").mkdir(exist_ok=True)
    parts = [HEAD]
    for title, (slug, photo, kinds) in sheets.items():
        sheet = contact_sheet(small(photos[photo]), kinds, tile=TILE)
        save_image(sheet, DOCS / "gallery" / f"{slug}.webp")
        summaries = [f"- `{kind}`: {(STYLES if kind in STYLES else DEGRADATIONS).summary(kind)}" for kind in kinds]
        parts += [f"## {title}", "\n".join(summaries), f"![{title}](gallery/{slug}.webp)"]
    (DOCS / "gallery.md").write_text("\n\n".join(parts) + "\n")


def small(photo: np.ndarray) -> np.ndarray:
    """Shrink a photograph to a short side of `SIDE` pixels."""
    zoom = SIDE / min(photo.shape[:2])
    size = round(photo.shape[1] * zoom), round(photo.shape[0] * zoom)
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))


HEAD = """# Gallery

Everything that `vqttt degrade` knows, at severities 1 to 5, on photographs of scikit-image, with a short side of 224
pixels. `vqttt degrade photo.jpg --gallery --out gallery.png` shows the same on an image of yours;
`python -m experiments.gallery` makes this page."""


if __name__ == "__main__":
    main()
