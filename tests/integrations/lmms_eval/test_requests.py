"""What lmms-eval may ask, in its own process: several images, none, broken ones, and what is refused."""

from argparse import Namespace
from pathlib import Path

import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager
from loguru import logger

from tests.integrations.lmms_eval.questions import TASKS, write
from vqttt.errors import InputError, UnknownNameError, UnsupportedError
from vqttt.images.degradations import degrade, image_seed
from vqttt.models import load_model
from vqttt.tasks import vq_mini

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 8
OPTIONS = Namespace(process_with_media=False)  # as the command line has it
FOG = "degradation=fog,severity=4,batch_size=3"


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return TaskManager(include_path=str(TASKS), include_defaults=False)


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager):
    """Return what runs tasks on a small table; it gives results, samples by task, and what was logged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "home")

    def run(arguments: str, *tasks: str, images: dict[int, bytes | None] | None = None, **options):
        write(tmp_path, COUNT, images)
        said: list[str] = []
        sink = logger.add(lambda message: said.append(str(message)), level="INFO")
        try:
            found = simple_evaluate(
                "vqttt", arguments, tasks=list(tasks), task_manager=manager, cli_args=OPTIONS, **options
            )
        finally:
            logger.remove(sink)
        answers = {
            task: [row["resps"] for row in sorted(found["samples"][task], key=lambda row: row["doc_id"])]
            for task in tasks
        }
        return found["results"], answers, "\n".join(said)

    return run


def answers_by_hand(times: int, tokens: int) -> list[str]:
    model, samples = load_model("embedded"), vq_mini.samples("test", COUNT)
    shown = [
        [degrade(sample.load(), "fog", 4, image_seed(0, f"{task}:{n}:{k}")) for k in range(times)]
        for task in ["scenes_twice" if times == 2 else "scenes"]
        for n, sample in enumerate(samples)
    ]
    return [
        model.generate(model.encode([images], [sample.question]), tokens).texts[0]
        for images, sample in zip(shown, samples, strict=True)
    ]


@pytest.mark.parametrize("simple", [False, True])
def test_a_prompt_with_two_images_and_a_limit_of_its_own(evaluate, simple: bool) -> None:
    _, answers, said = evaluate(FOG, "scenes_twice", force_simple=simple)
    assert answers["scenes_twice"] == [[[text]] for text in answers_by_hand(2, 1)]
    assert "temperature=0.7; answers are greedy" in said


def test_a_broken_image_costs_its_own_answer_and_a_text_needs_none(evaluate) -> None:
    _, answers, said = evaluate(FOG, "scenes", images={1: b"not an image", 4: None})
    expected = answers_by_hand(1, 16)
    model, question = load_model("embedded"), vq_mini.samples("test", COUNT)[4].question
    expected[1], expected[4] = "", model.generate(model.encode([[]], [question]), 16).texts[0]
    assert answers["scenes"] == [[[text]] for text in expected]
    assert "7 answered" in said
    assert "1 failed, the first: scenes:1: UnidentifiedImageError" in said


def test_every_task_begins_anew_and_both_modes_agree(evaluate) -> None:
    arguments = "method=vq-ttt,degradation=fog,severity=5,batch_size=4"
    _, both, said = evaluate(arguments, "scenes_twice", "scenes")
    _, alone, _ = evaluate(arguments, "scenes", force_simple=True)
    assert both["scenes"] == alone["scenes"]
    assert said.count(f"{COUNT} answered") == 2


def test_a_stream_that_begins_in_the_middle_is_told(evaluate) -> None:
    _, _, said = evaluate("method=vq-ttt,degradation=fog", "scenes", offset=3)
    assert "lacks documents before 3" in said
    _, _, said = evaluate("method=vq-ttt,degradation=fog", "scenes", repeats=2)
    assert "lacks documents" not in said
    assert "16 answered" in said


def test_what_cannot_be_asked_is_refused(evaluate) -> None:
    with pytest.raises(UnsupportedError, match="scenes_film has a video"):
        evaluate("", "scenes_film")
    with pytest.raises(UnsupportedError, match=r"film.mp4 is not an image"):
        evaluate("", "scenes_film", force_simple=True)
    model = get_model("vqttt")(pretrained="fake")
    with pytest.raises(UnsupportedError, match="several rounds"):
        model.generate_until_multi_round([])
    with pytest.raises(UnsupportedError, match="likelihoods"):
        model.loglikelihood([])


def test_arguments_arrive_as_lmms_eval_reads_them() -> None:
    model = get_model("vqttt")
    made = model.create_from_arg_string("pretrained=fake,severity=2,degradation=fog+webp", {"batch_size": 1})
    assert (made.settings.severity, made.settings.degradation, made.settings.batch_size) == (2, "fog+webp", 20)
    made = model.create_from_arg_string("pretrained=fake,batch_size=4", {"batch_size": "4", "max_batch_size": None})
    assert made.settings.batch_size == 4
    for asked in ("1", "8", 8):
        with pytest.raises(InputError, match="--model_args batch_size=N"):
            model.create_from_arg_string("pretrained=fake", {"batch_size": asked})
    with pytest.raises(UnknownNameError, match="did you mean degradation"):
        model.create_from_arg_string("degradaton=fog", {"batch_size": 1})
