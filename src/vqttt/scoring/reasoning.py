"""The answer of a model that reasons aloud is what follows its reasoning; every rule scores only that.

The rule (our own; the published evaluations knew no such answers):

1. All up to and including the last closing tag of reasoning is dropped. The opening tag may be missing, because many
   chat templates put it into the prompt.
2. If what is left starts with an opening tag, the model was cut off while it was reasoning: there is no answer.
3. If what is left is `<answer>...</answer>`, and nothing else, its content is the answer.
4. Spaces and line breaks around the answer are dropped, for some published rules would stumble over them.

Tags, in any case: think, thinking, thought, reason, reasoning, and Kimi's ◁think▷. A text without such a tag is not
changed otherwise, so other uses of "<" (signs, formulas, code in an image) are safe.
"""

import re

_NAMES = "(?:think|thinking|thought|reason|reasoning)"
_OPEN = re.compile(rf"\s*(?:<{_NAMES}>|◁think▷)", re.IGNORECASE)
_CLOSE = re.compile(rf"</{_NAMES}>|◁/think▷", re.IGNORECASE)
_WRAPPED = re.compile(r"\s*<answer>(.*)</answer>\s*", re.IGNORECASE | re.DOTALL)


def without_reasoning(text: str) -> str:
    """Return the answer that follows a model's reasoning (see the module); empty if there is only reasoning."""
    rest = text
    for closed in _CLOSE.finditer(text):
        rest = text[closed.end() :]
    if _OPEN.match(rest):
        return ""
    wrapped = _WRAPPED.fullmatch(rest)
    return (wrapped[1] if wrapped else rest).strip()
