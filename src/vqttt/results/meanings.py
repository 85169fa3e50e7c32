"""What each column of a run's tables means; `docs/columns.md` is made from it."""

from vqttt.runs.records import meanings

_RECORD = meanings()
_N = "number of questions"
_IMAGES = "number of different images that the questions are about; intervals and tests treat them as independent"
_CHANCE = "mean probability that a guess is right, 0 to 1; empty unless it is known for every question"
_LOW, _HIGH = "lower end of the 95% interval of `{}`", "upper end of the 95% interval of `{}`"
_TEST = "exact test of `corrective` against `destructive` over images (McNemar's with one question per image)"

SUMMARY = {name: _RECORD[name] for name in ("model", "task", "degradation", "severity", "restorer")} | {
    "method": "method that gave the answers; `none` for the untuned model",
    "n": _N,
    "images": _IMAGES,
    "accuracy": "mean score of the method's answers, 0 to 1; failed samples count as wrong",
    "chance": _CHANCE,
    "delta": "gain: `accuracy` minus that of the untuned model on the same images",
    "ci_low": _LOW.format("delta"),
    "ci_high": _HIGH.format("delta"),
    "p_value": f"{_TEST}; not corrected for the number of cells",
    "corrective": "number of answers that the method corrected: the untuned answer was wrong",
    "destructive": "number of answers that the method broke: the untuned answer was right",
    "ece": "expected calibration error of the method's answers (10 bins), 0 to 1; failed samples are left out",
    "seconds_per_sample": "mean wall-clock time of the samples that did not fail",
    "accuracy_low": _LOW.format("accuracy"),
    "accuracy_high": _HIGH.format("accuracy"),
    "rolled_back": "share of samples whose changes the guard discarded",
    "tuned": "share of samples tuned on, or for which corrections were tried",
    "failed": "number of samples that failed",
    "scale": _RECORD["scale"],
    "seed": _RECORD["seed"],
    "format_accuracy": "mean of `format_score`, 0 to 1; empty where it was not recorded",
    "base_format_accuracy": "the same of the untuned answers",
}
"""The columns of `summary.csv`, in their order."""

QUALITY = {
    name: _RECORD[name] for name in ("model", "task", "degradation", "severity", "scale", "restorer", "seed")
} | {
    "n": _N,
    "images": _IMAGES,
    "clean": "accuracy of the untuned model on the clean images, 0 to 1",
    "clean_low": _LOW.format("clean"),
    "clean_high": _HIGH.format("clean"),
    "degraded": "accuracy of the untuned model on the same images degraded, 0 to 1",
    "chance": _CHANCE,
    "delta": "`degraded` minus `clean`",
    "ci_low": _LOW.format("delta"),
    "ci_high": _HIGH.format("delta"),
    "corrective": "number of answers that degradation corrected: wrong on the clean image, right on the degraded one",
    "destructive": "number of answers that degradation broke: right on the clean image, wrong on the degraded one",
    "p_value": _TEST,
    "p_equal": "test of a change within two points either way, after Holm's correction over all rows; a small value "
    "shows that the change is that small",
    "verdict": "`hurts` or `helps`: `p_holm` is below 0.05; `uninformative`: the model has nothing to lose, because on "
    "clean images it is not clearly better than chance, or right in no more than two percent; `no effect`: `p_equal` "
    "is below 0.05; otherwise `undecided`",
    "p_holm": "`p_value` after Holm's correction over all rows",
}
"""The columns of `quality.csv`, in their order."""

_PAIR_TEST = "exact test of `{}` by the images' net differences"
_HOLM = (
    "`{}` after Holm's correction within the pair of models; rows of `all` tasks, and rows without a severity, apart"
)

MODELS = {
    "first_model": "the first model",
    "second_model": "the model that it is compared with, on the same questions about the same images",
    "task": "name of the task; `all` for all tasks together",
    "restorer": _RECORD["restorer"],
    "method": SUMMARY["method"],
    "degradation": "degradation or style of the images, `clean`, or `all` for all degradations together",
    "severity": "severity of the degradation; empty for all severities together",
    "n": _N,
    "images": _IMAGES,
    "cells": "number of cells that are put together, each with the same weight",
    "first": "accuracy of the first model, 0 to 1; failed samples count as wrong",
    "second": "the same of the second model",
    "chance": _CHANCE,
    "delta": "`second` minus `first`",
    "ci_low": _LOW.format("delta"),
    "ci_high": _HIGH.format("delta"),
    "only_second": "number of answers that are right only under the second model",
    "only_first": "number of answers that are right only under the first model",
    "p_value": f"{_PAIR_TEST.format('delta')} (McNemar's for one condition with one question per image)",
    "change_n": "number of questions that both models answered on the clean image as well; empty on clean images",
    "first_change": "what degradation does to the first model: its accuracy here minus that of the same method on the "
    "clean, unrestored images (restored alike, if every image was restored)",
    "first_change_low": _LOW.format("first_change"),
    "first_change_high": _HIGH.format("first_change"),
    "second_change": "the same of the second model",
    "second_change_low": _LOW.format("second_change"),
    "second_change_high": _HIGH.format("second_change"),
    "change_delta": "`second_change` minus `first_change`: above zero if degradation costs the second model less, or "
    "gains it more",
    "change_low": _LOW.format("change_delta"),
    "change_high": _HIGH.format("change_delta"),
    "change_p": _PAIR_TEST.format("change_delta"),
    "p_holm": _HOLM.format("p_value"),
    "change_p_holm": _HOLM.format("change_p"),
}
"""The columns of `models.csv`, in their order."""
