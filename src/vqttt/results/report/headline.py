"""The headline of a report: what was found, in plain words, and no more than the tests and intervals hold.

A condition helps or hurts a model only by its verdict, after Holm's correction over all conditions; degradation as a
whole, or a remedy, only if the 95% interval excludes zero.
"""

from collections.abc import Sequence
from typing import Any

from vqttt.results.paradox import UNINFORMATIVE
from vqttt.results.report.remedies import Gain, Remedy
from vqttt.results.tables import label, percent, points

Facts = dict[str, Any]
"""What `findings.findings` gives for a model."""

MOST = 4
"""Most models that the headline names one by one."""


def headline(found: Sequence[Facts], tasks: int) -> str:
    """Say in a sentence what the run found about all its models.

    Args:
        found: the facts about each model.
        tasks: number of tasks; if there are several, a condition is named with its task.
    """
    helped = sorted((facts for facts in found if facts["helps"]), key=lambda facts: -facts["helps"]["delta"])
    if helped:
        return _sentence(_when_helped(helped, [facts for facts in found if not facts["helps"]], tasks))
    if len(found) == 1:
        return _sentence([_alone(found[0])])
    clauses = [_briefly(facts) for facts in found[:MOST]]
    if len(found) > MOST:
        clauses.append(f"and {len(found) - MOST} other models below")
    if any(facts["verdicts"] for facts in found):
        clauses.append("no condition is shown to help any of them")
    if not clauses[0].startswith(found[0]["model"]):
        clauses[0] = clauses[0][0].upper() + clauses[0][1:]
    return _sentence(clauses)


def _sentence(clauses: Sequence[str]) -> str:
    return "; ".join(clauses) + "."


def _when_helped(helped: Sequence[Facts], others: Sequence[Facts], tasks: int) -> list[str]:
    """Say which condition helps which model most, and what it does to the models that nothing helps."""
    first = helped[0]
    row = first["helps"]
    where = f"On {row['task']}, " if tasks > 1 else ""
    better = f"{percent(row['delta'])} points better on images with {condition(row)} than on clean ones"
    clauses = [f"{where}{first['model']} answers {better}"]
    if len(helped) + len(others) > MOST:
        more, rest = len(helped) - 1, len(helped) + len(others) - 1
        return [*clauses, f"of the {rest} other models, a condition is shown to help {more or 'none'}"]
    for facts in helped[1:]:
        own = facts["helps"]
        of = f" on {own['task']}" if tasks > 1 else ""
        clauses.append(f"{facts['model']} {percent(own['delta'])} points better with {condition(own)}{of}")
    return clauses + _when_not(others, row)


def _when_not(others: Sequence[Facts], row: dict[str, Any]) -> list[str]:
    """Say what the condition of a row does to the models that no condition helps."""
    worse, unmoved = list[str](), list[str]()
    for facts in others:
        same = next((one for one in facts["rows"] if _same(one, row)), None)
        if same and same["verdict"] == "hurts":
            verb = "" if worse else "answers "
            worse.append(f"{facts['model']} {verb}{percent(-same['delta'])}{'' if worse else ' points worse'}")
        else:
            unmoved.append(facts["model"])
    clauses = [f"on those, {listed(worse)}"] if worse else []
    return [*clauses, f"no condition is shown to help {listed(unmoved, 'or')}"] if unmoved else clauses


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("task", "degradation", "severity", "scale", "restorer", "seed"))


def condition(row: dict[str, Any]) -> str:
    """Name a degradation and its severity in words."""
    return f"{label(row['degradation'])} (severity {row['severity']})"


def _alone(facts: Facts) -> str:
    """Say what was found about the only model, which no condition helps."""
    model, change, verdicts = facts["model"], facts["change"], facts["verdicts"]
    if facts["failed"] == facts["records"]:
        return f"All {facts['records']:,} answers of {model} failed"
    if change is None:
        on, lacks = ("degraded", "clean") if facts["on"] == "degraded" else ("clean", "degraded")
        return f"{model} answers {percent(facts['accuracy'])}% right on {on} images; the run has no {lacks} ones"
    clean, degraded = percent(facts["clean"]), percent(facts["degraded"])
    share = f"it answers {clean}% right on clean images and {degraded}% on degraded ones"
    if set(verdicts) == {UNINFORMATIVE}:
        return f"On clean images {model} is not clearly better than guessing, so image quality has nothing to take away"
    if set(verdicts) == {"no effect"}:
        return f"Image quality does not matter to {model}: under every condition the change is within 2 points"
    if change.high < 0:
        return f"Degradation costs {model} {percent(-change.value)} points of accuracy: {share}"
    if change.low > 0:
        return f"{model} answers {percent(change.value)} points better on degraded images than on clean ones"
    return f"No clear effect of degradation on {model}: {share}"


def _briefly(facts: Facts) -> str:
    """Say the same of one of several models."""
    model, change = facts["model"], facts["change"]
    if facts["failed"] == facts["records"]:
        return f"all answers of {model} failed"
    if change is None:
        return f"{model} answers {percent(facts['accuracy'])}% right on {facts['on']} images"
    if set(facts["verdicts"]) == {UNINFORMATIVE}:
        return f"{model} is not clearly better than guessing on clean images"
    if change.low <= 0 <= change.high:
        return f"no clear effect of degradation on {model}"
    return f"degradation {'costs' if change.value < 0 else 'gains'} {model} {percent(abs(change.value))} points"


def listed(names: Sequence[str], word: str = "and") -> str:
    """Join names as in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def on_help(facts: Facts) -> str:
    """Give the interval of the condition that helps most, and from how many it was picked; empty if none helps."""
    row = facts["helps"]
    if not row:
        return ""
    change = Gain(row["delta"], row["ci_low"], row["ci_high"])
    picked = "" if len(facts["rows"]) == 1 else f"; the largest of {len(facts['rows']):,} changes, so a little too good"
    return f"{condition(row).capitalize()} {spoken(change)}{picked}."


def on_remedies(facts: Facts) -> str:
    """Name the best method and the best restorer on degraded images, with intervals and costs; empty without any."""
    tried = [one for one in (facts["best"]["method"], facts["best"]["restorer"]) if one]
    return f"On degraded images {'; '.join(map(_remedy, tried))}." if tried else ""


def _remedy(one: Remedy) -> str:
    name = one.name + (", restoring alone," if one.kind == "restorer" else "")
    cost = "" if one.cost is None else f", at {one.cost:.1f} times the time"
    return f"{name} {spoken(one.gain)}{cost}" if one.gain else name


def spoken(gain: Gain) -> str:
    """Say what a gain is with its interval; one that may be zero is called no clear effect."""
    interval = f"{points(gain.low)} to {points(gain.high)}"
    if gain.side == 0:
        return f"has no clear effect ({interval})"
    return f"{'gains' if gain.side > 0 else 'loses'} {percent(abs(gain.value))} points ({interval})"
