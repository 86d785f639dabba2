import os
import socket

import pytest

from afrl_ray.jobs.address import find_address, prepare, require_address
from afrl_ray.jobs.errors import JobError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that whatever is set later goes away with the test
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://head", "http://head:8265"),
        ("http://head:9000/", "http://head:9000"),
        ("https://ray.example.org", "https://ray.example.org:443"),
        ("http://[::1]:8265", "http://[::1]:8265"),
    ],
)
def test_an_address_gets_its_port(given: str, address: str) -> None:
    assert find_address(given) == address


@pytest.mark.parametrize(
    "given",
    ["head:8265", "auto", "ray://head:10001", "", "http://head:99999", "http://head:abc", "http://", "http://:8265"],
)
def test_other_forms_are_refused_with_the_right_one(given: str) -> None:
    with pytest.raises(JobError, match=f"{given}.*: write http://HOST:8265"):
        find_address(given)


def test_the_order_of_those_who_may_give_it(environment: pytest.MonkeyPatch) -> None:
    assert find_address(None) is None
    with pytest.raises(JobError, match="no cluster: add --address"):
        require_address(None)
    environment.setenv("RAY_ADDRESS", "http://four:1")
    assert find_address(None) == "http://four:1"
    environment.setenv("RAY_API_SERVER_ADDRESS", "http://three:1")
    assert find_address(None) == "http://three:1"
    assert find_address(None, "http://two:1") == "http://two:1"
    assert find_address("http://one:1", "http://two:1") == "http://one:1"


def test_addresses_for_joining_are_not_for_jobs(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert find_address(None, "auto") is None


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(JobError, match=f"no cluster answers at {url}: Connection refused"):
            prepare(url)


def test_a_token_turns_authentication_on(environment: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment.setenv("HOME", "/nonexistent")
        environment.setenv("RAY_ADDRESS", "http://elsewhere:1")
        prepare(url)
        assert os.environ["RAY_API_SERVER_ADDRESS"] == url
        assert "RAY_AUTH_MODE" not in os.environ
        environment.setenv("RAY_AUTH_TOKEN", "secret")
        prepare(url)
        assert os.environ["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RAY_AUTH_TOKEN_PATH", "/nowhere/token", "RAY_AUTH_TOKEN_PATH=/nowhere/token: No such file or directory"),
        ("RAY_AUTH_TOKEN", "\u00fcmlaut", "RAY_AUTH_TOKEN: a token is one line of printable ASCII characters"),
        ("RAY_AUTH_TOKEN", "two\nlines", "RAY_AUTH_TOKEN: a token is one line of printable ASCII characters"),
    ],
)
def test_tokens_that_no_cluster_would_take(
    environment: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    environment.setenv(variable, value)
    with pytest.raises(JobError) as error:
        prepare("http://127.0.0.1:9")
    assert str(error.value) == message
