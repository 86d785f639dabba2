"""Typical mistakes in overrides, each with the line that a user sees and the exit status."""

from collections.abc import Callable
from pathlib import Path

import pytest

MISTAKES = {
    "a core by another name": (
        "runtime.resources.trial.custom={CPU: 0.1}",
        'override runtime.resources.trial.custom={CPU: 0.1}: runtime.resources.trial.custom is {"CPU": 0.1}; '
        "CPU is no custom resource; write cpus beside custom",
    ),
    "memory": (
        "runtime.resources.pretrain.custom.memory=4",
        'override runtime.resources.pretrain.custom.memory=4: runtime.resources.pretrain.custom is {"memory": 4}; '
        "memory cannot be reserved here; name a custom resource of your own, such as highmem",
    ),
    "less than Ray counts": (
        "runtime.resources.evaluation.cpus=0.00001",
        "override runtime.resources.evaluation.cpus=0.00001: runtime.resources.evaluation: "
        "cpus is 1e-05, and Ray counts in steps of 0.0001",
    ),
    "one and a half GPUs": (
        "runtime.resources.trial.gpus=1.5",
        "override runtime.resources.trial.gpus=1.5: runtime.resources.trial: "
        "gpus is 1.5; write a share of one GPU, or a whole number of them",
    ),
    "misspelt": (
        "finetune.stepz=5",
        "override finetune.stepz=5: finetune.stepz is not a setting; did you mean finetune.steps?",
    ),
    "misspelt section": (
        "finetune.algoritm.tau=0.1",
        "override finetune.algoritm.tau=0.1: finetune.algoritm.tau is not a setting; "
        "did you mean finetune.algorithm.tau?",
    ),
    "below a value": (
        "seed.first=1",
        "override seed.first=1: seed.first is not a setting; seed holds one value",
    ),
    "far below a value": (
        "seed.first.digit=1",
        "override seed.first.digit=1: seed.first.digit is not a setting; seed holds one value",
    ),
    "in no section": (
        "a.b.c=1",
        "override a.b.c=1: a.b.c is not a setting; the top level has name, seed, output, environment, data, pretrain, "
        "perturbation, attack, finetune, curriculum, search, evaluation, tracking, runtime",
    ),
    "in no section of a section": (
        "tracking.x.y=1",
        "override tracking.x.y=1: tracking.x.y is not a setting; tracking has enabled, uri, experiment",
    ),
    "number for a folder": (
        "output=5",
        "override output=5: output is 5; write a folder, or s3://BUCKET/PREFIX",
    ),
    "an anchor inside of itself": (
        "seed=&a [*a]",
        "override seed=&a [*a]: the value is not YAML: an anchor stands inside of what it names; "
        "write out what is meant",
    ),
    "no value": (
        "finetune.steps",
        "override finetune.steps: write it as NAME=VALUE, like finetune.steps=50000",
    ),
    "value not YAML": (
        "finetune.algorithm.hidden_sizes=[256",
        "override finetune.algorithm.hidden_sizes=[256: the value is not YAML: "
        "expected ',' or ']', but got '<stream end>'",
    ),
    "out of range": (
        "finetune.offline_ratio=-1",
        "override finetune.offline_ratio=-1: finetune.offline_ratio is -1; it should be greater than or equal to 0",
    ),
    "against the rest": (
        "finetune.steps=1000",
        "override finetune.steps=1000: finetune: evaluation_interval (5000) is longer than steps (1000); "
        "write evaluation_interval: 1000 or less",
    ),
    "unknown algorithm": (
        "finetune.algorithm.type=scc",
        'override finetune.algorithm.type=scc: finetune.algorithm.type is "scc"; did you mean sac?',
    ),
    "offline policy that the online algorithm cannot take": (
        "pretrain.algorithm.type=cql",
        "override pretrain.algorithm.type=cql: finetune.algorithm.type=td3 cannot take the gaussian policy of "
        "pretrain.algorithm.type=cql; set finetune.algorithm.type to sac, or pretrain.algorithm.type to td3_bc",
    ),
    "algorithms of a search that do not fit": (
        "search.space.finetune.algorithm.type=[td3, sac]",
        'override search.space.finetune.algorithm.type=[td3, sac]: search.space (finetune.algorithm.type="sac"): '
        "finetune.algorithm.type=sac cannot take the deterministic policy of pretrain.algorithm.type=td3_bc; "
        "set finetune.algorithm.type to td3, or pretrain.algorithm.type to iql or cql",
    ),
    "in a search": (
        "search.space.curriculum.q=[0.5, 2]",
        "override search.space.curriculum.q=[0.5, 2]: search.space (curriculum.q=2): curriculum.q is 2; "
        "it should be less than or equal to 1",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_an_override(mistake: str, refused: Callable[..., tuple[int, str]]) -> None:
    override, line = MISTAKES[mistake]
    Path("x.yaml").write_text("seed: 3\n")
    assert refused("x.yaml", override) == (2, f"error: {line}\n")
