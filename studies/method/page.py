"""The page: `python -m studies.method.page` turns the committed rows into docs/method.md and its figures."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from studies.method.measure import PHASES, RESULTS
from studies.method.plan import DEVELOPED_ON
from vqttt.bank import members
from vqttt.degradations import CLEAN, DEGRADATIONS
from vqttt.stats import cluster_mean

PAGE = Path("docs/method.md")
GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    "blur": ("motion_blur", "gaussian_blur", "defocus_blur", "glass_blur", "zoom_blur", "elastic_transform"),
    "weather": ("snow", "fog", "frost", "haze", "rain", "spatter", "raindrops"),
    "light and colour": (
        "brightness", "contrast", "saturate", "low_light", "overexposure", "color_cast", "vignette", "bit_depth",
        "banding",
    ),
    "codec and resolution": ("jpeg_compression", "webp", "pixelate", "low_resolution", "video_blocks"),
    "lens, screen, paper": ("chromatic_aberration", "lens_dirt", "moire", "scan", "occlusion"),
    "pipelines": (
        "phone_at_night", "security_camera", "dashcam_in_rain", "photographed_screen", "messenger_forward", "old_scan",
    ),
}  # fmt: skip
Row = dict[str, Any]


def load(phase: str) -> list[Row]:
    """Return a phase's rows, or none where it was not run."""
    file = RESULTS / f"{phase}.jsonl"
    return [json.loads(line) for line in file.open()] if file.is_file() else []


def bits(text: str) -> np.ndarray:
    """Turn a row's scores into an array."""
    return np.frombuffer(text.encode(), np.uint8) - 48.0


class Gain:
    """Mean gain of rows in points, each cell with the same weight, with its interval clustered by picture."""

    def __init__(self, rows: Sequence[Row]) -> None:
        before, after = [bits(row["before"]) for row in rows], [bits(row["after"]) for row in rows]
        sizes = [len(b) for b in before]
        # A picture is the same scene under every condition; another seed or task has other scenes.
        scenes = np.concatenate([np.arange(n) + 10_000 * row["seed"] for n, row in zip(sizes, rows, strict=True)])
        tasks = np.concatenate([np.full(n, row["task"]) for n, row in zip(sizes, rows, strict=True)])
        cells = np.repeat(np.arange(len(rows)), sizes)
        change = np.concatenate(after) - np.concatenate(before)
        estimate = cluster_mean(
            change, _rank(cells, tasks), _rank(scenes, tasks), np.unique(tasks, return_inverse=True)[1]
        )
        self.value, self.low, self.high = (100 * v for v in estimate)
        self.base = 100 * float(np.mean([b.mean() for b in before]))
        self.fixed = int(sum(((a > b).sum()) for a, b in zip(after, before, strict=True)))
        self.broken = int(sum(((a < b).sum()) for a, b in zip(after, before, strict=True)))
        self.count = int(sum(sizes))
        self.cost = _mean(rows, "cost")
        pairs = [row["calibration"] for row in rows if row.get("calibration") and None not in row["calibration"]]
        self.calibration = tuple(np.mean(pairs, 0)) if pairs else None

    def text(self) -> str:
        """Write the gain with its interval."""
        if self.low == self.high:
            return _points(self.value)
        return f"{_points(self.value)} [{_points(self.low)}, {_points(self.high)}]"


def _rank(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    out = np.zeros(len(values), np.int64)
    for stratum in np.unique(strata):
        inside = strata == stratum
        out[inside] = np.unique(values[inside], return_inverse=True)[1]
    return out


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(values)) if values else None


def _points(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


def select(rows: Sequence[Row], keep: Callable[[Row], bool]) -> dict[str, list[Row]]:
    """Group the rows to keep by method."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if "after" in row and keep(row):
            found.setdefault(row["method"], []).append(row)
    return found


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Write a table of Markdown; the first column is words."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *body)]
    lines.insert(1, "| --- " + "| ---: " * (len(header) - 1) + "|")
    return "\n".join(lines)


def methods_table(rows: Sequence[Row], keep: Callable[[Row], bool] = lambda row: True) -> str:
    """Compare methods: degraded cells and clean ones, flips, calibration, cost."""
    degraded = select(rows, lambda row: row["degradation"] != CLEAN and keep(row))
    clean = select(rows, lambda row: row["degradation"] == CLEAN)
    body = []
    for method, mine in degraded.items():
        gain, unhurt = Gain(mine), Gain(clean[method])
        lost = unhurt.base - gain.base
        calibration = f"{gain.calibration[0]:.3f} → {gain.calibration[1]:.3f}" if gain.calibration else "–"
        body.append(
            (method, f"{gain.base:.1f}", gain.text(), f"{gain.value / lost:.0%}",
             unhurt.text(), f"{gain.fixed}", f"{gain.broken}", calibration, f"{gain.cost:.1f}×" if gain.cost else "–")
        )  # fmt: skip
    header = ("method", "untuned", "gain", "won back", "clean", "fixed", "broken", "calibration error", "time")
    return table(header, sorted(body, key=lambda cells: -float(cells[2].split(" ")[0].replace("−", "-"))))


def main_part(rows: Sequence[Row]) -> dict[str, str]:
    """Write the headline: by severity, by half of the degradations, by pattern, and the single degradations."""
    parts = {"main": methods_table(rows, lambda row: row["severity"] >= 3), "main-all": methods_table(rows)}
    halves = []
    for method in ("vq-ttt", "vq-ttt-features"):
        for name, keep in (
            ("developed on", lambda row: row["degradation"] in DEVELOPED_ON),
            ("never seen before", lambda row: row["degradation"] not in DEVELOPED_ON),
        ):
            mine = select(rows, lambda row, k=keep: row["severity"] >= 3 and k(row))[method]
            gain = Gain(mine)
            halves.append((f"`{method}`", name, f"{len(mine)}", f"{gain.base:.1f}", gain.text()))
    parts["halves"] = table(("method", "degradations", "cells", "untuned", "gain"), halves)
    patterns, single = [], []
    for group, kinds in GROUPS.items():
        of = {
            m: Gain(r)
            for m, r in select(rows, lambda row, k=kinds: row["degradation"] in k and row["severity"] >= 3).items()
        }
        patterns.append((group, f"{of['vq-ttt'].base:.1f}", of["vq-ttt"].text(), of["vq-ttt-features"].text()))
    for kind in DEGRADATIONS:
        of = {
            m: Gain(r)
            for m, r in select(rows, lambda row, k=kind: row["degradation"] == k and row["severity"] >= 3).items()
        }
        single.append((kind, f"{of['vq-ttt'].base:.1f}", of["vq-ttt"].text(), of["vq-ttt-features"].text()))
    header = ("", "untuned", "`vq-ttt`", "`vq-ttt-features`")
    parts["patterns"], parts["single"] = table(header, patterns), table(header, single)
    return parts


def baselines_part(rows: Sequence[Row]) -> str:
    """Write the comparison with every baseline, with what a choice that knew the answers would have reached."""
    text = methods_table(rows)
    known = [row for row in rows if row["method"] == "members" and row["degradation"] != CLEAN]
    scores = [np.stack([bits(member) for member in row["members"]], 1) for row in known]
    if not scores:
        return text
    base = np.mean([s[:, 0].mean() for s in scores])
    one = np.mean([s.mean(0) for s in scores], 0)
    lines = [
        (f"best single member for all twelve ({members()[int(one.argmax())]})", one.max()),
        ("best member for each degradation and severity", np.mean([s.mean(0).max() for s in scores])),
        ("best member for each picture", np.mean([s.max(1).mean() for s in scores])),
    ]
    oracle = table(("oracle: labels used, first seed", "gain"), [(n, _points(100 * (v - base))) for n, v in lines])
    return f"{text}\n\n{oracle}"


def tasks_part(rows: Sequence[Row]) -> str:
    """Write the other tasks, easy-VQA by type of question."""
    from vqttt.tasks import load_task

    body = []
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [row for row in rows if row["task"] == task]
        types = np.array([sample.category for sample in load_task(task, len(of_task[0]["before"]))])
        splits = [("all", np.ones(len(types), bool))]
        splits += [(kind, types == kind) for kind in dict.fromkeys(types)] if task == "easy-vqa" else []
        for kind, chosen in splits:
            part = [
                row | {side: "".join(np.array(list(row[side]))[chosen]) for side in ("before", "after")}
                for row in of_task
                if "after" in row
            ]
            for method, mine in select(part, lambda row: row["degradation"] != CLEAN).items():
                gain, clean = Gain(mine), Gain(select(part, lambda row: row["degradation"] == CLEAN)[method])
                body.append(
                    (f"{task}, {kind}", method, f"{int(chosen.sum())}", f"{gain.base:.1f}", gain.text(), clean.text())
                )
    return table(("task", "method", "questions", "untuned", "gain", "clean"), body)


def streams_part(rows: Sequence[Row]) -> str:
    """Write the streams whose quality changes."""
    body = []
    for row in rows:
        clean = np.array([name.startswith(CLEAN) for name in row["conditions"]])
        before, after = bits(row["before"]), bits(row["after"])
        rng = np.random.default_rng(0)

        def gain(chosen: np.ndarray, change: np.ndarray = after - before, rng: Any = rng) -> str:
            if not chosen.any():
                return "–"
            values = 100 * change[chosen]
            drawn = rng.choice(values, (2000, len(values))).mean(1)
            low, high = np.percentile(drawn, (2.5, 97.5))
            return f"{_points(values.mean())} [{_points(low)}, {_points(high)}]"

        body.append((row["degradation"], row["method"], f"{len(before)}", f"{100 * before[~clean].mean():.1f}",
                     gain(~clean), gain(clean), f"{row['cost']:.1f}×"))  # fmt: skip
    return table(("stream", "method", "samples", "untuned", "gain, degraded", "gain, clean", "time"), body)


def heatmap(rows: Sequence[Row]) -> None:
    """Draw the gain of `vq-ttt` by degradation and severity."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    kinds = [kind for group in GROUPS.values() for kind in group]
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 9), sharey=True, constrained_layout=True)
    for axis, method in zip(axes, ("vq-ttt", "vq-ttt-features"), strict=True):
        gains = {
            (r["degradation"], r["severity"]): 100 * (bits(r["after"]) - bits(r["before"])).mean()
            for r in rows
            if r["method"] == method
        }
        grid = np.array([[gains.get((kind, severity), np.nan) for severity in range(1, 6)] for kind in kinds])
        drawn = axis.imshow(grid, cmap="RdBu", vmin=-30, vmax=30, aspect="auto")
        for (y, x), value in np.ndenumerate(grid):
            if abs(value) >= 0.5:
                axis.text(
                    x,
                    y,
                    f"{value:+.0f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if abs(value) > 18 else "#222",
                )
        axis.set(title=method, xticks=range(5), xticklabels=range(1, 6), xlabel="severity")
        axis.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=8)
    figure.colorbar(drawn, ax=axes, shrink=0.4, label="gain in points")
    _save(figure, "gains")


def learned(folder: Path = Path("runs/method")) -> None:
    """Draw which member of the bank a predictor, tuned on the mixed stream, chooses for what: it was never told."""
    mpl.use("Agg")
    import torch
    from matplotlib import pyplot as plt
    from safetensors.torch import load_file

    from vqttt.degradations import degrade, image_seed
    from vqttt.models import load_model
    from vqttt.predictor import Predictor
    from vqttt.spectrum import features
    from vqttt.tasks import vq_mini

    file = folder / "vq-ttt.safetensors"
    if not file.is_file():
        return
    model, predictor = load_model("embedded"), Predictor()
    predictor.load({name: t for name, t in load_file(file).items() if not name.startswith("adapter.")})
    samples = vq_mini.samples("test", 6040)[6000:]
    kinds = [CLEAN, *(kind for group in GROUPS.values() for kind in group)]
    shares = np.zeros((len(kinds), len(members())))
    for row, kind in enumerate(kinds):
        for severity in (3, 5):
            images = [
                s.load() if kind == CLEAN else degrade(s.load(), kind, severity, image_seed(0, s.id), "relative")
                for s in samples
            ]
            pixels = model.pixels(model.encode(images, ["what?"] * len(images))).pixels
            chosen = predictor.choose(features(pixels))
            shares[row] += torch.bincount(chosen, minlength=len(members())).numpy() / len(images) / 2
    figure, axis = plt.subplots(figsize=(8.2, 9), constrained_layout=True)
    drawn = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=8)
    axis.set_xticks(range(len(members())), members(), rotation=60, ha="right", fontsize=8)
    figure.colorbar(drawn, ax=axis, shrink=0.4, label="share of pictures, severities 3 and 5")
    _save(figure, "learned")


def _save(figure: Any, name: str) -> None:
    folder = PAGE.parent / "method"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})


def main() -> None:
    """Put every table into its place in the page, and draw the figures."""
    rows = {phase: load(phase) for phase in PHASES}
    parts = {}
    if rows["main"]:
        measured = [*rows["main"], *rows["mild"]]
        parts |= main_part(measured)
        heatmap(measured)
    if rows["baselines"]:
        parts["baselines"] = baselines_part(rows["baselines"])
    if rows["ablations"]:
        parts["ablations"] = methods_table(rows["ablations"])
    if rows["tasks"]:
        parts["tasks"] = tasks_part(rows["tasks"])
    if rows["streams"]:
        parts["streams"] = streams_part(rows["streams"])
    learned()
    text = PAGE.read_text()
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{PAGE} has no place for {name}")
        text = pattern.sub(lambda found, part=part: f"{found[1]}\n{part}\n\n{found[2]}", text)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
