"""Where studies and scales are found: those of the package by name, others by their file."""

from importlib import resources
from pathlib import Path

from afrl_ray.config import ConfigError, load_settings
from afrl_ray.config.study import AnyStudy, AttackersSettings, ScaleSettings, StudySettings
from afrl_ray.config.yaml_file import read_settings_file


def study_names() -> list[str]:
    """The package's studies: tables first, then figures, then the rest."""
    return sorted(_names("catalogue"), key=lambda name: (_rank(name), len(name), name))


def scale_names() -> list[str]:
    """The package's scales, from small to large."""
    known = ["smoke", "small", "paper"]
    return sorted(_names("scales"), key=lambda name: known.index(name) if name in known else len(known))


def load_study(name: str) -> AnyStudy:
    """The study called `name`, or in the YAML file `name`.

    Raises:
        ConfigError: there is none, or it has mistakes, one line each.
    """
    path = _find("catalogue", "study", name)
    kind = read_settings_file(path).get("type", "training")
    if kind not in ("training", "attackers"):
        raise ConfigError(f"{path}: type is {kind!r}; write training or attackers")
    return load_settings(AttackersSettings if kind == "attackers" else StudySettings, path)


def load_scale(name: str) -> ScaleSettings:
    """The scale called `name`, or in the YAML file `name`.

    Raises:
        ConfigError: there is none, or it has mistakes, one line each.
    """
    return load_settings(ScaleSettings, _find("scales", "scale", name))


def short_name(name: str) -> str:
    """What the folder of a study or scale is called."""
    return Path(name).stem if is_file(name) else name


def _find(folder: str, what: str, name: str) -> Path:
    path = Path(name).expanduser() if is_file(name) else _folder(folder) / f"{name}.yaml"
    if not is_file(name) and not path.is_file():
        names = study_names() if folder == "catalogue" else scale_names()
        raise ConfigError(f"there is no {what} {name!r}; write one of {', '.join(names)}, or the path of a YAML file")
    return path


def is_file(name: str) -> bool:
    """Whether a study or scale is meant by its file."""
    return Path(name).suffix in (".yaml", ".yml")


def _names(folder: str) -> list[str]:
    return [path.stem for path in _folder(folder).glob("*.yaml")]


def _folder(name: str) -> Path:
    return Path(str(resources.files("afrl_ray.studies") / name))


def _rank(name: str) -> int:
    return next((rank for rank, prefix in enumerate(("table", "fig")) if name.startswith(prefix)), 2)
