"""Methods by name: VQ-TTT and what it is compared with, as peers on the same seam.

Rates, steps and thresholds of ours were chosen on development data by `python -m experiments.choose_settings`; TENT,
SAR and MEMO have the published ones.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vqttt.errors import InputError
from vqttt.methods.base import Method
from vqttt.methods.episodic import Episodic, EpisodicConfig
from vqttt.methods.memo import Memo, MemoConfig
from vqttt.methods.none import NoTuning
from vqttt.methods.option_likelihood import OptionLikelihood
from vqttt.methods.sar import Sar, SarConfig
from vqttt.methods.saved import Saved, SavedConfig
from vqttt.methods.spec import MethodSpec
from vqttt.methods.tent import Tent, TentConfig
from vqttt.methods.vote import Vote, VoteConfig
from vqttt.methods.vq_select import VQSelect, VQSelectConfig
from vqttt.methods.vq_ttt import VQTTT, VQTTTConfig
from vqttt.registry import Registry
from vqttt.tuning.adapters import AdapterConfig

__all__ = [
    "METHODS",
    "VQTTT",
    "Episodic",
    "EpisodicConfig",
    "Memo",
    "MemoConfig",
    "Method",
    "MethodSpec",
    "NoTuning",
    "OptionLikelihood",
    "Sar",
    "SarConfig",
    "Saved",
    "SavedConfig",
    "Tent",
    "TentConfig",
    "VQSelect",
    "VQSelectConfig",
    "VQTTTConfig",
    "Vote",
    "VoteConfig",
    "find_method",
]

RENAMED = {
    "vq-ttt-static": "vq-ttt",
    "vq-ttt-bank": "vq-select",
    "vq-select-restore": "vq-select",
    "vq-ttt-vote": "tta",
    "vq-vote": "tta",
    "vq-select-features": "vq-ttt-features",
}


def _spec(entry: Any) -> MethodSpec:
    """Take what another package offers as a method: a spec, or a class that can be built without settings."""
    if isinstance(entry, MethodSpec):
        return entry
    if isinstance(entry, type) and issubclass(entry, Method):
        return MethodSpec(entry, entry.default_config)
    raise TypeError(f"it is a {type(entry).__name__}, and must be a Method class or a MethodSpec")


METHODS: Registry[MethodSpec] = Registry(
    "method", group="vqttt.methods", renamed=RENAMED, take=_spec, documented=lambda spec: spec.kind
)

for _name, _kind, _config, _summary in (
    ("none", NoTuning, None, "the model as it is"),
    (
        "likeliest",
        OptionLikelihood,
        None,
        "no tuning; among a question's options, the letter with the highest likelihood",
    ),
    (
        "vq-ttt",
        VQTTT,
        VQTTTConfig(),
        "the published recipe: kernel and shallow LoRA, tuned along the stream by entropy",
    ),
    ("vq-ttt-episodic", Episodic, EpisodicConfig(), "the published recipe for each image alone, reset after it"),
    (
        "vq-ttt-features",
        VQTTT,
        VQTTTConfig(objective="entropy+0.1*feature-statistics"),
        "vq-ttt with vision features like those of clean images; not source-free",
    ),
    (
        "vq-select",
        VQSelect,
        VQSelectConfig(),
        "forward passes only: the two corrections that promise most for an image are tried, the surest answer is kept",
    ),
    ("kernel-only", VQTTT, VQTTTConfig(adapters=AdapterConfig(lora_rank=0)), "vq-ttt without its LoRA"),
    ("lora-only", VQTTT, VQTTTConfig(adapters=AdapterConfig(kernel="none")), "vq-ttt without its kernel"),
    (
        "lora-deep",
        VQTTT,
        VQTTTConfig(adapters=AdapterConfig(kernel="none", lora_blocks=-2, lora_rank=16)),
        "LoRA of rank 16 in the last two vision blocks, as in LoRA-TTT",
    ),
    ("tent", Tent, TentConfig(), "the vision encoder's norms, tuned along the stream by entropy (Wang et al. 2021)"),
    ("sar", Sar, SarConfig(), "tent on reliable samples, with sharpness-aware steps and a reset (Niu et al. 2023)"),
    (
        "memo",
        Memo,
        MemoConfig(),
        "all weights, for each image alone, by the entropy of the mean answer to AugMix views (Zhang et al. 2022)",
    ),
    ("tta", Vote, VoteConfig(), "all corrections vote, each with its confidence; nothing is tuned"),
):
    METHODS.add(_name, MethodSpec(_kind, _config, _name), _summary)


def find_method(name: str, own: Mapping[str, Mapping[str, Any]] | None = None) -> MethodSpec:
    """Return a registered method, or one defined in `own` by its settings.

    Args:
        name: of the method.
        own: settings by name. `base` names the registered method that they change; without it, it is that of the same
            name.

    Raises:
        UnknownNameError: if no method is called so.
        InputError: if a setting is not known, or its value cannot be used; or if the name is an old one.
    """
    settings = dict((own or {}).get(name, {}))
    base = settings.pop("base", name)
    if not isinstance(base, str):
        raise InputError(f"base is the name of a method, not {base!r}")
    spec = replace(METHODS[base], name=base)  # another package's entry does not know what it is registered as
    return spec.changed(settings) if settings else spec
