from collections import deque
from pathlib import Path

from afrl_ray.tracking.unsent import Journal, Point, Unsent, waiting_runs

ONE = Unsent({"beta": "0.3"}, {"tag": "x"}, deque([Point("a", 0.1, 1, 10)]), deque([("/file", None)]), "RUNNING")
TWO = Unsent(points=deque([Point("a", 1 / 3, 2, 20), Point("b", 5.0, 2, 20)]), status="FINISHED")
BOTH = Unsent({"beta": "0.3"}, {"tag": "x"}, deque([*ONE.points, *TWO.points]), deque([("/file", None)]), "FINISHED")


def test_a_journal_gives_back_everything_in_its_order(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "unsent"), "key/trial", "a trial")
    assert not journal.read().any()
    journal.append(ONE)
    journal.append(TWO)
    assert Journal(str(tmp_path / "unsent"), "key/trial", "a trial").read() == BOTH
    assert waiting_runs(str(tmp_path / "unsent")) == {"key/trial": "a trial"}


def test_runs_have_journals_of_their_own(tmp_path: Path) -> None:
    one, two = (Journal(str(tmp_path), key, key) for key in ("key", "key/trial"))
    one.append(ONE)
    two.append(TWO)
    one.clear()
    assert not one.read().any()
    assert two.read() == TWO
    assert waiting_runs(str(tmp_path)) == {"key/trial": "key/trial"}


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "key", "name")
    journal.append(ONE)
    journal.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "key", "name")
    journal.append(ONE)
    (Path(journal.folder) / ".00-half").write_text('{"key": "key", "na')
    assert journal.read() == ONE


def test_only_what_was_read_is_deleted(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "key", "name")
    journal.append(ONE)
    other = Journal(str(tmp_path), "key", "name")
    other.append(TWO)
    journal.clear()
    assert Journal(str(tmp_path), "key", "name").read() == TWO
    other.clear()
    assert list(tmp_path.iterdir()) == []
    journal.append(ONE)
    other.clear()  # knows of nothing
    assert Journal(str(tmp_path), "key", "name").read() == ONE


def test_what_another_process_has_deleted_is_no_error(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "key", "name")
    journal.append(ONE)
    other = Journal(str(tmp_path), "key", "name")
    assert other.read() == ONE
    other.clear()
    journal.clear()
    assert list(tmp_path.iterdir()) == []
