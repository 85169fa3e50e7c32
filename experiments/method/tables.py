"""The tables of docs/method.md. Under each stand its marks and what it was measured on."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from experiments.markers import table
from experiments.method.plan import DEVELOPED_ON, HALF, HALF_START, OTHERS, SELECT, TTT, TUNED
from experiments.method.rows import ORACLE, Gain, Row, degraded, methods_of, points, select, unpack
from experiments.paradox.frames import NotMeasuredError
from vqttt.images.degradations import DEGRADATIONS
from vqttt.runs.records import CLEAN

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
"""Kinds of degradations."""

AUTO, MATCHED, FEATURES = "restore: auto", "restore: matched", "vq-ttt-features"
SHOWN = (SELECT, TTT, AUTO)
"""What is shown for each degradation."""

MARKS = {TUNED: "†", HALF: "†", HALF_START: "†", FEATURES: "†", MATCHED: "‡"}
NOTES = {
    "†": "not source-free: it learned on other scenes under these degradations, or knows features of clean images",
    "‡": "is told the degradation, which no application knows",
    "∇": "some looks are gradient steps, each of which counts as its forward pass",
}


def comparison(rows: Sequence[Row], phase: str, split: str = "") -> str:
    """Compare methods: gains on degraded and clean images, flips, calibration error, looks, time; the best first.

    Args:
        rows: of any methods.
        phase: in which they were measured.
        split: the name by whose values the rows are compared apart, such as `model`.

    Raises:
        NotMeasuredError: if there are no rows.
    """
    if not rows:
        raise NotMeasuredError(phase)
    body = []
    for value in dict.fromkeys(row[split] for row in rows) if split else [""]:
        some = [row for row in rows if not split or row[split] == value]
        lines = sorted((_line(some, method) for method in methods_of(some)), key=lambda line: -line[0])
        body += [[value, *cells][not split :] for cells in (_untuned(some), *(cells for _, cells in lines))]
    head = [split, "", "gain", "won back", "clean", "corrected", "broken", "calibration error", "looks", "time"]
    return "\n\n".join(
        [table(head[not split :], body, left=2 if split else 1), *_notes(body), measured_on(rows, phase)]
    )


def _line(rows: Sequence[Row], method: str) -> tuple[float, list[str]]:
    """Return a method's gain, and its line of a table."""
    mine = select(rows, method=method)
    gain, clean = Gain(select(mine, degraded)), _gain(select(mine, degradation=CLEAN))
    error = "–" if gain.calibration is None else f"{gain.calibration[1]:.3f}"
    share, unhurt = ("–", "–") if clean is None else (won_back(gain, clean), clean.text())
    looks = f"{gain.looks:.1f}{' ∇' * any(row['gradient'] for row in mine)}"
    flips = str(gain.corrected), str(gain.broken)
    return gain.value, [_marked(method), gain.text(), share, unhurt, *flips, error, looks, f"{gain.time:.1f}×"]


def _marked(method: str) -> str:
    """Return a method's name with its mark, if it has one."""
    return f"{method} {MARKS.get(method, '')}".strip()


def won_back(gain: Gain, clean: Gain) -> str:
    """Write a gain as a share of what degradation cost, if it cost anything."""
    lost = clean.base - gain.base
    return f"{gain.value / lost:.0%}".replace("-", "−") if lost > 0 else "–"


def _untuned(rows: Sequence[Row]) -> list[str]:
    """Return the untuned model's line: its accuracy, where methods have their gain."""
    one = select(rows, method=methods_of(rows)[0])
    gain, clean = Gain(select(one, degraded)), _gain(select(one, degradation=CLEAN))
    error = "–" if gain.calibration is None else f"{gain.calibration[0]:.3f}"
    right = "–" if clean is None else f"{clean.base:.1f}% right"
    return ["untuned", f"{gain.base:.1f}% right", "", right, "", "", error, "1.0", "1.0×"]


def _gain(rows: Sequence[Row]) -> Gain | None:
    return Gain(rows) if rows else None


def _notes(body: Iterable[Sequence[str]]) -> list[str]:
    """Explain the marks that a table has."""
    text = " ".join(cell for line in body for cell in line)
    notes = [f"{mark} {words}" for mark, words in NOTES.items() if mark in text]
    return [f"{'; '.join(notes)}."] if notes else []


def measured_on(rows: Sequence[Row], phase: str) -> str:
    """Say what rows were measured on, how sure their numbers are, what was chosen on what, and the command."""
    spoiled, clean = select(rows, degraded), select(rows, degradation=CLEAN)
    conditions = {tuple(row[name] for name in ("model", "task", "degradation", "severity")) for row in spoiled}
    each = f"each of {len(conditions)} degraded conditions" if len(conditions) > 1 else "the degraded condition"
    said = [f"n = {_range(spoiled)} questions in {each}"]
    said += [f"{_range(clean)} about clean images"] if clean else []
    said += [f"seed {', '.join(map(str, sorted({row['seed'] for row in rows})))}", "95% intervals"]
    said += ["settings chosen on `dev` scenes"]
    return f"{', '.join(said)}: `python -m experiments.method --phase {phase}`."


def _range(rows: Iterable[Row]) -> str:
    """Write the numbers of questions in rows: one number, or the least and the most."""
    counts = {row["count"] for row in rows}
    return " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))


def headline(rows: Sequence[Row]) -> str:
    """Say in a sentence what the two methods gain, and what restoring does."""

    def said(method: str) -> str:
        gain = Gain(select(rows, degraded, method=method))
        return f"gains {gain.text()} points at {gain.looks:.1f} looks an image and {gain.time:.1f} times the time"

    base = Gain(select(rows, degraded, method=SELECT)).base
    return (
        f"The untuned model answers {base:.1f}% of the questions about degraded images right. `{SELECT}`, ours, "
        f"{said(SELECT)} of plain inference; `{TTT}`, the published recipe as we built it, {said(TTT)}; restoring "
        f"every image blindly {said(AUTO)}."
    )


def by_kind(rows: Sequence[Row], phase: str) -> str:
    """Tabulate the gains by kind of degradation."""
    return _by(rows, phase, GROUPS)


def by_degradation(rows: Sequence[Row], phase: str) -> str:
    """Tabulate the gains under each degradation."""
    return _by(rows, phase, {kind: (kind,) for kind in DEGRADATIONS})


def spread(rows: Sequence[Row], phase: str) -> str:
    """Tabulate how a gain is spread over degradations, for all methods on the questions that all of them answered.

    Raises:
        NotMeasuredError: if there are no rows of some degradation.
    """
    common = min((row["count"] for row in rows if degraded(row)), default=0)
    same = [row | {"count": common} for row in select(rows, degraded)]
    body = []
    for method in methods_of(same):
        gains = [Gain(select(same, method=method, degradation=kind)) for kind in DEGRADATIONS]
        values = sorted(gain.value for gain in gains)
        numbers = (points(value) for value in (np.mean(values), np.mean(values[:-3]), np.median(values)))
        counts = sum(gain.low > 0 for gain in gains), sum(gain.high < 0 for gain in gains)
        body.append((np.mean(values), [_marked(method), *numbers, *map(str, counts)]))
    if not body:
        raise NotMeasuredError(phase)
    body.sort(key=lambda line: -line[0])
    head = ["", "gain", "without its best three", "median", "degradations clearly better", "clearly worse"]
    lines = [cells for _, cells in body]
    return "\n\n".join([table(head, lines), *_notes(lines), measured_on(same, phase)])


def _by(rows: Sequence[Row], phase: str, groups: Mapping[str, Sequence[str]]) -> str:
    body = []
    for name, kinds in groups.items():
        some = select(rows, lambda row, kinds=kinds: row["degradation"] in kinds)  # type: ignore[misc]
        gains = [Gain(select(some, method=method)) for method in SHOWN]
        body.append([name.replace("_", " "), f"{gains[0].base:.1f}", *(gain.text() for gain in gains)])
    shown = select(rows, lambda row: row["method"] in SHOWN and degraded(row))
    head = ["", "untuned", *SHOWN]
    return f"{table(head, body)}\n\n{measured_on(shown, phase)}"


def halves(rows: Sequence[Row], phase: str) -> str:
    """Tabulate the gains on the degradations that tuning on `dev` scenes has seen, and on those that it has not."""
    body = []
    for method in (HALF, TUNED, SELECT, TTT, AUTO):
        mine = select(rows, method=method)
        gains = [Gain(select(mine, lambda row, k=kinds: row["degradation"] in k)) for kinds in (DEVELOPED_ON, OTHERS)]  # type: ignore[misc]
        clean = Gain(select(mine, degradation=CLEAN))
        looks = np.mean([gain.looks for gain in gains])
        cells = [gain.text() for gain in (*gains, clean)]
        body.append([_marked(method), *cells, f"{looks:.1f}"])
    head = ["", "seen in tuning on the half", "never seen in it", "clean", "looks"]
    return "\n\n".join([table(head, body), *_notes(body), measured_on(rows, phase)])


def oracle(rows: Sequence[Row], phase: str) -> str:
    """Tabulate what the best correction would gain, if the answers were known.

    Raises:
        NotMeasuredError: if there are no rows with all corrections.
    """
    known = select(rows, degraded, method=ORACLE)
    if not known:
        raise NotMeasuredError("corrections")
    base = np.mean([unpack(row["before"], row["count"]).mean() for row in known])
    names = list(known[0][ORACLE])
    scores = [
        np.stack([unpack(row["before"], row["count"])] + [unpack(row[ORACLE][n], row["count"]) for n in names], 1)
        for row in known
    ]  # (questions, untuned and corrections) of each condition
    means = np.mean([one.mean(0) for one in scores], 0)
    best = int(means.argmax())
    lines = [
        (f"one correction for all conditions: {['none', *names][best]}", means[best]),
        ("one for each degradation and severity", np.mean([one.mean(0).max() for one in scores])),
        ("one for each image", np.mean([one.max(1).mean() for one in scores])),
    ]
    body = [(name, points(100 * float(value - base))) for name, value in lines]
    head = (f"the best of {len(names)} corrections, chosen by the answers", "gain")
    return f"{table(head, body)}\n\n{measured_on(known, phase)}"
