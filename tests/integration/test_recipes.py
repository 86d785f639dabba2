"""What stands in cluster/ and docker/, as far as it can be checked without running it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAUNCHERS = sorted((ROOT / "cluster").glob("*.yaml"))
SCRIPTS = sorted([*(ROOT / "cluster").glob("*.sh"), *(ROOT / "docker").glob("*.sh")])
DOCKERFILE = ROOT / "docker" / "Dockerfile"
[RAY_VERSION] = re.findall(r"^ray==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def tool(name: str) -> str:
    """A program of the [dev] extra, from the environment that runs the tests."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_the_local_cluster_says_what_its_interpreter_lacks(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    for python, message in ((bare, "has no Ray: set PYTHON to"), (tmp_path / "none", "there is no such command")):
        settings = {"PYTHON": str(python), "DASHBOARD_PORT": "8999", "STATE": str(tmp_path / "state")}
        command = [ROOT / "cluster" / "local.sh"]
        done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert message in done.stderr
    assert not (tmp_path / "state").exists()


# ---- Ray's cluster launcher ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.stem)
def test_launcher_files_are_what_ray_wants(path: Path) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(load(path)))


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.stem)
def test_launched_nodes_ask_for_a_token_and_hide_their_dashboard(path: Path) -> None:
    config = load(path)
    starts = [c for c in config["head_start_ray_commands"] + config["worker_start_ray_commands"] if "ray start" in c]
    assert len(starts) == 2
    for command in starts:
        assert "RAY_AUTH_MODE=token" in command
        assert "AFRL_STORAGE=" in command
        assert not unknown_options(command)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert "secrets" in config["rsync_exclude"]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert config["setup_commands"][0].startswith("chmod 600 ~/.ray/auth_token")


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("before", ["", "# no end of line"])
def test_launched_nodes_find_ray_by_its_name(path: Path, before: str, tmp_path: Path) -> None:
    """What is run every time that a node is set up adds one line, once, to a shell's settings."""
    [command] = [command for command in load(path)["setup_commands"] if ".bashrc" in command]
    (tmp_path / ".bashrc").write_text(before)
    for _ in range(2):
        subprocess.run(["bash", "-c", command], env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, check=True)
    settings = (tmp_path / ".bashrc").read_text()
    assert settings.split() == f'{before} export PATH="$HOME/.afrl/bin:$PATH"'.split()
    assert settings.splitlines()[-1].startswith("export PATH=")


def unknown_options(command: str) -> set[str]:
    """Options of `ray start` in `command` that this version of Ray does not have."""
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    return set(re.findall(r"--[a-z-]+", command.partition("ray start")[2])) - known


# ---- KubeRay -------------------------------------------------------------------------------------------------------


def cluster_specs() -> list[tuple[str, dict[str, Any]]]:
    folder = ROOT / "cluster" / "kuberay"
    job = load(folder / "rayjob.yaml")
    return [("raycluster", load(folder / "raycluster.yaml")["spec"]), ("rayjob", job["spec"]["rayClusterSpec"])]


def groups(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


@pytest.mark.parametrize(("name", "spec"), cluster_specs())
def test_pods_are_what_kubernetes_wants(name: str, spec: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for group in groups(spec):
        template = {"metadata": {"name": name}, **group["template"]}
        document = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": template}
        kubernetes_validate.validate(document, "1.31", strict=True)


def test_the_claim_is_what_kubernetes_wants() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    claim = load(ROOT / "cluster" / "kuberay" / "storage.yaml")
    kubernetes_validate.validate(claim, "1.31", strict=True)
    for _, spec in cluster_specs():
        for group in groups(spec):
            volumes = group["template"]["spec"]["volumes"]
            assert {"claimName": claim["metadata"]["name"]} in [v.get("persistentVolumeClaim") for v in volumes]


@pytest.mark.parametrize(("name", "spec"), cluster_specs())
def test_ray_start_gets_what_it_knows(name: str, spec: dict[str, Any]) -> None:
    from ray.scripts.scripts import start

    known = {option.removeprefix("--") for parameter in start.params for option in parameter.opts}
    for group in groups(spec):
        assert group["rayStartParams"].keys() <= known, name
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize(("name", "spec"), cluster_specs())
def test_groups_are_consistent_and_closed(name: str, spec: dict[str, Any]) -> None:
    assert spec["rayVersion"] == RAY_VERSION, name
    assert spec["authOptions"] == {"mode": "token"}
    for group in groups(spec):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert container["image"] == f"afrl_ray:{RAY_VERSION}"
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert not container["securityContext"]["allowPrivilegeEscalation"]
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    assert len(set(names)) == len(names)
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_kubernetes_job_runs_a_file_of_the_image() -> None:
    job = load(ROOT / "cluster" / "kuberay" / "rayjob.yaml")
    command, verb, config = job["spec"]["entrypoint"].split()
    assert (command, verb) == ("afrl", "run")
    assert (ROOT / Path(config).relative_to("/app")).is_file()


@pytest.mark.skipif("KUBERAY_CRD_DIR" not in os.environ, reason="KUBERAY_CRD_DIR names no folder of KubeRay's CRDs")
@pytest.mark.parametrize("name", ["raycluster", "rayjob"])
def test_kuberay_knows_every_field(name: str) -> None:
    import jsonschema

    [crd] = Path(os.environ["KUBERAY_CRD_DIR"]).glob(f"*{name}s.yaml")
    [version] = [version for version in load(crd)["spec"]["versions"] if version["name"] == "v1"]
    jsonschema.validate(load(ROOT / "cluster" / "kuberay" / f"{name}.yaml"), version["schema"]["openAPIV3Schema"])


# ---- containers and scripts ----------------------------------------------------------------------------------------


def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run([tool("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_images_run_as_nobody_special() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)[1:]
    last = {stage.split()[2]: stage for stage in stages}
    assert "USER 1000:1000" in last["base"]
    for name in ("ray", "mlflow"):
        assert last[name].startswith("base AS")
        assert "HEALTHCHECK" in last[name]
        assert "USER" not in last[name]


def test_what_the_dockerfile_copies_is_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources == kept
    assert all((ROOT / source).exists() for source in sources)


def test_compose_is_what_its_specification_wants() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "docker" / "compose.yaml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_compose_has_no_passwords_and_only_local_ports() -> None:
    compose = load(ROOT / "docker" / "compose.yaml")
    assert set(compose["services"]) == {"head", "worker", "mlflow", "database", "prometheus", "grafana"}
    for service in compose["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE")
            assert "PASSWORD" not in name or value.startswith("/run/secrets/")
            assert "TOKEN" not in name or value.startswith("/run/secrets/")
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
    for name in ("head", "worker"):
        service = compose["services"][name]
        assert service["image"] == f"afrl_ray:{RAY_VERSION}"
        assert not unknown_options(" ".join(service["command"]))
        assert service["volumes"] == ["artifacts:/storage"]


def test_the_database_is_healthy_only_with_all_it_is_to_have() -> None:
    """pg_isready looks at no database, and the server that makes them listens on a socket alone."""
    [shell, command] = load(ROOT / "docker" / "compose.yaml")["services"]["database"]["healthcheck"]["test"]
    assert shell == "CMD-SHELL"
    words = shlex.split(command)
    assert words[words.index("psql") :] == [
        *("psql", "--host=127.0.0.1", "--username=mlflow", "--dbname=mlflow_auth", "--command=select 1")
    ]
    assert "mlflow_auth" in (ROOT / "docker" / "database.sh").read_text()


def test_secrets_are_random_made_once_and_their_owners_alone(tmp_path: Path) -> None:
    script = tmp_path / "secrets.sh"
    script.write_bytes((ROOT / "docker" / "secrets.sh").read_bytes())
    contents = []
    for _ in range(2):
        subprocess.run(["sh", script], check=True)
        contents.append({file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == set(load(ROOT / "docker" / "compose.yaml")["secrets"])
    assert len(set(contents[0].values())) == 5
    assert all(re.fullmatch("[0-9a-f]{64}", content) for content in contents[0].values())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(path: Path) -> None:
    assert os.access(path, os.X_OK)
    done = subprocess.run([tool("shellcheck"), "--severity=warning", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
