"""The study of ten types of models: what it covers, what it prints, and its exit status."""

import pytest

from experiments import ten_families
from tests.support.small_families import BUILDERS, OTHERS


def test_seven_of_the_ten_types_have_no_file_of_their_own():
    assert set(ten_families.OWN) <= set(BUILDERS)
    assert set(ten_families.DISCOVERED) <= set(OTHERS)
    assert len({*ten_families.OWN, *ten_families.DISCOVERED}) == 10
    assert len(ten_families.DISCOVERED) >= 7


def test_an_answer_that_failed_is_seen_in_the_exit_status(monkeypatch):
    monkeypatch.setattr("sys.argv", ["ten_families"])
    monkeypatch.setattr(ten_families, "study", lambda *_: 3)
    with pytest.raises(SystemExit, match="3 answers failed"):
        ten_families.main()
    monkeypatch.setattr(ten_families, "study", lambda *_: 0)
    ten_families.main()


@pytest.mark.slow
def test_types_of_different_layouts_run_in_one_study(tmp_path, monkeypatch, capsys, one_thread):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # verdicts of this version of the code alone
    assert ten_families.study(("llava_next", "qwen3_5", "gemma4"), tmp_path, limit=2) == 0
    printed = capsys.readouterr().out
    for name in ("llava_next", "qwen3_5", "gemma4"):
        assert f"{name}: 36 answers, 0 failed, tuned: vq-ttt 6, vq-ttt-episodic 6, tent 6\n" in printed
    assert f"Report: {tmp_path / 'run' / 'report.html'}" in printed
    assert (tmp_path / "run" / "report.html").exists()
