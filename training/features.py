"""Store feature statistics of clean images for the embedded model: `python -m training.features`. Uses no labels."""

from vqttt.models import CLEAN_FEATURES, EMBEDDED, load_model
from vqttt.tasks import digits, easy_vqa, vq_mini
from vqttt.tuning.feature_statistics import measure_clean, save_clean


def main() -> None:
    """Measure 96 training images of each of three tasks and write the file into the checkpoint's folder."""
    samples = [*vq_mini.samples("train", 96), *digits.samples("train")[:96], *easy_vqa.samples("train")[:3000:32][:96]]
    clean = measure_clean(
        load_model("embedded"), [sample.load() for sample in samples], [sample.question for sample in samples]
    )
    save_clean(EMBEDDED / CLEAN_FEATURES, clean)
    print(f"{EMBEDDED / CLEAN_FEATURES}: {len(samples)} images")


if __name__ == "__main__":
    main()
