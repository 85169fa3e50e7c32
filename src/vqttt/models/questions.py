"""A question is text: it places no image and writes no control token, whatever it contains.

Questions of benchmarks often mark where an image belongs, in the form of the model that they were written for. A
processor takes some of these markers for images of its own, and refuses the sample or asks about an image that is not
there. Images come first here, so markers are removed, in this one place, for every model and method.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vqttt.errors import InputError
from vqttt.models.conversation import Conversation

_MARKERS = (
    r"<\|?/?image(?:[ _-]?\d{1,2})?\|?>",  # <image>, <|image|>, <image 1>, <|image_1|>
    r"<\|?image[ _-]?(?:placeholder|pad|token|soft_token|start|end|here)\|?>",
    r"<\|?(?:start|end|begin)_of_image\|?>",
    r"<im_(?:start|end|patch)>",
    r"<\|vision_(?:start|end|pad)\|>",
    r"<fake_token_around_image>",
    r"<global-img>",
    r"<row_\d+_col_\d+>",
    r"<IMG_CONTEXT>",
    r"(?-i:\[IMG(?:_BREAK|_END)?\])",
)
_OF_IMAGES = re.compile(r"image|img|video|vision|boi_|eoi_", re.IGNORECASE)
"""In a token or its name, says that it stands for an image or a video, or for its beginning or end."""

_HALF = re.compile("[\ud800-\udfff]")
"""A lone surrogate. Python makes one of each byte that is not UTF-8 on a command line."""

_LABEL = re.compile(r"\(?\w{1,2}[.:)]")
"""The letter or number of an option."""


def without_markers(question: str, own: Sequence[str] = ()) -> str:
    """Return a question without markers of images, and without the space that they leave.

    A numbered marker within a sentence is a word of it, as in MMMU's "the graph in <image 1> shows", and becomes
    "image 1". Where it stands at the beginning of a line, or after the end of a sentence, it is removed as all others
    are. A question without markers keeps every character.

    Args:
        question: the text.
        own: markers of the model that is asked.

    Raises:
        InputError: if it has half a character, which no tokenizer and no server takes.
    """
    if half := _HALF.search(question):
        raise InputError(
            f"the question is not valid text: it has {half[0]!a} at position {half.start()}, a byte that is not "
            "UTF-8 or half a character; give it in UTF-8"
        )
    marker = "|".join([*map(re.escape, sorted(own, key=len, reverse=True)), *_MARKERS])
    run = re.compile(rf"(?<!\s)(?P<left>\s*)(?P<run>(?:{marker})(?:\s*(?:{marker}))*)(?P<right>\s*)", re.IGNORECASE)
    before = None
    while before != question:  # what is left may be a marker again: "<im<image>age>"
        before, question = question, run.sub(_replaced, question)
    return question


def plain(question: str) -> str:
    """Return a question without markers of images; a `Conversation` for a served model stays what it is."""
    return question if isinstance(question, Conversation) else without_markers(question)


def _replaced(found: re.Match[str]) -> str:
    """Return what takes the place of a run of markers and the space around it."""
    text, start, end = found.string, found.start(), found.end()
    left, run, right = found.group("left", "run", "right")
    line = "" if "\n" in left else text[:start].rpartition("\n")[2].strip()
    inside = line and (line[-1] not in ".?!:" or _LABEL.fullmatch(line))
    numbers = re.findall(r"image[ _-]?(\d{1,2})\|?>", run, re.IGNORECASE)
    if inside and numbers:
        left = left or " " * line[-1].isalnum()
        right = right or " " * text[end : end + 1].isalnum()
        return left + " ".join(f"image {number}" for number in numbers) + right
    if not start or end == len(text):
        return ""
    return max(left, right, key=lambda space: (space.count("\n"), len(space)))


@dataclass(frozen=True)
class PlainText:
    """Makes questions plain text for one model.

    Attributes:
        tokenizer: the model's.
        markers: the model's own tokens that stand for images, or surround them.
        control: its other special tokens, such as the one that ends a turn.
    """

    tokenizer: Any
    markers: tuple[str, ...]
    control: tuple[str, ...]

    @classmethod
    def of(cls, processor: Any, config: Any) -> "PlainText":
        """Collect a model's tokens from its processor and its configuration."""
        tokenizer = processor.tokenizer
        special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        special += tokenizer.all_special_tokens
        named = [*vars(type(processor)).items(), *vars(processor).items(), *tokenizer.special_tokens_map.items()]
        for name, number in vars(config).items():
            if name.endswith(("_token_id", "_token_index")) and isinstance(number, int):
                named.append((name.replace("_id", "").replace("_index", ""), tokenizer.convert_ids_to_tokens(number)))
        markers = [str(token) for name, token in named if name.endswith("_token") and _OF_IMAGES.search(name)]
        markers += [token for token in special if _OF_IMAGES.search(token)]
        return cls(tokenizer, _written(markers), _written(set(special) - set(markers)))

    def __call__(self, question: str) -> str:
        """Return a question as plain text.

        Markers of images are removed (see `without_markers`). A space after its first character makes any other
        special token the text that it looks like: a question about HTML may ask what "<s>" means.

        Raises:
            InputError: if nothing is left of the question, if it has half a character, or if the tokenizer still finds
                a special token in it.
        """
        text = without_markers(question, self.markers)
        for token in self.control:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        if question.strip() and not text.strip():
            raise InputError("the question has no text, only markers of images")
        found = {*self.tokenizer(text, add_special_tokens=False).input_ids} & self._forbidden
        if found:
            tokens = ", ".join(map(str, self.tokenizer.convert_ids_to_tokens(sorted(found))))
            raise InputError(f"the question has control tokens of this model, which cannot be read as text: {tokens}")
        return text

    @cached_property
    def _forbidden(self) -> set[int]:
        """The numbers of all these tokens, except that of unknown words."""
        numbers = self.tokenizer.convert_tokens_to_ids([*self.markers, *self.control])
        return set(numbers) - {None, self.tokenizer.unk_token_id}


def _written(tokens: Iterable[str]) -> tuple[str, ...]:
    """Return those tokens that are no word or single character, which a text may well contain; the longest first."""
    marked = {token for token in tokens if len(token.strip()) > 1 and not token.isalnum()}
    return tuple(sorted(marked, key=lambda token: (-len(token), token)))
