"""Statistics of clean pictures' features for the embedded model: `python -m training.features`; no labels are read."""

from vqttt.features import measure_clean, save_clean
from vqttt.models import CLEAN_FEATURES, EMBEDDED, load_model
from vqttt.tasks import digits, easy_vqa, vq_mini


def main() -> None:
    """Measure 96 training pictures of each of three tasks, and write the file into the checkpoint's folder."""
    samples = [*vq_mini.samples("train", 96), *digits.samples("train")[:96], *easy_vqa.samples("train")[:3000:32][:96]]
    clean = measure_clean(
        load_model("embedded"), [sample.load() for sample in samples], [sample.question for sample in samples]
    )
    save_clean(EMBEDDED / CLEAN_FEATURES, clean)
    print(f"{EMBEDDED / CLEAN_FEATURES}: {len(samples)} pictures")


if __name__ == "__main__":
    main()
