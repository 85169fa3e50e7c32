"""`python -m experiments.method.page` makes the tables and figures of docs/method.md from the committed rows."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from experiments.markers import put, table
from experiments.method.drawings import heatmap, learned
from experiments.method.plan import DEVELOPED_ON, MAIN, PHASES
from experiments.method.rows import GROUPS, Gain, Row, bits, load, points, select, split_stream
from experiments.method.targets import targets
from vqttt.images.degradations import DEGRADATIONS
from vqttt.results.clusters import paired_difference
from vqttt.runs.records import CLEAN
from vqttt.tuning.corrections import names

PAGE = Path("docs/method.md")


def methods_table(rows: Sequence[Row], keep: Callable[[Row], bool] = lambda row: True) -> str:
    """Compare methods: gains on degraded and clean images, flips, calibration error, time."""
    degraded = select(rows, lambda row: row["degradation"] != CLEAN and keep(row))
    clean = select(rows, lambda row: row["degradation"] == CLEAN)
    body = []
    for method, mine in degraded.items():
        gain, unhurt = Gain(mine), Gain(clean[method])
        lost = unhurt.base - gain.base
        calibration = f"{gain.calibration[0]:.3f} → {gain.calibration[1]:.3f}" if gain.calibration else "–"
        body.append(
            (method, f"{gain.base:.1f}", gain.text(), f"{gain.value / lost:.0%}",
             unhurt.text(), f"{gain.corrected}", f"{gain.broken}", calibration,
             f"{gain.cost:.1f}×" if gain.cost else "–")
        )  # fmt: skip
    header = ("method", "untuned", "gain", "won back", "clean", "corrected", "broken", "calibration error", "time")
    return table(header, sorted(body, key=lambda cells: -float(cells[2].split(" ")[0].replace("−", "-"))))


def main_part(rows: Sequence[Row]) -> dict[str, str]:
    """Return the tables of the main phases: all degradations, the two halves of them, by pattern, and one by one."""
    mild = {row["method"] for row in rows if row["severity"] in (1, 2)}
    header = ("", "untuned", *(f"`{method}`" for method in MAIN))
    return {
        "main": methods_table(rows, _severe),
        "main-all": methods_table([row for row in rows if row["method"] in mild]),
        "halves": _halves_table(rows),
        "patterns": table(header, [_gains(rows, group, kinds) for group, kinds in GROUPS.items()]),
        "single": table(header, [_gains(rows, kind, (kind,)) for kind in DEGRADATIONS]),
    }


def _severe(row: Row) -> bool:
    return bool(row["severity"] >= 3)


def _halves_table(rows: Sequence[Row]) -> str:
    """Compare the degradations on which settings were chosen with the others."""
    unseen = tuple(kind for kind in DEGRADATIONS if kind not in DEVELOPED_ON)
    body = []
    for method in MAIN:
        for name, kinds in (("developed on", DEVELOPED_ON), ("never seen before", unseen)):
            mine = [r for r in rows if r["method"] == method and _severe(r) and r["degradation"] in kinds]
            gain = Gain(mine)
            body.append((f"`{method}`", name, f"{len(mine)}", f"{gain.base:.1f}", gain.text()))
    return table(("method", "degradations", "cells", "untuned", "gain"), body)


def _gains(rows: Sequence[Row], name: str, kinds: Sequence[str]) -> tuple[str, ...]:
    """Return a row of a table: the gain of each main method over some degradations, severities 3 to 5."""
    chosen = select(rows, lambda row: row["degradation"] in kinds and _severe(row))
    gains = [Gain(chosen[method]) for method in MAIN]
    return (name, f"{gains[0].base:.1f}", *(gain.text() for gain in gains))


def baselines_part(rows: Sequence[Row]) -> str:
    """Compare all methods; add the oracle over corrections, which knows the answers."""
    known = [row for row in rows if row["method"] == "corrections" and row["degradation"] != CLEAN]
    scores = [np.stack([bits(text) for text in row["corrections"]], 1) for row in known]  # (samples, corrections)
    if not scores:
        return methods_table(rows)
    base = np.mean([s[:, 0].mean() for s in scores])
    one = np.mean([s.mean(0) for s in scores], 0)
    lines = [
        (f"best single correction for all twelve ({names()[int(one.argmax())]})", one.max()),
        ("best correction for each degradation and severity", np.mean([s.mean(0).max() for s in scores])),
        ("best correction for each image", np.mean([s.max(1).mean() for s in scores])),
    ]
    oracle = table(("oracle: labels used, first seed", "gain"), [(n, points(100 * (v - base))) for n, v in lines])
    return f"{methods_table(rows)}\n\n{oracle}"


def tasks_part(rows: Sequence[Row]) -> str:
    """Compare methods on the other tasks, on easy-VQA also by type of question."""
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
    """Compare methods on streams whose quality changes."""
    body = []
    for row in rows:
        clean, change = split_stream(row)
        before = bits(row["before"])
        gains = _mean_text(change[~clean]), _mean_text(change[clean])
        untuned = f"{100 * before[~clean].mean():.1f}"
        body.append((row["degradation"], row["method"], f"{len(before)}", untuned, *gains, f"{row['cost']:.1f}×"))
    return table(("stream", "method", "samples", "untuned", "gain, degraded", "gain, clean", "time"), body)


def _mean_text(changes: np.ndarray) -> str:
    """Write the mean of changes in points with its interval."""
    if not len(changes):
        return "–"
    value, low, high = (100 * part for part in paired_difference(np.zeros(len(changes)), changes / 100))
    return f"{points(value)} [{points(low)}, {points(high)}]"


def main() -> None:
    """Write the tables of the phases that were measured, and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/method"), help="run folders [runs/method]")
    arguments = parser.parse_args()
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
        parts["targets"] = table(("target", "measured", "reached"), targets(rows))
    learned(arguments.folder / "tuned" / f"{MAIN[0]}.safetensors")
    for name, part in parts.items():
        put(PAGE, name, part)


if __name__ == "__main__":
    main()
