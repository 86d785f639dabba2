"""An RLlib Learner with its own replay: fragments in, many minibatch updates, metrics out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.utils.metrics import ALL_MODULES
from torch import Tensor

from afrl_ray.algorithms.precision import matrix_product_precision
from afrl_ray.algorithms.replay import ColumnarReplay, RowLayout
from afrl_ray.algorithms.replay_log import ReplayLog
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.algorithms.update_rule import Batch
from afrl_ray.networks import Policy, limit_threads
from afrl_ray.seeding import derive_seed

REPLAY = "replay"
PROGRESS = "progress"
NUM_UPDATES_LIFETIME = "num_updates_lifetime"
_BATCHES_PER_GATHER = 64


class OffPolicyLearner(TorchLearner):  # type: ignore[misc]
    """Runs the algorithm's update rule on batches drawn from the replay it holds.

    RLlib's own update path is bypassed: it moves targets once per call instead of once per minibatch, and its
    episode buffer alone costs several updates' time per batch.
    """

    def build(self) -> None:
        if self.config.num_gpus_per_learner and not torch.cuda.is_available():  # RLlib would compute on the processor
            raise ValueError(
                f"runtime.device is cuda, and torch {torch.__version__} finds no GPU on this machine: "
                "it needs torch's CUDA build, and a driver that is new enough for it"
            )
        super().build()
        if self._device.type == "cpu":
            limit_threads(self.config.torch_threads)
        self.settings = self.config.settings
        self.actor_critic: ActorCriticModule = self.module[DEFAULT_MODULE_ID].unwrapped()
        policy = self.actor_critic.policy
        self.layout = RowLayout(policy.observation_size, policy.action_size)
        log = ReplayLog(self.config.replay_log) if self.config.replay_log else None
        self.replay = ColumnarReplay(self.config.replay_capacity, self.layout.width, self._device, log)
        self._generator = torch.Generator(device=self._device)
        self._generator.manual_seed(derive_seed(self.config.seed or 0, "learner"))
        self._num_updates = 0
        self._rule = self.config.rule_class(
            self.actor_critic,
            self.settings,
            {
                name.removeprefix(f"{DEFAULT_MODULE_ID}_"): optimizer
                for name, optimizer in self.get_optimizers_for_module(DEFAULT_MODULE_ID)
            },
        )

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        del config
        module = self._module[module_id].unwrapped()
        for name, optimizer in self.config.rule_class.optimizers(module, self.config.settings).items():
            group = optimizer.param_groups[0]
            self.register_optimizer(
                module_id=module_id,
                optimizer_name=name,
                optimizer=optimizer,
                params=group["params"],
                lr_or_lr_schedule=group["lr"],
            )

    def compute_loss_for_module(self, **_: Any) -> Tensor:
        raise RuntimeError("OffPolicyLearner updates through update_from_replay, not through RLlib's update()")

    def add_rows(self, rows: NDArray[np.float32]) -> int:
        """Append packed transitions (n, width) to the replay; returns its size."""
        self.replay.add(rows)
        return len(self.replay)

    def set_observation_statistics(self, mean: NDArray[np.float32], std: NDArray[np.float32]) -> None:
        """Standardise observations with `mean` and `std`, each (O,), from now on."""
        self.actor_critic.policy.normalizer.set_statistics(mean, std)
        self._weights_seq_no += 1

    def load_module_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Replace networks and normaliser, hand-over from another algorithm's checkpoint."""
        self.actor_critic.load_state_dict(tensors)
        self._weights_seq_no += 1

    def module_tensors(self) -> dict[str, Tensor]:
        return self.actor_critic.state_dict()  # type: ignore[no-any-return]

    def evaluation_policy(self) -> Policy:
        return self.actor_critic.evaluation_policy()

    def update_from_replay(self, fragments: Sequence[NDArray[np.float32]], num_updates: int) -> dict[str, Any]:
        """Add `fragments`, do `num_updates` updates, and return reduced metrics for `Algorithm.metrics`."""
        for rows in fragments:
            self.replay.add(rows)
        if num_updates:
            if not len(self.replay):
                raise RuntimeError("the replay is empty: load transitions before training an offline algorithm")
            for name, value in self._update(num_updates).items():
                self.metrics.log_value((DEFAULT_MODULE_ID, name), value, window=1)
            self._weights_seq_no += 1
        batch_size = self.settings.batch_size
        self.metrics.log_value((ALL_MODULES, NUM_UPDATES_LIFETIME), num_updates, reduce="lifetime_sum")
        self.metrics.log_value(
            (ALL_MODULES, "num_env_steps_trained_lifetime"), num_updates * batch_size, reduce="lifetime_sum"
        )
        self.metrics.log_value((ALL_MODULES, "replay_size"), len(self.replay), window=1)
        return self.metrics.reduce()  # type: ignore[no-any-return]

    def _update(self, num_updates: int) -> dict[str, float]:
        collected: dict[str, list[Tensor]] = {}
        for start in range(0, num_updates, _BATCHES_PER_GATHER):
            for batch in self._batches(min(_BATCHES_PER_GATHER, num_updates - start)):
                self._num_updates += 1
                with matrix_product_precision(self.settings.mixed_precision, self._device):
                    metrics = self._rule.update(batch, self._num_updates)
                for name, value in metrics.items():
                    collected.setdefault(name, []).append(value)
        return {name: torch.stack(values).mean().item() for name, values in collected.items()}

    def _batches(self, count: int) -> list[Batch]:
        batch_size = self.settings.batch_size
        rows = self.replay.sample(count, batch_size, self._generator)
        observations, actions, rewards, next_observations, terminations = self.layout.split(rows)
        draws = self.config.rule_class.noise_draws(self.settings)
        noise = torch.randn(
            (count, draws, batch_size, self.layout.action_size), generator=self._generator, device=self._device
        )
        normalize = self.actor_critic.policy.normalizer
        columns = (normalize(observations), actions, rewards, normalize(next_observations), terminations, noise)
        return [Batch(*batch) for batch in zip(*(column.unbind(0) for column in columns), strict=True)]

    def get_state(self, components: Any = None, *, not_components: Any = None, **options: Any) -> dict[str, Any]:
        state = super().get_state(components, not_components=not_components, **options)
        if self._check_component(REPLAY, components, not_components):
            state[REPLAY] = self.replay.get_state()
        if self._check_component(PROGRESS, components, not_components):
            state[PROGRESS] = {"num_updates": self._num_updates, "generator": self._generator.get_state().numpy()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if PROGRESS in state:
            self._num_updates = state[PROGRESS]["num_updates"]
            self._restore_generator(np.array(state[PROGRESS]["generator"], dtype=np.uint8))

    def _restore_generator(self, saved: NDArray[np.uint8]) -> None:
        """Go on with the saved numbers; where a processor's state meets a GPU, or the other way round, with new ones
        that depend on seed and updates alone."""
        if len(saved) == len(self._generator.get_state()):
            self._generator.set_state(torch.from_numpy(saved))
        else:
            self._generator.manual_seed(derive_seed(self.config.seed or 0, "learner", self._num_updates))

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        return [*super().get_checkpointable_components(), (REPLAY, self.replay)]
