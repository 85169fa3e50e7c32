"""Write the page of model families, docs/families.md: `python -m experiments.families`.

Runs the conformance suite on the small models that a plain run of the tests covers (three minutes), and says which
passed. Memory is estimated from published sizes by the formula that the page states. The tables of types and encoders
stay as they are; `python -m experiments.all_types` makes them. Nothing is downloaded.
"""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from vqttt.models import FAMILIES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "families.md"
SUITE = "tests/models/test_conformance.py"

TEXT = 100
"""Tokens of a question, its template and its answer."""

KEPT = 34
"""Bytes of activations that a 16-bit backward pass keeps, per token, layer and unit of width.

Korthikanti et al. 2022, section 4.1: a layer keeps sbh(34 + 5as/h) bytes. Fused attention avoids the second term.
"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Published facts about a family's typical checkpoint.

    Attributes:
        ids: names on the Hugging Face Hub; memory is estimated for the first.
        vision: the vision encoder.
        layout: how images reach the model.
        billions: weights of the whole model, in billions.
        tower: the vision encoder's layers and width, and the number of patches of a 1024 x 768 px image.
        text: the language model's layers, width and key width, and the number of tokens of such an image.
    """

    ids: tuple[str, ...]
    vision: str
    layout: str
    billions: float
    tower: tuple[int, int, int]
    text: tuple[int, int, int, int]

    @property
    def plain(self) -> float:
        """GB of plain inference in bfloat16 with batch 1: the weights, and the keys and values of every token."""
        layers, _, keys, tokens = self.text
        return 2 * self.billions + 2 * 2 * layers * keys * (tokens + TEXT) / 1e9

    @property
    def tuned(self) -> float:
        """GB of a gradient step of VQ-TTT on one sample: plain inference plus the activations of every layer."""
        towers = (self.tower, (*self.text[:2], self.text[3] + TEXT))
        return self.plain + sum(KEPT * layers * width * tokens for layers, width, tokens in towers) / 1e9


SO400M = "SigLIP so400m/14"
PUBLISHED = {
    "llava": Family(
        ids=("llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-13b-hf"),
        vision="CLIP L/14-336; also SigLIP, DINOv2 and SAM",
        layout="resized to one size",
        billions=7.06,
        tower=(24, 1024, 577),
        text=(32, 4096, 4096, 576),
    ),
    "llava_next": Family(
        ids=("llava-hf/llava-v1.6-mistral-7b-hf", "llava-hf/llava-v1.6-vicuna-7b-hf"),
        vision="CLIP L/14-336",
        layout="overview and tiles, black margins, zero tiles as padding",
        billions=7.57,
        tower=(24, 1024, 5 * 577),
        text=(32, 4096, 1024, 2340),
    ),
    "llava_onevision": Family(
        ids=("llava-hf/llava-onevision-qwen2-7b-ov-hf", "llava-hf/llava-onevision-qwen2-0.5b-ov-hf"),
        vision=SO400M + "-384",
        layout="like LLaVA-NeXT; no tiles if a prompt has several images",
        billions=8.03,
        tower=(26, 1152, 7 * 729),
        text=(28, 3584, 512, 4671),
    ),
    "idefics": Family(
        ids=("HuggingFaceM4/idefics-9b-instruct", "HuggingFaceM4/idefics-80b-instruct"),
        vision="CLIP H/14-224",
        layout="resized to one size; zero images as padding; cross-attention",
        billions=8.93,
        tower=(32, 1280, 257),
        text=(32, 4096, 4096, 0),
    ),
    "idefics2": Family(
        ids=("HuggingFaceM4/idefics2-8b", "HuggingFaceM4/idefics2-8b-chatty"),
        vision=SO400M + ", up to 980 px",
        layout="original aspect ratio, zero padding with a mask",
        billions=8.40,
        tower=(27, 1152, 70 * 52),
        text=(32, 4096, 1024, 64),
    ),
    "idefics3": Family(
        ids=("HuggingFaceM4/Idefics3-8B-Llama3",),
        vision=SO400M + "-364",
        layout="tiles and overview, zero tiles as padding",
        billions=8.46,
        tower=(27, 1152, 13 * 676),
        text=(32, 4096, 1024, 13 * 169),
    ),
    "smolvlm": Family(
        ids=("HuggingFaceTB/SmolVLM-Instruct", "HuggingFaceTB/SmolVLM2-2.2B-Instruct"),
        vision=SO400M + "-384",
        layout="like Idefics3",
        billions=2.25,
        tower=(27, 1152, 13 * 729),
        text=(24, 2048, 2048, 13 * 81),
    ),
    "qwen2_vl": Family(
        ids=("Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2-VL-2B-Instruct"),
        vision="its own ViT/14",
        layout="original aspect ratio; patches of all images packed",
        billions=8.29,
        tower=(32, 1280, 3996),
        text=(28, 3584, 512, 999),
    ),
    "qwen2_5_vl": Family(
        ids=("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct"),
        vision="its own ViT/14, windowed attention",
        layout="like Qwen2-VL",
        billions=8.29,
        tower=(32, 1280, 3996),
        text=(28, 3584, 512, 999),
    ),
    "qwen3_vl": Family(
        ids=("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-4B-Instruct"),
        vision="its own ViT/16, features from several depths",
        layout="like Qwen2-VL",
        billions=8.77,
        tower=(27, 1152, 3072),
        text=(36, 4096, 1024, 768),
    ),
    "internvl": Family(
        ids=("OpenGVLab/InternVL3-8B-hf", "OpenGVLab/InternVL3-2B-hf"),
        vision="InternViT-300M/14-448",
        layout="tiles and overview in one list",
        billions=7.94,
        tower=(24, 1024, 13 * 1025),
        text=(28, 3584, 512, 13 * 256),
    ),
    "paligemma": Family(
        ids=("google/paligemma-3b-mix-448", "google/paligemma2-3b-mix-448"),
        vision=SO400M + "-448",
        layout="resized to one size",
        billions=2.92,
        tower=(27, 1152, 1024),
        text=(18, 2048, 256, 1024),
    ),
    "gemma3": Family(
        ids=("google/gemma-3-4b-it", "google/gemma-3-12b-it"),
        vision=SO400M + "-896",
        layout="resized to one size; also crops if pan and scan is on",
        billions=4.30,
        tower=(27, 1152, 4096),
        text=(34, 2560, 1024, 256),
    ),
    "mllama": Family(
        ids=("meta-llama/Llama-3.2-11B-Vision-Instruct",),
        vision="its own ViT H/14-560, two encoders",
        layout="up to four tiles, black margins, zero tiles as padding; cross-attention",
        billions=10.67,
        tower=(40, 1280, 4 * 1608),
        text=(40, 4096, 1024, 0),
    ),
    "cogvlm": Family(
        ids=("THUDM/cogvlm-chat-hf",),
        vision="EVA2-CLIP-E/14-490",
        layout="resized to one size",
        billions=17.64,
        tower=(63, 1792, 1226),
        text=(32, 4096, 4096, 1227),
    ),
    "cogvlm2": Family(
        ids=("THUDM/cogvlm2-llama3-chat-19B",),
        vision="EVA2-CLIP-E/14-1344",
        layout="resized to one size",
        billions=19.50,
        tower=(63, 1792, 9217),
        text=(32, 4096, 1024, 2306),
    ),
}


def verify() -> tuple[dict[str, Counter[str]], list[str]]:
    """Run the conformance suite.

    Returns:
        How often each small model passed and failed, and the names of the checks.

    Raises:
        SystemExit: if the suite did not run completely.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--no-header", SUITE]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(test_\w+)\[(\S+)\]", printed, re.MULTILINE)
    skipped = int((re.search(r"(\d+) skipped", printed) or [0, 0])[1])
    if not found or skipped:
        raise SystemExit(f"the conformance suite did not run completely ({skipped} checks skipped):\n{printed[-2000:]}")
    outcomes: dict[str, Counter[str]] = {}
    for outcome, _, model in found:
        outcomes.setdefault(model_name(model), Counter())[outcome] += 1
    return outcomes, list(dict.fromkeys(test for _, test, _ in found))


def model_name(case: str) -> str:
    """Return the small model that a test's case, such as `blip-2/t5-float32`, is about."""
    from tests.support.small_families import BUILDERS, OTHERS

    return max((name for name in BUILDERS | OTHERS if f"{case}-".startswith(f"{name}-")), key=len)


def page(outcomes: dict[str, Counter[str]], checks: list[str]) -> str:
    """Return the whole page."""
    template = (Path(__file__).parent / "families.template.md").read_text()
    parts = {
        "families": "\n".join(_families()),
        "memory": "\n".join(_memory()),
        "outcomes": _outcomes(outcomes),
        "checks": _checks(checks),
        "text": str(TEXT),
        "kept": str(KEPT),
        **{name: _between(name) for name in ("types", "encoders")},
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _between(name: str) -> str:
    """Return what is on the page between the markers called `name`, blank lines around it included."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", PAGE.read_text(), re.DOTALL)
    return found[1] if found else ""


def _checks(tests: list[str]) -> str:
    """Say what the tests check, by their names."""
    said = [test.removeprefix("test_").replace("_", " ").replace("lora", "LoRA") for test in tests]
    return fill("; ".join(said) + ".", 120)


def _families() -> list[str]:
    rows = ["| `model_type` | ids | vision encoder | images |", "| --- | --- | --- | --- |"]
    for name, family in PUBLISHED.items():
        ids = ", ".join(f"`{one}`" for one in family.ids)
        rows.append(f"| `{name}` | {ids} | {family.vision} | {family.layout} |")
    return rows


def _memory() -> list[str]:
    rows = [
        "| checkpoint | weights, billions | patches | tokens | plain inference, GB | one gradient step, GB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for family in PUBLISHED.values():
        sizes = f"{family.billions:.1f} | {family.tower[2]:,} | {family.text[3]:,}"
        rows.append(f"| `{family.ids[0]}` | {sizes} | {family.plain:.0f} | {family.tuned:.0f} |")
    return rows


def _outcomes(outcomes: dict[str, Counter[str]]) -> str:
    """Say which small models passed everything, and list those that did not."""
    whole = [f"`{name}`" for name, count in outcomes.items() if count["PASSED"] == count.total()]
    words = f"{len(whole)} of {len(outcomes)} small models pass every check: {', '.join(whole)}."
    failed = [
        f"- `{name}`: {count.total() - count['PASSED']} of {count.total()} failed"
        for name, count in outcomes.items()
        if count["PASSED"] < count.total()
    ]
    return "\n".join([fill(words, 120, break_on_hyphens=False), *([""] * bool(failed)), *failed])


def main() -> None:
    """Write the page."""
    missing = set(FAMILIES) - set(PUBLISHED)
    assert not missing, f"families without an entry in PUBLISHED: {missing}"
    PAGE.write_text(page(*verify()))


if __name__ == "__main__":
    main()
