"""What methods cost beside what they gain."""

import polars as pl

from vqttt.stats import ALL


def costs(records: pl.DataFrame, overview: pl.DataFrame) -> pl.DataFrame:
    """Add to each row of an `overview` what time its method took, over all its samples that did not fail.

    New columns: `seconds` a sample, the mean, with median `p50` and `p95`; and `tuned`, the share of samples that took
    a step. Rows without any time are left out.
    """
    answered = records.filter(pl.col("error") == "", pl.col("seconds").is_not_nan())
    numbers = [pl.col("seconds").mean(), (pl.col("steps") > 0).mean().alias("tuned")]
    numbers += [pl.col("seconds").quantile(q / 100, "linear").alias(f"p{q}") for q in (50, 95)]
    keys = ["model", "task", "method"]
    spent = pl.concat(
        [
            part.group_by(keys, maintain_order=True).agg(numbers)
            for part in (answered.with_columns(task=pl.lit(ALL)), answered)
        ]
    )
    return overview.join(spent, on=keys, how="inner", maintain_order="left")
