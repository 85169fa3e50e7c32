"""Prompts by a checkpoint's chat template, with the tokens that transformers' own chat path gives.

Three things differ between checkpoints. Some templates write the begin token (BOS) and some leave it to the tokenizer;
where both would write it, transformers has the tokenizer add nothing (`ProcessorMixin.apply_chat_template` with
`tokenize=True`), and so does this module. Some templates take a message as a list of parts, others as a string, and a
few want a message of the system first. And some have a switch for reasoning aloud, which is off here by default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from jinja2 import Environment, TemplateError, meta
from PIL import Image as PILImage

from vqttt.errors import InputError, ModelError, in_a_line

_PROBE = "probe"
_WRITTEN_OUT = ("'type':", '"type":')
"""What a template that wants a string makes of a list of parts, if it does not fail: the list as Python or JSON."""

_SWITCHES = ("enable_thinking", "thinking")
"""Names by which templates ask whether the model is to reason before it answers."""


@dataclass(frozen=True, kw_only=True)
class Chat:
    """How a checkpoint's chat template is asked about images.

    Attributes:
        parts: whether it takes a message as a list of parts, not as a string. In a string, the markers of images stand
            on a line before the question, as in LLaVA's own prompts.
        system: whether a message of the system must come first; it is empty.
        switches: what else the template is given.
    """

    parts: bool = True
    system: bool = False
    switches: Mapping[str, bool]

    def messages(self, question: str, images: Sequence[PILImage.Image] | int, marker: str = "") -> list[dict[str, Any]]:
        """Return the messages that ask a question about images, which come first.

        Args:
            question: the question.
            images: the images, or how many there are if only the text is wanted.
            marker: what stands for an image in a string.
        """
        shown = [{} for _ in range(images)] if isinstance(images, int) else [{"image": image} for image in images]
        content: Any = [*({"type": "image", **one} for one in shown), {"type": "text", "text": question}]
        if not self.parts:
            content = f"{marker * len(shown)}\n{question}" if shown else question
        user = {"role": "user", "content": content}
        first = {"role": "system", "content": [{"type": "text", "text": ""}] if self.parts else ""}
        return [first, user] if self.system else [user]

    def prompt(self, processor: Any, question: str, images: int, marker: str) -> str:
        """Return the text of a prompt with markers of images."""
        chat = self.messages(question, images, marker)
        return str(processor.apply_chat_template(chat, add_generation_prompt=True, **self.switches))

    def batch(
        self, processor: Any, shown: Sequence[Sequence[PILImage.Image]], questions: Sequence[str], **options: Any
    ) -> dict[str, Any]:
        """Return a batch as transformers' own chat path makes it; `options` are for the processor."""
        return dict(
            processor.apply_chat_template(
                [self.messages(question, own) for question, own in zip(questions, shown, strict=True)],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True, **options},
                **self.switches,
            )
        )


def special_tokens(tokenizer: Any, prompts: Sequence[str]) -> dict[str, bool]:
    """Return the processor's argument that keeps the tokenizer from adding BOS to prompts that have it; else nothing.

    As in transformers, the first prompt decides for all, which the same template wrote.
    """
    bos = tokenizer.bos_token
    return {"add_special_tokens": False} if bos and prompts and prompts[0].startswith(bos) else {}


def _variables(template: str) -> set[str]:
    """Return the names that a template takes from its caller; none if it cannot be read, which its use will show."""
    try:
        return meta.find_undeclared_variables(Environment().parse(template))
    except TemplateError:
        return set()


def find_chat(processor: Any, marker: str, thinking: bool) -> Chat:
    """Return how a processor's chat template is asked.

    Args:
        processor: has the template.
        marker: what stands for an image in a prompt.
        thinking: whether the model is to reason before it answers.

    Raises:
        InputError: if it is to, and the template has no switch for that.
        ModelError: if there is no template, or it loses the image or the question of every form.
    """
    template = processor.chat_template if hasattr(processor, "chat_template") else ""
    if template is None:
        raise ModelError(
            "the checkpoint has no chat template; it belongs in chat_template.jinja or, as `chat_template`, in "
            "tokenizer_config.json"
        )
    switches = {name: thinking for name in _SWITCHES if name in _variables(str(template))}
    if thinking and not switches:
        raise InputError("the chat template has no switch for thinking; leave the option out")
    reasons = []
    for system, parts in product((False, True), (True, False)):
        chat = Chat(parts=parts, system=system, switches=switches)
        try:
            shown, bare = (chat.prompt(processor, _PROBE, count, marker) for count in (1, 0))
        except Exception as error:  # a template may raise anything over another form
            reasons.append(in_a_line(error))
            continue
        whole = _PROBE in shown.lower() and not any(text in shown for text in _WRITTEN_OUT)
        if whole and shown != bare:
            return chat
        reasons.append(f"it gives {shown[:80]!r}")
    raise ModelError(
        "the chat template cannot ask about an image, neither by a list of parts nor by a string: "
        + "; ".join(dict.fromkeys(reasons))
    )
