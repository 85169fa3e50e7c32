"""What is found out about a processor: which tensors hold pixels, how, and what each row of the others belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vqttt.errors import ModelError
from vqttt.models.discovered.layout import Layout, Levels, candidates
from vqttt.models.discovered.places import Places, starts
from vqttt.models.discovered.stencil import Shown, Sizes, coded, grey, read_places

Tensors = Mapping[str, Tensor]
Process = Callable[[Shown], Tensors]
"""Makes tensors of samples' images, by the stock processor, with the same question to each."""

MOST = 0.8
"""Share of an image's values that are the same for an image of one colour; at its edges they may blend with padding."""

SAMPLE, IMAGE, PART, TOKEN = "sample", "image", "image or tile", "image token"
"""What a tensor has a row for; or the name of a tensor of pixels with the same rows."""


@dataclass(frozen=True)
class Pixels:
    """Where a processor puts images.

    Attributes:
        layouts: of the tensors with pixels, by name.
        levels: black and white in these tensors.
        rows: what the tensors have a row for, by name: `SAMPLE`, `IMAGE`, `PART`, `TOKEN` or the name of a
            tensor of pixels.
        numbers: tensors whose values are numbers of patches, counted over the whole batch; and of which pixels.
        grids: of tensors of joined patches, the name of the one with the rows and columns of each image or tile.
    """

    layouts: Mapping[str, Layout]
    levels: Mapping[str, Levels]
    rows: Mapping[str, str]
    grids: Mapping[str, str]
    numbers: Mapping[str, str]

    @classmethod
    def of(cls, layouts: Mapping[str, Any], levels: Mapping[str, Any], rows: Any, grids: Any, numbers: Any) -> "Pixels":
        """Return what was found, from plain values."""
        return cls(
            {key: Layout(**one) for key, one in layouts.items()},
            {key: Levels(tuple(one["black"]), tuple(one["white"])) for key, one in levels.items()},
            rows,
            grids,
            numbers,
        )

    def places(self, process: Process, sizes: Sizes) -> dict[str, Places]:
        """Return where images of some sizes lie, in each tensor of pixels.

        Raises:
            InputError: if there are too many images, or they are too large, to tell them apart.
        """
        shown, black = process(coded(sizes)), process(grey(sizes, 0))
        return {
            key: read_places(
                layout,
                self.levels[key],
                shown[key].float(),
                black[key].float(),
                sizes,
                _lengths(shown, self.grids.get(key)),
            )
            for key, layout in self.layouts.items()
            if key in shown  # some tensors exist only where an image is cut into tiles
        }

    def rescaling(self, key: str, like: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return scale and shift, (3, 1, 1), that bring a tensor's values to the levels of the first tensor.

        None if it has these levels.
        """
        first, own = next(iter(self.levels.values())), self.levels[key]
        if own == first:
            return None
        ends = (first.black, first.white, own.black, own.white)
        to_black, to_white, black, white = (torch.tensor(one, dtype=torch.float64)[:, None, None] for one in ends)
        scale = (to_white - to_black) / (white - black)
        return scale.to(like), (to_black - black * scale).to(like)


def find_pixels(process: Process, sizes: Sizes, patch: int, token: int) -> Pixels:
    """Find where a processor puts images.

    Args:
        process: the processor.
        sizes: of images to try it with. Samples, images and their parts should differ in number.
        patch: side of the vision encoder's patches, in pixels; 0 if it is not known.
        token: the number of the token that stands for a part of an image; -1 if there is none.

    Raises:
        ModelError: if no tensor of pixels is found, or its layout is not known.
    """
    black, white, shown = (process(images) for images in (grey(sizes, 0), grey(sizes, 255), coded(sizes)))
    layouts, levels = {}, {}
    for key, values in shown.items():
        if values.is_floating_point() and values.ndim > 1 and not torch.equal(black[key], white[key]):
            layouts[key], levels[key] = _layout(key, black[key].float(), white[key].float(), values.float(), patch)
    if not layouts:
        raise ModelError("no tensor of the processor has the image's pixels")
    grids = {key: grid for key, layout in layouts.items() if (grid := _grid(shown, len(layout.rows(shown[key]))))}
    places = Pixels(layouts, levels, {}, grids, {}).places(process, sizes)
    tokens = shown["input_ids"].eq(token).sum(1) if "input_ids" in shown else torch.zeros(len(sizes), dtype=torch.long)
    rows = _rows(shown, sizes, places, int(tokens.sum()))
    numbers = {
        key: pixels
        for key, kind in rows.items()
        for pixels, place in places.items()
        if kind == TOKEN and _numbers_patches(shown[key], tokens, place)
    }
    return Pixels(layouts, levels, rows, grids, numbers)


def _numbers_patches(values: Tensor, tokens: Tensor, place: Places) -> bool:
    """Tell whether values are numbers of patches: each sample's begin after all patches of those before it."""
    least = [int(part[part >= 0].min()) if (part >= 0).any() else -1 for part in torch.split(values, tokens.tolist())]
    return least == starts(place, len(tokens)).tolist()


def _grid(tensors: Tensors, patches: int) -> str:
    """Return the name of the tensor with the rows and columns of each image, which make up so many patches."""
    for key, values in tensors.items():
        counts = values.ndim == 2 and values.shape[1] in (2, 3) and not values.is_floating_point()
        if counts and int(values.prod(1).sum()) == patches:
            return key
    return ""


def _lengths(tensors: Tensors, grid: str | None) -> Tensor | None:
    """Return the number of patches of each image or tile, if there is a tensor that says it."""
    return tensors[grid].prod(1) if grid else None


def _layout(key: str, black: Tensor, white: Tensor, shown: Tensor, patch: int) -> tuple[Layout, Levels]:
    """Return how the values of a tensor are laid out.

    Raises:
        ModelError: if no known layout fits.
    """
    tried = candidates(shown, patch)
    for layout in tried:
        parts = [layout.parts(tensor) for tensor in (black, white, shown)]
        rise = (parts[1] - parts[0]).mean(-3)
        content = rise > rise.max() / 2
        levels = _levels(parts[0], parts[1], content)
        if levels is not None and _fits(levels.of(parts[2]), content) and layout.equal_frames(shown):
            return layout, levels
    raise ModelError(
        f"{key}, of shape {tuple(shown.shape)}, is not laid out in a way that is known: images or tiles "
        "(..., 3, H, W), or packed patches"
    )


def _levels(black: Tensor, white: Tensor, content: Tensor) -> Levels | None:
    """Return black and white by channel; None if most of the content has not the same."""
    found = []
    for values in (black, white):
        channels = values.movedim(-3, 0)[:, content]
        middle = channels.median(1, keepdim=True).values
        if ((channels - middle).abs() < 1e-3).float().mean() < MOST:
            return None
        found.append(tuple(middle[:, 0].tolist()))
    return Levels(*found)


def _fits(levels: Tensor, content: Tensor) -> bool:
    """Tell whether planes or cells show parts of coded images (see `vqttt.models.discovered.stencil`)."""
    whole = content.flatten(-2).all(-1)
    parts = (levels if whole.any() else levels.where(content.unsqueeze(-3), 0))[whole if whole.any() else ...]
    red, green, blue = parts.unbind(-3)
    steady = 1.0  # a level: resized images are rounded
    checks = (
        (red.diff(dim=-2).abs() <= steady).all(),
        (green.diff(dim=-1).abs() <= steady).all(),
        (blue.flatten(-2) - blue.flatten(-2)[..., :1]).abs().max() <= steady,
        (red.diff(dim=-1) >= -steady).all(),
        (green.diff(dim=-2) >= -steady).all(),
        (red.flatten(-2).max(-1).values - red.flatten(-2).min(-1).values).max() > steady,
    )
    return all(map(bool, checks)) if whole.any() else bool(parts.numel())


def _rows(tensors: Tensors, sizes: Sizes, places: Mapping[str, Places], tokens: int) -> dict[str, str]:
    """Return what each tensor has a row for."""
    counts = {SAMPLE: len(sizes), IMAGE: sum(map(len, sizes))}
    counts |= {key: len(place.owner) for key, place in places.items()}
    counts[PART] = sum(len(place.areas()[0]) for place in places.values())
    counts[TOKEN] = tokens
    rows = {}
    for key, values in tensors.items():
        kinds = [kind for kind, count in counts.items() if values.ndim and len(values) == count]
        own = [key] if key in places and SAMPLE not in kinds else []
        rows[key] = next(iter([*own, *kinds]), SAMPLE)
    return rows
