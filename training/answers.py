"""The loss of answers: several turns packed behind one image, each of which attends only to the image and itself."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from training.blueprint import TOKENS

PREFIX = TOKENS + 2  # <s> <user> and the image

Turn = tuple[list[int], int]
"""A turn's tokens, question and answer, and how many of them belong to the answer."""


class Answers:
    """Turns and their loss under a model."""

    def __init__(self, model: LlavaForConditionalGeneration, processor: LlavaProcessor) -> None:
        """Take the model, and its tokenizer from the processor."""
        tokenizer = processor.tokenizer
        self.model = model
        self.encode = lru_cache(maxsize=None)(lambda text: tokenizer.encode(text, add_special_tokens=False))
        self.start = torch.tensor(self.encode("<s><user>"))
        self.asking, self.eos, self.pad = self.encode("<assistant>"), tokenizer.eos_token_id, tokenizer.pad_token_id

    def turn(self, question: str, answer: str) -> Turn:
        """Return a question with its answer as tokens."""
        answered = [*self.encode(answer), self.eos]
        return self.encode(question) + self.asking + answered, len(answered)

    def loss(self, features: Tensor, rows: Sequence[Sequence[Turn]]) -> Tensor:
        """Return the cross-entropy of the answers' tokens.

        Args:
            features: of the images, (N, tokens, width).
            rows: the turns asked about each image.
        """
        length = max(sum(len(tokens) for tokens, _ in row) for row in rows)
        tokens = torch.full((len(rows), length), self.pad)
        turn = torch.full((len(rows), length), -1)
        position = torch.zeros((len(rows), length), dtype=torch.long)
        target = torch.full((len(rows), length), -100)
        for r, row in enumerate(rows):
            at = 0
            for t, (ids, answered) in enumerate(row, start=1):
                end = at + len(ids)
                tokens[r, at:end] = torch.tensor(ids)
                turn[r, at:end] = t
                position[r, at:end] = torch.arange(PREFIX, PREFIX + len(ids))
                target[r, end - answered - 1 : end - 1] = torch.tensor(ids[-answered:])
                at = end
        embed = self.model.get_input_embeddings()
        start = embed(self.start).expand(len(rows), -1, -1)
        embeds = torch.cat([start, features, embed(tokens)], dim=1)
        turn = F.pad(turn, (PREFIX, 0))
        position = torch.cat([torch.arange(PREFIX).expand(len(rows), -1), position], dim=1)
        causal = torch.ones(turn.shape[1], turn.shape[1], dtype=torch.bool).tril()
        allowed = causal & ((turn[:, None, :] == 0) | (turn[:, None, :] == turn[:, :, None]))
        hidden = self.model.model.language_model(
            inputs_embeds=embeds, attention_mask=allowed[:, None], position_ids=position, use_cache=False
        ).last_hidden_state[:, PREFIX:]
        asked = target >= 0
        return F.cross_entropy(self.model.lm_head(hidden[asked]), target[asked])
