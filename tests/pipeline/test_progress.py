from collections.abc import Iterator

import pytest

from afrl_ray.pipeline import progress


@pytest.fixture
def sent() -> Iterator[list[tuple[int, int]]]:
    """What is reported to a sink while the test runs."""
    received: list[tuple[int, int]] = []
    progress.send_progress_to(lambda done, total: received.append((done, total)))
    yield received
    progress.send_progress_to(None)


def test_a_process_without_a_terminal_may_report_to_another(
    sent: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress("pretrain", 30, "updates") as report:
        report.update(10, "a note")
        report.update(30)
    assert sent == [(10, 30), (30, 30)]
    assert capsys.readouterr().err == ""
