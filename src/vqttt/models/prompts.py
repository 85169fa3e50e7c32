"""Prompts by a checkpoint's chat template, with the tokens that transformers' own chat path gives.

Two things differ between checkpoints. Some templates write the begin token (BOS) and some leave it to the tokenizer;
where both would write it, transformers has the tokenizer add nothing (`ProcessorMixin.apply_chat_template` with
`tokenize=True`), and so does this module. And some templates take a message as a list of parts, others as a string.
"""

from collections.abc import Sequence
from typing import Any

from vqttt.errors import ModelError, in_a_line

_PROBE = "probe"
_WRITTEN_OUT = ("'type':", '"type":')
"""What a template that wants a string makes of a list of parts, if it does not fail: the list as Python or JSON."""


def special_tokens(tokenizer: Any, prompts: Sequence[str]) -> dict[str, bool]:
    """Return the processor's argument that keeps the tokenizer from adding BOS to prompts that have it; else nothing.

    As in transformers, the first prompt decides for all, which the same template wrote.
    """
    bos = tokenizer.bos_token
    return {"add_special_tokens": False} if bos and prompts and prompts[0].startswith(bos) else {}


def takes_parts(processor: Any, marker: str) -> bool:
    """Return whether the chat template takes a message as a list of parts; False if it takes a string.

    Args:
        processor: has the template.
        marker: see `chat_prompt`.

    Raises:
        ModelError: if there is no template, or it loses the image or the question of either form.
    """
    template = processor.chat_template if hasattr(processor, "chat_template") else ""
    if template is None:
        raise ModelError(
            "the checkpoint has no chat template; it belongs in chat_template.jinja or, as `chat_template`, in "
            "tokenizer_config.json"
        )
    reasons = []
    for parts in (True, False):
        try:
            shown, bare = (chat_prompt(processor, _PROBE, count, parts, marker) for count in (1, 0))
        except Exception as error:  # a template may raise anything over the other form
            reasons.append(in_a_line(error))
            continue
        whole = _PROBE in shown.lower() and not any(text in shown for text in _WRITTEN_OUT)
        if whole and shown != bare:
            return parts
        reasons.append(f"it gives {shown[:80]!r}")
    raise ModelError(
        "the chat template cannot ask about an image, neither by a list of parts nor by a string: "
        + "; ".join(dict.fromkeys(reasons))
    )


def chat_prompt(processor: Any, question: str, images: int, parts: bool, marker: str) -> str:
    """Return a question about some images in the chat template.

    Args:
        processor: has the template.
        question: the question.
        images: number of images, which come before the question.
        parts: whether the template takes a list of parts. In a string, the markers stand on a line before the
            question, as in LLaVA's own prompts.
        marker: what stands for an image in a prompt.
    """
    content: Any = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": question}]
    if not parts:
        content = f"{marker * images}\n{question}" if images else question
    chat = [{"role": "user", "content": content}]
    return str(processor.apply_chat_template(chat, add_generation_prompt=True))
