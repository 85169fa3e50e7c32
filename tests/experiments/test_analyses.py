"""The experiment's ground truth: the box of the thing that a question is about contains that thing."""

import numpy as np

from experiments.analyses.page import lens_table
from experiments.analyses.places import asked, box, share_inside
from vqttt.tasks import vq_mini
from vqttt.tasks.vq_mini.drawing import COLOR_LABELS, draw


def test_the_box_contains_what_is_asked_about() -> None:
    types = set()
    for index in range(160):
        scene, question = vq_mini.scene_and_question("dev", index)
        item = asked(scene, question)
        if item is None:
            continue
        types.add(question.type)
        inside, colors = box(item), draw(scene)[2]
        of_color = colors == COLOR_LABELS.index(item.color)
        assert of_color[inside].mean() > 0.1, (question, item)
        if sum(other.color == item.color for other in scene.items) == 1 and not item.font:
            assert of_color[inside].sum() > 0.93 * of_color.sum(), (question, item)
        if question.type in ("color_of", "color_at", "extreme_bar"):
            assert question.answer == item.color
        if question.type in ("shape_of", "shape_at", "word", "number"):
            assert question.answer == item.name.lower()
        if question.type == "bar_value":
            assert question.answer == str(item.value)
    assert len(types) == 9


def test_questions_about_several_things_or_none_have_no_box() -> None:
    for index in range(160):
        scene, question = vq_mini.scene_and_question("dev", index)
        if question.category in ("counting", "comparison", "arithmetic") or question.answer == "no":
            assert asked(scene, question) is None


def test_share_inside() -> None:
    inside = np.zeros((224, 224), bool)
    inside[:112, :56] = True
    weights = np.array([[3.0, 0], [1, 0]])
    assert share_inside(weights, inside) == 3 / 8
    assert share_inside(np.ones((8, 8)), inside) == inside.mean()


def test_the_table_of_the_logit_lens_shows_entropies_of_any_size() -> None:
    states = {"clean": [2.0, 0.5], "degraded": [4.0, 1.5], "tuned": [3.0, 1.0]}
    rows = [
        {"state": state, "kind": "" if state == "clean" else "fog", "n": n, "entropy": entropy, "truth": [0.5, 0.5],
         "appears": 1}
        for n in range(40)
        for state, entropy in states.items()
    ]  # fmt: skip
    lines = [line for line in lens_table(rows).splitlines() if line.startswith("| entropy, layer")]
    for line, numbers in zip(lines, (("2.00 [", "+2.00 [", "-1.00 ["), ("0.50 [", "+1.00 [", "-0.50 [")), strict=True):
        assert all(cell.strip().startswith(number) for cell, number in zip(line.split("|")[2:5], numbers, strict=True))
