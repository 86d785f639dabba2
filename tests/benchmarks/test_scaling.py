import pytest

from scaling import ScalingSettings, ceilings, estimate, makespan

ROUND = {
    "seeds": 2,
    "arms": 3,
    "robots": 1,
    "steps": 36_000,
    "pretrain_updates": 36_000,
    "data_transitions": 3_600,
    "attack_steps": 36_000,
    "attack_generations": 1,
    "validation_interval": 1_000,
    "validation_episodes": 1,
    "test_episodes": 6,
    "episode_steps": 1_000,
    "steps_per_read": 10,
    "checkpoint_interval": 1_000,
    "checkpoint_bytes": 1.0,
    "training_rate": 10.0,
    "pretrain_rate": 10.0,
    "rollout_rate": 10.0,
    "trial_start": 0.0,
    "loop_seconds": 1e-6,
    "bank_reads": 1e6,
    "storage_rate": 1e6,
    "core_hour": 2.0,
}
"""Numbers that give whole hours: 2 offline trainings and 6 fine-tunings."""


def make(**changes: float) -> ScalingSettings:
    return ScalingSettings.model_validate({**ROUND, **changes})


@pytest.mark.parametrize(
    ("durations", "cores", "expected"),
    [([2, 2, 2], 1, 6), ([2, 2, 2], 2, 4), ([2, 2, 2], 3, 2), ([2, 2, 2], 9, 2), ([3, 1, 1, 1], 2, 3), ([], 4, 0)],
)
def test_pieces_of_work_on_cores(durations: list[float], cores: int, expected: float) -> None:
    assert makespan(durations, cores) == expected


def test_hours_by_hand_on_two_cores() -> None:
    """Data 6 min, offline 1 h, banks 2 × 30 min, fine-tunings in 3 waves of 1 h + 36 × 100 s, tests 1 h / 2."""
    found = estimate(make(), cores=2)
    assert {phase.name: phase.hours for phase in found.phases} == pytest.approx(
        {"data": 0.1, "offline training": 1.0, "attacks": 1.0, "fine-tuning": 6.0, "tests": 0.5}
    )
    assert found.hours == pytest.approx(8.6)
    assert found.dollars == pytest.approx(8.6 * 2 * 2.0)
    assert found.utilisation == pytest.approx((0.2 + 2 + 2 + 12 + 1) / (2 * 8.6))


def test_more_cores_than_chains_leave_the_chains_as_long_as_they_are() -> None:
    many, more = estimate(make(), cores=6), estimate(make(), cores=600)
    chains = {phase.name: (phase.hours, phase.limit) for phase in many.phases}
    assert chains["fine-tuning"] == (pytest.approx(2.0), "6 chains")
    assert chains["offline training"] == (pytest.approx(1.0), "2 chains")
    assert [phase.hours for phase in more.phases if "chains" in phase.limit] == pytest.approx([0.1, 1.0, 2.0])
    assert next(phase for phase in more.phases if phase.name == "attacks").limit == "rounds of the search"


@pytest.mark.parametrize(
    ("changes", "name", "hours"),
    [
        ({"loop_seconds": 100.0}, "Tune's loop, with scheduler and MLflow", 6 * 36 * 100 / 3600),
        ({"bank_reads": 1.0}, "the bank's actor", 6 * 3600 / 3600),
        ({"storage_rate": 0.01}, "the storage, by checkpoints", 6 * 36 * 100 / 3600),
    ],
)
def test_what_all_share_can_be_slower_than_all_cores(changes: dict[str, float], name: str, hours: float) -> None:
    [phase] = [one for one in estimate(make(**changes), cores=6).phases if one.name == "fine-tuning"]
    assert (phase.limit, phase.hours) == (name, pytest.approx(hours))
    assert phase.core_hours == pytest.approx(12.0)


def test_ceilings_say_what_stops_first() -> None:
    """A core takes 5 steps a second: a result in 200 s, half a read a second."""
    found = ceilings(make(loop_seconds=2.0, bank_reads=100.0, storage_rate=0.1))
    assert list(found.values()) == pytest.approx([2.0, 6.0, 20.0, 100.0, 200.0])
    assert list(found)[2:] == [
        "the storage, by checkpoints",
        "Tune's loop, with scheduler and MLflow",
        "the bank's actor",
    ]


def test_a_cluster_has_cores() -> None:
    with pytest.raises(ValueError, match="cores must be at least 1"):
        estimate(make(), cores=0)


def test_every_assumption_is_described() -> None:
    assert all(field.description for field in ScalingSettings.model_fields.values())
