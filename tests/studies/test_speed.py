import pytest

from afrl_ray.config import IQLSettings, SACSettings, TD3Settings
from afrl_ray.studies import speed
from afrl_ray.studies.cost import Work


def test_every_algorithm_of_every_robot_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_SECONDS", 0.01)
    td3, iql, sac = TD3Settings(critic_layer_norm=True), IQLSettings(), SACSettings()
    works = [Work("hopper", 10), Work("hopper", 10, 5, td3), Work("ant", 10, 5, iql), Work("hopper", 0, 1, sac)]
    speeds = speed.measure_speeds(works)
    assert set(speeds) == {"hopper", "ant"}
    assert set(speeds["hopper"].updates) == {td3, sac}
    assert set(speeds["ant"].updates) == {iql}
    assert all(rate > 0 for one in speeds.values() for rate in (one.env_steps, one.pgd_steps, *one.updates.values()))
