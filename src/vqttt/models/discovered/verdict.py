"""Whether a model may be trusted with answers and with tuning: found once for a checkpoint, and remembered."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vqttt.errors import ModelError, in_a_line
from vqttt.models.base import Model
from vqttt.models.discovered.answering import AnsweringModel
from vqttt.models.discovered.family import Discovered
from vqttt.models.discovered.pixels import Pixels
from vqttt.models.discovered.verify import ANSWERS, TUNING, Check, verified
from vqttt.models.discovered.vision import Seen
from vqttt.models.discovered.ways import Ways

PARTS = ("torch", "transformers", "vqttt")
"""Packages whose version may change a verdict."""


@dataclass(frozen=True)
class Verdict:
    """What was found about a checkpoint.

    Attributes:
        ways: how it is asked.
        checks: the outcome of each check.
        pixels: where its processor puts images; None if that was not found.
        seen: its vision encoder, likewise.
    """

    ways: Ways
    checks: Sequence[Check]
    pixels: Pixels | None
    seen: Seen | None

    def failed(self, needed: str) -> list[Check]:
        """Return the checks that failed among those needed for answers, or for tuning."""
        return [check for check in self.checks if check.failed and check.needed == needed]


class UnfitError(ModelError):
    """A model that does not answer as it should.

    Attributes:
        checks: the outcome of each check.
    """

    def __init__(self, name: str, checks: Sequence[Check]) -> None:
        """Say what is wrong."""
        self.checks = checks
        wrong = [f"{check.name}: {check.failed}" for check in checks if check.failed and check.needed == ANSWERS]
        super().__init__(f"{name} cannot be used: {'; '.join(wrong)}")


def judged(name: str, network: Any, processor: Any, *, thinking: bool = False) -> Model:
    """Return a model of a type without a file of its own, as far as it can be trusted.

    Args:
        name: identifies the model in records.
        network: as it was loaded.
        processor: its own.
        thinking: whether it is to reason before it answers.

    Returns:
        a `TunableModel`, or a plain `Model` if it answers but cannot be tuned.

    Raises:
        UnfitError: if it does not answer as it should; the message says what failed.
    """
    file = _file(network, processor)
    known = _read(file)
    model = Discovered(name, network, processor, known.ways if known else None, thinking=thinking)
    verdict = known or _examined(model)
    if known is None and all(check.sure for check in verdict.checks):
        _write(file, verdict)
    elif known is not None and known.pixels and known.seen:
        model.look(known.pixels, known.seen)
    if verdict.failed(ANSWERS):
        raise UnfitError(name, verdict.checks)
    wrong = verdict.failed(TUNING)
    return AnsweringModel(model, wrong[-1].failed) if wrong else model


def _examined(model: Discovered) -> Verdict:
    """Find a model's layout, and verify it."""
    reason = ""
    try:
        model.look()
    except Exception as error:  # a network may raise anything over images that it was not made for
        reason = in_a_line(error)
    checks = verified(model, reason)
    return Verdict(model.ways, checks, *((None, None) if reason else (model.found, model.vision.seen)))


def _file(network: Any, processor: Any) -> Path:
    """Return where the verdict on a checkpoint is kept: by its configuration, shapes of weights and processor."""
    shapes = {name: [*tensor.shape, str(tensor.dtype)] for name, tensor in network.state_dict().items()}
    versions = {part: version(part) for part in PARTS}
    tokenizer = processor.tokenizer
    about = [
        network.config.to_dict(),
        network.generation_config.to_dict(),
        [network.config._attn_implementation, network.device.type],
        shapes,
        processor.to_dict(),
        [str(getattr(processor, "chat_template", "")), tokenizer.init_kwargs, tokenizer.special_tokens_map],
        versions,
    ]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    here = Path(__file__).parent
    for own in sorted([*here.glob("*.py"), *here.parent.glob("*.py")]):  # a verdict is as good as the code that gave it
        digest.update(own.read_bytes())
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "vqttt" / "models" / f"{digest.hexdigest()[:32]}.json"


def _read(file: Path) -> Verdict | None:
    """Return a verdict that was kept; None if there is none, or it cannot be read."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        pixels, seen = kept["pixels"], kept["seen"]
        if not kept["checks"]:
            return None
        return Verdict(
            Ways(**kept["ways"]),
            [Check(**check) for check in kept["checks"]],
            Pixels.of(**pixels) if pixels else None,
            Seen(**seen) if seen else None,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _write(file: Path, verdict: Verdict) -> None:
    """Keep a verdict, if there is a place for it."""
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(asdict(verdict), indent=1), encoding="utf-8")
        part.replace(file)
    except OSError:
        return
