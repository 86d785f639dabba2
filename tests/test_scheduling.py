"""What is asked of a cluster, and what no cluster of some nodes can give."""

import pytest

from afrl_ray.config import ExperimentSettings, ResourceRequest, RuntimeSettings
from afrl_ray.config.errors import ConfigError
from afrl_ray.config.loading import load_experiment, with_settings
from afrl_ray.scheduling import actor_options, bundle, demands, pretrain_bundle, refusal, room, trial_bundles

SMALL, LARGE = {"CPU": 2.0}, {"CPU": 8.0, "GPU": 1.0, "memory": 1e9, "node:10.0.0.1": 1.0}


def runtime(**changes: object) -> RuntimeSettings:
    values = {f"runtime.{name.replace('__', '.')}": value for name, value in changes.items()}
    return with_settings(ExperimentSettings(), values).runtime


def test_nothing_asked_is_left_out() -> None:
    assert bundle(ResourceRequest(cpus=0)) == {}
    assert bundle(ResourceRequest(cpus=2, gpus=0.5, custom={"highmem": 1})) == {"CPU": 2, "GPU": 0.5, "highmem": 1}


def test_options_of_an_actor() -> None:
    assert actor_options({"CPU": 2.0, "highmem": 1.0}) == {"num_cpus": 2, "num_gpus": 0, "resources": {"highmem": 1}}
    assert actor_options({}) == {"num_cpus": 0, "num_gpus": 0, "resources": {}}


def test_a_trial_has_a_whole_core_and_each_remote_env_runner_its_own() -> None:
    assert trial_bundles(runtime()) == [{"CPU": 1}]
    assert trial_bundles(runtime(num_env_runners=2, resources__env_runner__cpus=0.5)) == [
        {"CPU": 1},
        {"CPU": 0.5},
        {"CPU": 0.5},
    ]
    with pytest.raises(ConfigError, match=r"runtime\.resources\.trial\.cpus is 0\.5; it should be greater than or"):
        load_experiment(None, ["runtime.resources.trial.cpus=0.5"])


def test_learners_on_cuda_have_a_gpu_or_the_share_they_are_given() -> None:
    assert trial_bundles(runtime(device="cuda")) == [{"CPU": 1, "GPU": 1}]
    assert pretrain_bundle(runtime(device="cuda")) == {"CPU": 1, "GPU": 1}
    assert trial_bundles(runtime(device="cuda", resources__trial__gpus=0.25)) == [{"CPU": 1, "GPU": 0.25}]
    with pytest.raises(ConfigError, match=r"resources\.env_runner asks for nothing"):
        load_experiment(None, ["runtime.num_env_runners=1", "runtime.resources.env_runner.cpus=0"])
    with pytest.raises(ConfigError, match=r"device cuda needs a GPU, but resources\.trial\.gpus is 0"):
        load_experiment(None, ["runtime.device=cuda", "runtime.resources.trial.gpus=0"])


def test_pretraining_has_a_core_for_each_of_its_threads() -> None:
    assert pretrain_bundle(runtime(pretrain_threads=2)) == {"CPU": 2}
    assert pretrain_bundle(runtime(pretrain_threads=2, resources__pretrain__cpus=3)) == {"CPU": 3}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [({"CPU": 1.0}, 8), ({"CPU": 3.0}, 2), ({"CPU": 0.1}, 80), ({"CPU": 1.0, "GPU": 0.5}, 2), ({"TPU": 1.0}, 0)],
)
def test_room_on_a_node(wanted: dict[str, float], count: int) -> None:
    assert room(wanted, LARGE) == count


def test_what_fits_is_not_refused() -> None:
    assert refusal(demands(runtime(), on_cluster=True), [SMALL]) is None
    asked = runtime(device="cuda", resources__driver__cpus=2)
    assert refusal(demands(asked, on_cluster=True), [SMALL, LARGE]) is None


def test_a_refusal_says_what_was_asked_and_what_there_is() -> None:
    asked = demands(runtime(device="cuda", resources__trial__cpus=4), on_cluster=True)
    assert refusal(asked, [SMALL, SMALL, {"GPU": 1.0, "CPU": 1.0}]) == (
        "a trial (runtime.resources.trial) asks for 4 CPU, 1 GPU, which no node can ever give; "
        "the cluster has 2 nodes of 2 CPU and 1 node of 1 CPU, 1 GPU"
    )
    assert "the cluster has none" in str(refusal(asked, []))


def test_parts_that_only_exist_on_different_nodes_are_no_node() -> None:
    asked = demands(runtime(resources__evaluation__custom={"highmem": 1}), on_cluster=False)
    assert refusal(asked, [{"CPU": 4.0}, {"CPU": 0.0, "highmem": 1.0}]) is not None


def test_env_runners_may_be_on_other_nodes_than_their_trial() -> None:
    asked = runtime(num_env_runners=3, resources__trial__custom={"special": 1})
    nodes = [{"CPU": 2.0, "special": 1.0}, {"CPU": 2.0}]
    assert refusal(demands(asked, on_cluster=False), nodes) is None
    too_many = runtime(num_env_runners=4, resources__trial__custom={"special": 1})
    reason = str(refusal(demands(too_many, on_cluster=False), nodes))
    assert "a trial with 4 env runners" in reason
    assert "1 CPU, 1 special and 4 times 1 CPU" in reason


def test_driver_and_pretraining_count_only_on_a_cluster() -> None:
    asked = runtime(resources__driver__cpus=4, resources__pretrain__cpus=4)
    assert refusal(demands(asked, on_cluster=False), [SMALL]) is None
    assert "the driver" in str(refusal(demands(asked, on_cluster=True), [SMALL]))


def test_the_driver_keeps_what_it_has_while_the_others_run() -> None:
    asked = runtime(resources__driver__cpus=1)
    assert refusal(demands(asked, on_cluster=True), [{"CPU": 2.0}]) is None
    assert refusal(demands(asked, on_cluster=True), [{"CPU": 1.0}, {"CPU": 1.0}]) is None
    assert refusal(demands(asked, on_cluster=True), [{"CPU": 1.0}]) == (
        "a trial (runtime.resources.trial) asks for 1 CPU, which no node can ever give while the driver keeps its own "
        "(runtime.resources.driver: 1 CPU); the cluster has 1 node of 1 CPU"
    )
    assert refusal(demands(runtime(), on_cluster=True), [{"CPU": 1.0}]) is None  # it reserves nothing
    with_runners = runtime(resources__driver__cpus=1, num_env_runners=2)
    assert refusal(demands(with_runners, on_cluster=True), [{"CPU": 2.0}, {"CPU": 2.0}]) is None
    assert "2 times 1 CPU" in str(refusal(demands(with_runners, on_cluster=True), [{"CPU": 1.0}, {"CPU": 2.0}]))
    # wherever the driver is, the trial needs the one node that has what it asks for
    special = runtime(resources__driver__cpus=1, resources__trial__custom={"special": 1})
    assert refusal(demands(special, on_cluster=True), [{"CPU": 1.0, "special": 1.0}, {"CPU": 1.0}]) is None
    assert refusal(demands(special, on_cluster=True), [{"CPU": 1.0, "special": 1.0}, {"CPU": 0.0}]) is not None
