"""Tables of what quality does to the untuned model."""

import polars as pl

from vqttt.results.tables.numbers import tabulate
from vqttt.results.tables.table import Table


def quality_table(effect: pl.DataFrame) -> Table:
    """Tabulate a `quality_effect`."""
    keys = ("model", "task", "category", "degradation", "severity", "restorer", "scale", "seed")
    note = "The untuned model on the same images clean and degraded, in percent. Helped: wrong when clean, right when "
    note += "degraded; hurt: the reverse. p: McNemar's exact test; p of no effect: two one-sided tests for a change "
    note += "within two points. Both after Holm's correction over the whole table."
    numbers = ("n", "clean", "degraded", "change", "helped", "hurt", "p_holm", "p_equal", "verdict")
    return tabulate("Quality effect", effect, keys, numbers if len(effect) else (), note)


def headroom_table(frame: pl.DataFrame) -> Table:
    """Tabulate `paradox.headroom`."""
    note = "What choosing the image's quality could gain the untuned model. Best: the degraded condition with most "
    note += "right answers. Change: from clean, of the best of one half of the samples, measured on the other half. "
    note += "Oracle: takes the best of clean and degraded images; it knows the labels, and grows by luck with the "
    note += "number of conditions."
    numbers = ("n", "conditions", "clean", "best", "change", "oracle") if len(frame) else ()
    frame = frame.with_columns(pl.col("best").str.replace_all("_", " ")) if len(frame) else frame
    return tabulate("Headroom", frame, ("model", "task"), numbers, note)


def redraws_table(frame: pl.DataFrame) -> Table:
    """Tabulate `paradox.redraws`."""
    note = "Answers that degrading made right, of a hundred, beside those that drawing the same degradation anew with "
    note += "another seed makes right; change is the first less the second. At or below zero, all is luck of the draw. "
    note += "Only of degradations that are drawn at random."
    numbers = ("n", "conditions", "seeds", "corrected", "redrawn", "change") if len(frame) else ()
    return tabulate("Corrected or redrawn", frame, ("model", "task"), numbers, note)


def correlation_table(correlations: pl.DataFrame) -> Table:
    """Tabulate `perception.rank_correlations`."""
    note = (
        "Spearman's rank correlation between a measure of the image and the untuned model's score, with 95% "
        "intervals, over all images of the task; and, over those of the same question, Pearson's of ranks and scores "
        "less their means for that question. Of noise level, less is better."
    )
    if len(correlations):
        correlations = correlations.with_columns(measure=pl.col("metric").str.replace_all("_", " "))
    return tabulate("Quality and answers", correlations, ("model", "task", "measure"), ("n", "rho", "within"), note)
