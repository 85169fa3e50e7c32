"""Tables of how image quality affects the untuned model."""

import polars as pl

from vqttt.results.tables.columns import tabulate
from vqttt.results.tables.numbers import label
from vqttt.results.tables.table import Table


def quality_table(effect: pl.DataFrame) -> Table:
    """Tabulate `paradox.quality_effect`."""
    keys = ("model", "task", "category", "degradation", "severity", "restorer", "scale", "seed")
    note = (
        "Accuracy of the untuned model on the same images clean and degraded, in percent. Corrected: wrong on the "
        "clean image and right on the degraded one; broken: the reverse. p: McNemar's exact test, over images if "
        "they have several questions; a small p shows a change. p (equivalence within 2 points): two exact one-sided "
        "tests; a small one shows that any change is within two points either way. Both after Holm's correction over "
        "the whole table. Inconclusive: too few questions to tell. Nothing to lose: the clean accuracy is not clearly "
        "above guessing, or within two points of zero."
    )
    names = ("n", "clean", "degraded", "change", "verdict", "corrective", "destructive", "p_holm", "p_equal")
    return tabulate("Quality effect", effect, keys, names, note)


def headroom_table(headroom: pl.DataFrame) -> Table:
    """Tabulate `paradox.headroom`."""
    note = (
        "What choosing the image quality could gain the untuned model. Best: the degraded condition with the highest "
        "accuracy. Change: the gain over clean images of the condition that is best on one half of the samples, "
        "measured on the other half. Best of each image: an oracle that takes the best of the clean and degraded "
        "versions of each image; it knows the right answers, and its accuracy grows by luck with the number of "
        "conditions."
    )
    names = ("n", "conditions", "clean", "best", "change", "oracle")
    return tabulate("Headroom", _in_words(headroom, best="best"), ("model", "task"), names, note)


def redraws_table(redraws: pl.DataFrame) -> Table:
    """Tabulate `paradox.redraws`."""
    note = (
        "Of a hundred answers, how many degradation corrected, and how many redrawing the same degradation with "
        "another seed corrects. Change is the first minus the second; at zero or below, luck of the draw explains all "
        "of it. Only degradations that are drawn at random are included."
    )
    names = ("n", "conditions", "seeds", "corrective_share", "redrawn_share", "change")
    return tabulate("Corrected or redrawn", redraws, ("model", "task"), names, note)


def correlation_table(correlations: pl.DataFrame) -> Table:
    """Tabulate `quality_correlation.rank_correlations`."""
    note = (
        "Correlation of each image quality measure with the untuned model's score, from −1 to +1, with 95% intervals; "
        "above zero, images of a higher measure get better answers. All images: "
        "Spearman's rank correlation over all images of the task. Same question: Pearson's correlation of ranks and "
        "scores after subtracting each question's mean. For noise level, lower is better."
    )
    frame = _in_words(correlations, measure="metric").drop("images", strict=False)  # here n counts degraded images
    return tabulate("Quality and answers", frame, ("model", "task", "measure"), ("n", "rho", "within"), note)


def _in_words(frame: pl.DataFrame, **columns: str) -> pl.DataFrame:
    """Add columns that hold the names of other columns in words; a frame without rows stays as it is."""
    words = {new: pl.col(old).map_elements(label, pl.String) for new, old in columns.items()}
    return frame if frame.is_empty() else frame.with_columns(**words)
