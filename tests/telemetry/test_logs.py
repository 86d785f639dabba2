import io
import json
import logging
from collections.abc import Iterator

import pytest

from afrl_ray.pipeline import progress
from afrl_ray.telemetry import bound, configure_logs, event
from afrl_ray.telemetry.labels import JOB_VARIABLE
from afrl_ray.telemetry.logs import FORMAT_VARIABLE, speak_for


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Where JSON lines go while the test runs."""
    monkeypatch.setenv(FORMAT_VARIABLE, "text")
    written = io.StringIO()
    configure_logs("json", written)
    yield written
    configure_logs("text")


def test_a_line_is_an_object_with_the_labels_that_apply(stream: io.StringIO) -> None:
    with bound(job="hopper-1", stage="finetune", trial="a_0"):
        logging.getLogger("afrl_ray.attacks.bank_actor").warning("could not %s", "read q")
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "afrl_ray.attacks.bank_actor",
        "message": "could not read q",
        "job": "hopper-1",
        "stage": "finetune",
        "trial": "a_0",
    }


def test_an_event_has_fields_and_an_error_its_trace(stream: io.StringIO) -> None:
    event("evaluated", env_steps=100, q=0.5)
    try:
        raise ValueError("no bank")
    except ValueError:
        logging.getLogger("afrl_ray").exception("it failed")
    evaluated, failed = map(json.loads, stream.getvalue().splitlines())
    assert (evaluated["message"], evaluated["env_steps"], evaluated["q"]) == ("evaluated", 100, 0.5)
    assert failed["exception"].endswith("ValueError: no bank")


def test_another_library_speaks_json_where_we_do(stream: io.StringIO) -> None:
    library = logging.getLogger("a_library")
    library.addHandler(logging.NullHandler())
    speak_for("a_library", stream)
    logging.getLogger("a_library.tune").error("Trial task failed")
    assert json.loads(stream.getvalue())["logger"] == "a_library.tune"
    before = list(library.handlers)
    configure_logs("text")
    speak_for("a_library")
    assert library.handlers == before


def test_what_the_pipeline_says_is_a_line_too(stream: io.StringIO) -> None:
    progress.say("pretrain: kept, runs/x", done=5)
    assert json.loads(stream.getvalue())["message"] == "pretrain: kept, runs/x"


def test_the_environment_names_the_job(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB_VARIABLE, "tiny-0123")
    with bound(job="tiny"):
        event("here")
    assert json.loads(stream.getvalue())["job"] == "tiny-0123"


def test_text_logs_are_what_they_were(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "text")
    configure_logs("text")
    event("not for people")
    assert capsys.readouterr().err == ""
    assert logging.getLogger("afrl_ray").propagate
    assert logging.getLogger("afrl_ray").handlers == []


def test_what_has_been_configured_stays_when_nothing_is_asked_for(stream: io.StringIO) -> None:
    configure_logs()
    event("here")
    assert json.loads(stream.getvalue())["message"] == "here"


def test_there_are_no_other_labels() -> None:
    with pytest.raises(KeyError), bound(robot="hopper"):
        pass
