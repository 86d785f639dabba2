"""Typical mistakes in single settings of a file, each with the line that a user sees and the exit status."""

from collections.abc import Callable
from pathlib import Path

import pytest

MISTAKES = {
    "misspelt setting": (
        "finetune:\n  stepz: 50000\n",
        "x.yaml: finetune.stepz is not a setting; did you mean finetune.steps?",
    ),
    "misspelt section": (
        "finetun:\n  steps: 50000\n",
        "x.yaml: finetun is not a setting; did you mean finetune?",
    ),
    "setting in the wrong section": (
        "finetune:\n  epsilon: 0.3\n",
        "x.yaml: finetune.epsilon is not a setting; did you mean perturbation.epsilon?",
    ),
    "nothing like it": (
        "attack: {zzz: 1}\n",
        "x.yaml: attack.zzz is not a setting; attack has optimizer, population, generations, step_budget, episodes, "
        "racing, training_bank, validation_bank, evaluation_bank",
    ),
    "setting of another type": (
        "curriculum: {type: linear, beta: 0.3}\n",
        "x.yaml: curriculum.beta is not a setting of curriculum.type=linear, only of adaptive; "
        "set curriculum.type to adaptive",
    ),
    "unknown type": (
        "curriculum: {type: adaptve}\n",
        'x.yaml: curriculum.type is "adaptve"; did you mean adaptive?',
    ),
    "unknown choice": (
        "finetune: {algorithm: {mixed_precision: half}}\n",
        'x.yaml: finetune.algorithm.mixed_precision is "half"; write one of auto, on, off',
    ),
    "missing setting": (
        "data: {type: minari}\n",
        "x.yaml: data.dataset must be given for data.type=minari: "
        "A Minari dataset id (mujoco/hopper/expert-v0), or the folder of one",
    ),
    "text for a number": (
        "finetune: {steps: many}\n",
        'x.yaml: finetune.steps is "many"; write a whole number',
    ),
    "a float beyond all integers": (
        "finetune: {steps: 1.0e+30}",
        "x.yaml: finetune.steps is 1e+30; it is out of range; write a number closer to 0",
    ),
    "fraction for a whole number": (
        "finetune: {steps: 1000.5}\n",
        "x.yaml: finetune.steps is 1000.5; write a whole number",
    ),
    "truth for a number": (
        "finetune: {steps: true}\n",
        "x.yaml: finetune.steps is true; write a number",
    ),
    "out of range": (
        "curriculum: {q: 1.5}\n",
        "x.yaml: curriculum.q is 1.5; it should be less than or equal to 1",
    ),
    "no number at all": (
        "finetune: {algorithm: {actor_learning_rate: 1e400}}\n",
        "x.yaml: finetune.algorithm.actor_learning_rate is Infinity; it should be a finite number",
    ),
    "no bank to choose checkpoints by": (
        "attack: {validation_bank: 0}\n",
        "x.yaml: attack.validation_bank is 0; it should be greater than 0",
    ),
    "nothing to evaluate": (
        "evaluation: {conditions: []}\n",
        "x.yaml: evaluation.conditions is []; write at least 1",
    ),
    "inside a list": (
        "finetune: {algorithm: {hidden_sizes: [256, wide]}}\n",
        'x.yaml: finetune.algorithm.hidden_sizes[1] is "wide"; write a whole number',
    ),
    "value for a section": (
        "finetune: 50000\n",
        "x.yaml: finetune is 50000; write a mapping of its settings: start, algorithm, steps, random_steps, "
        "offline_ratio, replay_capacity, num_envs, evaluation_interval, validation_episodes, checkpoint_interval",
    ),
    "type for a section": (
        "curriculum: adaptive\n",
        "x.yaml: curriculum is a section; write curriculum.type=adaptive, or curriculum: {type: adaptive} in a file",
    ),
    "empty section": (
        "finetune:\nseed: 1\n",
        "x.yaml: finetune is empty; write its settings below it, or leave it out",
    ),
    "dots in a file": (
        "finetune.steps: 50000\n",
        "x.yaml: finetune.steps cannot be written with dots in a file; nest it, as finetune: {steps: …}",
    ),
    "not YAML": (
        "seed: 1\nfinetune: {steps: 5\n",
        "x.yaml: line 3: expected ',' or '}', but got '<stream end>'",
    ),
    "tab": (
        "finetune:\n\tsteps: 5\n",
        "x.yaml: line 2: found character '\\t' that cannot start any token",
    ),
    "an anchor inside of itself": (
        "seed: &a [*a]\n",
        "x.yaml: is not YAML: an anchor stands inside of what it names; write out what is meant",
    ),
    "a tag that does not fit": (
        "tracking:\n  enabled: !!bool maybe\n",
        "x.yaml: is not YAML: a tag (!!) stands before a value that is none of its kind; leave the tag out",
    ),
    "key given twice": (
        "finetune:\n  steps: 50000\nseed: 1\nfinetune:\n  num_envs: 2\n",
        "x.yaml: line 4: finetune is given twice, first in line 1; keep one of them",
    ),
    "a list at the top": (
        "- seed: 1\n",
        "x.yaml: holds no settings; write them as `name: value`, one on each line",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_a_file(mistake: str, refused_file: Callable[[str], tuple[int, str]]) -> None:
    content, line = MISTAKES[mistake]
    assert refused_file(content) == (2, f"error: {line}\n")


def test_every_mistake_gets_a_line(refused: Callable[..., tuple[int, str]]) -> None:
    Path("x.yaml").write_text("finetune: {steps: 0}\nseeed: 1\n")
    assert refused("x.yaml", "attack.population=few") == (
        2,
        'error: override attack.population=few: attack.population is "few"; write a whole number\n'
        "error: x.yaml: finetune.steps is 0; it should be greater than 0\n"
        "error: x.yaml: seeed is not a setting; did you mean seed?\n",
    )


def test_missing_files_name_their_neighbour(refused: Callable[..., tuple[int, str]]) -> None:
    Path("hopper.yaml").touch()
    Path("folder.yaml").mkdir()
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name, line in (
        ("hoper.yaml", "hoper.yaml: there is no such file; did you mean hopper.yaml?"),
        ("ant.yaml", "ant.yaml: there is no such file"),
        ("folder.yaml", "folder.yaml: is a folder; name a YAML file in it"),
        ("binary.yaml", "binary.yaml: is not a text file in UTF-8"),
    ):
        assert refused(name) == (2, f"error: {line}\n")
