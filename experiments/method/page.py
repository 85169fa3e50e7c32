"""The page: `python -m experiments.method.page` turns the committed rows into docs/method.md and its figures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.markers import put
from experiments.method.drawings import heatmap, learned
from experiments.method.measure import PHASES
from experiments.method.plan import DEVELOPED_ON, MAIN
from experiments.method.rows import GROUPS, Gain, Row, bits, load, points, select, split_stream
from experiments.method.targets import targets
from vqttt.images.degradations import DEGRADATIONS
from vqttt.runs.records import CLEAN
from vqttt.tuning.corrections import members

PAGE = Path("docs/method.md")


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
    mild = {row["method"] for row in rows if row["severity"] in (1, 2)}
    parts = {
        "main": methods_table(rows, lambda row: row["severity"] >= 3),
        "main-all": methods_table([row for row in rows if row["method"] in mild]),
    }
    halves = []
    for method in MAIN:
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
        patterns.append((group, f"{of['vq-ttt'].base:.1f}", *(of[method].text() for method in MAIN)))
    for kind in DEGRADATIONS:
        of = {
            m: Gain(r)
            for m, r in select(rows, lambda row, k=kind: row["degradation"] == k and row["severity"] >= 3).items()
        }
        single.append((kind, f"{of['vq-ttt'].base:.1f}", *(of[method].text() for method in MAIN)))
    header = ("", "untuned", *(f"`{method}`" for method in MAIN))
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
        ("best member for each image", np.mean([s.max(1).mean() for s in scores])),
    ]
    oracle = table(("oracle: labels used, first seed", "gain"), [(n, points(100 * (v - base))) for n, v in lines])
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
        clean, change = split_stream(row)
        before = bits(row["before"])
        rng = np.random.default_rng(0)

        def gain(chosen: np.ndarray, change: np.ndarray = change, rng: Any = rng) -> str:
            if not chosen.any():
                return "–"
            values = change[chosen]
            drawn = rng.choice(values, (2000, len(values))).mean(1)
            low, high = np.percentile(drawn, (2.5, 97.5))
            return f"{points(values.mean())} [{points(low)}, {points(high)}]"

        body.append((row["degradation"], row["method"], f"{len(before)}", f"{100 * before[~clean].mean():.1f}",
                     gain(~clean), gain(clean), f"{row['cost']:.1f}×"))  # fmt: skip
    return table(("stream", "method", "samples", "untuned", "gain, degraded", "gain, clean", "time"), body)


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
    if rows["main"] and rows["streams"] and rows["baselines"]:
        parts["targets"] = table(("aim", "measured", "reached"), targets(rows))
    learned()
    for name, part in parts.items():
        put(PAGE, name, part)


if __name__ == "__main__":
    main()
