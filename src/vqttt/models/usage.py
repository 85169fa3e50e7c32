"""What was sent to a server, and what it counted."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Requests that got an answer, and the tokens of their prompts and answers as the server counts them."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            answer_tokens=self.answer_tokens + other.answer_tokens,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(
            requests=self.requests - other.requests,
            prompt_tokens=self.prompt_tokens - other.prompt_tokens,
            answer_tokens=self.answer_tokens - other.answer_tokens,
        )

    def __str__(self) -> str:
        return (
            f"{self.requests:,} requests, {self.prompt_tokens:,} tokens in prompts, {self.answer_tokens:,} in answers"
        )
