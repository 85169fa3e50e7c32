"""From the records of a study to the rows that are committed: one for each condition and method."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from experiments.method.passes import gate, passes
from experiments.method.plan import Study
from experiments.method.rows import ORACLE, Row, pack
from experiments.method.tasks import row_name, stream_of
from vqttt.images.restorers import CORRECTIONS
from vqttt.methods import MethodSpec
from vqttt.results.statistics import ece
from vqttt.runs.loading import load_records
from vqttt.runs.records import CLEAN, NONE

Answers = dict[tuple[str, str], pl.DataFrame]
"""The records of one condition, by method and restorer."""


def gather(study: Study, run: Path) -> Iterator[Row]:
    """Yield the rows of a finished study, given its run folder."""
    keys = ("model", "task", "degradation", "severity", "seed")
    for records in load_records(run).partition_by(keys, maintain_order=True):
        for part, name in _parts(records):
            yield from _of_condition(study, part, name)


def _parts(records: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, str]]:
    """Yield records of one condition with its degradation's name; a stream's clean and degraded samples apart."""
    if not stream_of(records["task"][0]):
        yield records, records["degradation"][0]
        return
    clean = pl.col("category").str.starts_with(CLEAN)
    for keep, name in ((clean, CLEAN), (~clean, "degraded")):
        if len(part := records.filter(keep)):
            yield part, name


def _of_condition(study: Study, records: pl.DataFrame, name: str) -> Iterator[Row]:
    """Yield the rows of every method but the baseline, of every restorer, and of all corrections together."""
    answers: Answers = dict(records.partition_by("method", "restorer", as_dict=True, maintain_order=True))
    plain = answers[NONE, NONE]
    common = plain.select("model", "severity", "seed").row(0, named=True)
    common |= {"task": row_name(plain["task"][0]), "degradation": name, "batch": study.config.batch}
    common |= {"count": len(plain), "before": pack(plain["base_score"])}
    if plain["source_sha256"].n_unique() < len(plain):  # several questions share an image
        common["images"] = (plain["source_sha256"].rank("dense") - 1).cast(int).to_list()
    specs = study.config.method_specs
    for (method, restorer), found in answers.items():
        if method != NONE:
            yield common | {"method": study.label(method)} | _measured(found, plain, specs[method])
        elif restorer not in (NONE, *CORRECTIONS):
            yield common | {"method": f"restore: {restorer}"} | _measured(found, plain, specs[NONE])
    if all((NONE, correction) in answers for correction in CORRECTIONS):
        scores = {correction: pack(answers[NONE, correction]["score"]) for correction in CORRECTIONS}
        yield common | {"method": ORACLE, ORACLE: scores}


def _measured(records: pl.DataFrame, plain: pl.DataFrame, spec: MethodSpec) -> Row:
    """Return what a row says of a method, given its records and the baseline's, of the same images in the same run.

    A restored image has one look and the confidences of its own untuned answers.
    """
    work = passes(spec)
    admitted = float((records["entropy_before"].to_numpy() >= gate(spec)).mean())
    seconds, plain_seconds = (float(some["seconds"].to_numpy().mean()) for some in (records, plain))
    return {
        "after": pack(records["score"]),
        "calibration": [
            ece(plain["base_confidence"], plain["base_score"]),
            ece(records["confidence"], records["score"]),
        ],
        "looks": round(1 + work.looks * admitted, 3),
        "gradient": work.backward > 0,
        "time": round(seconds / plain_seconds, 2),
    }
