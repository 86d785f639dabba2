from afrl_ray.cli.job_status import lines
from afrl_ray.telemetry.report import FailureReport, JobReport, StageReport, TrialReport

REPORT = JobReport(
    updated=1000.0,
    stages=(
        StageReport(name="pretrain", status="finished", started=100.0, ended=165.0, doing="", done=5, total=5),
        StageReport(
            name="finetune",
            status="running",
            started=200.0,
            doing="finetune",
            done=1500,
            total=4000,
            unit="steps",
            note="best 80.0",
        ),
        StageReport(name="evaluation"),
    ),
    trials=(
        TrialReport(
            id="a_0",
            name="fixed q=0.5",
            status="running",
            env_steps=1500,
            wanted_steps=2000,
            q=0.5,
            score={"normal": 90.0, "adversarial": 60.0, "mean": 75.0},
            best_score=80.0,
            steps_per_second=171.6,
            failures=1,
        ),
        TrialReport(id="a_1", name="adaptive", wanted_steps=2000, steps_per_second=None),
    ),
    queues={"trials": 1, "evaluation tasks": 0},
    failures=(FailureReport(time=990.0, kind="trial", message="the worker died", trial="a_0"),),
)


def test_everything_that_is_known_is_shown() -> None:
    shown = "\n".join(lines(REPORT))
    assert shown == (
        "reported: 1970-01-01T00:16:40Z\n"
        "stages:\n"
        "  pretrain    finished  0:01:05\n"
        "  finetune    running   0:13:20  1,500/4,000 steps best 80.0\n"
        "  evaluation  waiting\n"
        "trials:\n"
        "  TRIAL              STATUS   STEPS        Q     SCORE  BEST  CONDITIONS"
        "                    STEPS/S  FAILURES\n"
        "  fixed q=0.5 (a_0)  running  1,500/2,000  0.50  75.0   80.0  normal 90.0 adversarial 60.0  172      1\n"
        "  adaptive (a_1)     waiting  0/2,000                                                                0\n"
        "waiting: 1 trials\n"
        "failures:\n"
        "  1970-01-01T00:16:30Z  trial  a_0  the worker died"
    )


def test_a_job_that_has_only_begun_has_little_to_show() -> None:
    assert list(lines(JobReport())) == ["reported: 1970-01-01T00:00:00Z", "stages:"]


def test_what_a_driver_that_was_killed_had_reported_is_old() -> None:
    assert next(lines(REPORT, is_over=True)) == (
        "reported: 1970-01-01T00:16:40Z and not again before the driver was gone"
    )
    whole = JobReport(stages=(StageReport(name="pretrain", status="stopped"),))
    assert next(lines(whole, is_over=True)) == "reported: 1970-01-01T00:00:00Z"
