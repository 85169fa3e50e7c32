"""Opening a benchmark's table with the library `datasets`, from the Hugging Face Hub or from disk.

Arrow maps the table into memory, and images stay encoded until they are needed, so memory use stays small.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqttt.errors import InputError, MissingExtraError, in_a_line
from vqttt.tasks.benchmarks.spec import Benchmark, Row
from vqttt.tasks.cells import open_image
from vqttt.types import Image


class Table:
    """The rows of a dataset, and their images."""

    def __init__(self, data: Any, images: Sequence[str], folder: Path | None) -> None:
        """Wrap a `datasets.Dataset`; paths of images are relative to `folder`."""
        self.columns: list[str] = data.column_names
        self.folder = folder
        self._images = [name for name in images if name in self.columns]
        self._data = _encoded(data, self._images)
        self._columns = {name: self._data.select_columns([name]) for name in self._images}

    def rows(self) -> Iterator[Row]:
        """Yield all rows in order, without their images."""
        data = self._data.remove_columns(self._images)
        for start in range(0, len(data), 1000):
            batch = range(start, min(start + 1000, len(data)))
            try:
                yield from _rows(data[batch.start : batch.stop])
            except UnicodeDecodeError:  # one bad cell does not cost the other rows
                yield from map(partial(_row, data), batch)

    def image_counts(self) -> list[int]:
        """Return the number of images in each row, without reading the images: Arrow stores which cells are empty."""
        counts = np.zeros(len(self._data), np.int64)
        table, chosen = self._data.data, self._data._indices
        for name in self._images:
            there = _valid(table.column(name))
            # A table may have been saved with a selection: the numbers of the rows that belong to it.
            counts += there if chosen is None else there[chosen.column(0).to_numpy()]
        return [int(count) for count in counts]

    def image(self, column: str, row: int) -> Image:
        """Decode one image.

        Raises:
            InputError: if the cell does not hold exactly one image, or it cannot be decoded.
        """
        return open_image(self._columns[column][row][column], self.folder or Path())


def _rows(columns: dict[str, list[Any]]) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _row(data: Any, number: int) -> Row:
    """Return one row; empty if it has a text that is not UTF-8."""
    try:
        return dict(data[number])
    except UnicodeDecodeError:
        return {}


def open_table(benchmark: Benchmark, where: str, config: str = "", needed: Sequence[str] | None = None) -> Table:
    """Open a benchmark's table.

    Args:
        benchmark: which one.
        where: a folder or parquet file; empty for the Hugging Face Hub.
        config: the configuration to open; by default the benchmark's own.
        needed: the columns that must exist; by default those of the benchmark.

    Raises:
        MissingExtraError: if `datasets` is not installed.
        InputError: if the table cannot be loaded, or lacks columns.
    """
    try:
        import datasets
    except ImportError:
        raise MissingExtraError(
            f"the task {benchmark.name} needs the package datasets: pip install 'vqttt[benchmarks]'"
        ) from None
    config = config or benchmark.config
    data = _from_disk(datasets, benchmark, Path(where), config) if where else _from_hub(datasets, benchmark, config)
    table = Table(data, benchmark.images, _folder(where))
    wanted = (*benchmark.columns, benchmark.images[0]) if needed is None else needed
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise InputError(
            f"{where or benchmark.hub} is not {benchmark.name}: it lacks the column{'s' * (len(missing) != 1)} "
            f"{', '.join(missing)} and has {', '.join(table.columns)}; "
            f"{benchmark.name} is {benchmark.hub} on the Hub, split {benchmark.split}"
        )
    return table


def _valid(column: Any) -> NDArray[np.bool_]:
    """Tell which cells of a column of images are not empty: those with bytes or a path."""
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_struct(column.type):
        parts = [compute.struct_field(column, name).is_valid().to_numpy() for name in ("bytes", "path")]
        return np.asarray(parts[0] | parts[1], np.bool_)
    return np.asarray(column.is_valid().to_numpy(), np.bool_)


def _from_hub(datasets: Any, benchmark: Benchmark, config: str) -> Any:
    files = {"data_files": {benchmark.split: benchmark.files}} if benchmark.files else {}
    try:
        return datasets.load_dataset(benchmark.hub, config or None, split=benchmark.split, **files)
    except Exception as error:  # being offline raises a different error in each layer below
        raise InputError(
            f"cannot load {benchmark.hub} from the Hugging Face Hub ({in_a_line(error)[:200]}); without a "
            f"network, download it elsewhere and give its folder or parquet file: --task {benchmark.name}:PATH"
        ) from error


def _from_disk(datasets: Any, benchmark: Benchmark, path: Path, config: str) -> Any:
    saved, files = _find(path, config, benchmark.split)
    if saved is None and not files:
        raise InputError(
            f"{path} does not contain {benchmark.name}; give a folder written by save_to_disk of datasets, a folder "
            f"with parquet files of the split {benchmark.split}, or one such file"
        )
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        if saved is None:
            # Unlike load_dataset, this does not contact the Hub.
            return datasets.Dataset.from_parquet(list(map(str, files)))
        data = datasets.load_from_disk(str(saved))
    except Exception as error:  # Arrow raises errors of any type on damaged files
        raise InputError(f"cannot read {path} as a table ({in_a_line(error)[:200]}); download it again") from error
    finally:
        if bars:
            datasets.enable_progress_bars()
    if not isinstance(data, datasets.DatasetDict):
        return data
    if benchmark.split not in data:
        raise InputError(f"{path} has no split {benchmark.split!r}; it has {', '.join(data)}")
    return data[benchmark.split]


def _find(path: Path, config: str, split: str) -> tuple[Path | None, list[Path]]:
    """Find a saved dataset, or parquet files: those named after the split, else those not named after any split."""
    if path.is_file():
        return None, [path] if path.suffix == ".parquet" else []
    inside = path / config if config and (path / config).is_dir() else path
    for saved in (inside, inside / split):
        if any((saved / name).is_file() for name in ("dataset_info.json", "dataset_dict.json", "state.json")):
            return saved, []
    files = sorted(inside.rglob("*.parquet"))
    named = re.compile(rf"{split}(?![A-Za-z])")
    of_split = [file for file in files if named.match(file.name) or split in file.relative_to(inside).parts[:-1]]
    others = ("train", "test", "val", "dev")
    return None, of_split or [file for file in files if not file.name.startswith(others)]


def _folder(where: str) -> Path | None:
    path = Path(where)
    return None if not where else path if path.is_dir() else path.parent


def _encoded(data: Any, images: Sequence[str]) -> Any:
    """Turn off decoding in columns that `datasets` knows to be images."""
    import datasets

    for name in images:
        feature = data.features[name]
        if isinstance(feature, datasets.Image):
            data = data.cast_column(name, datasets.Image(decode=False))
        elif isinstance(feature, datasets.List) and isinstance(feature.feature, datasets.Image):
            data = data.cast_column(name, datasets.List(datasets.Image(decode=False)))
    return data
