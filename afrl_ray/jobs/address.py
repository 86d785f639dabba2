"""Which cluster jobs go to, and with which token."""

import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from afrl_ray.jobs.errors import JobError

VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_DASHBOARD_PORT = 8265
_CONNECT_TIMEOUT = 10.0


def find_address(given: str | None, runtime_address: str | None = None) -> str | None:
    """The address of a cluster's dashboard, http://HOST:PORT: the one given, the settings', or the environment's.

    None where there is none: other forms in the settings and the environment are for joining a cluster.

    Raises:
        JobError: `given` is of another form.
    """
    if given is not None:
        if not _is_url(given):
            raise JobError(f"--address {given}: write http://HOST:{_DASHBOARD_PORT}, the address of the dashboard")
        return _with_port(given)
    candidates = [runtime_address, *(os.environ.get(name) for name in VARIABLES)]
    return next((_with_port(address) for address in candidates if address and _is_url(address)), None)


def require_address(given: str | None) -> str:
    """`find_address`, where there has to be one.

    Raises:
        JobError: there is none.
    """
    address = find_address(given)
    if address is None:
        raise JobError(f"no cluster: add --address http://HOST:{_DASHBOARD_PORT}, or set {VARIABLES[0]}")
    return address


def prepare(url: str) -> None:
    """Before Ray is imported: make it use `url`, over which it would prefer the environment, and the token if any.

    Raises:
        JobError: nothing listens there, or the token cannot be read or sent.
    """
    os.environ[VARIABLES[0]] = url
    _check_token()
    variables = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    if any(os.environ.get(name) for name in variables) or (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_CONNECT_TIMEOUT).close()
    except OSError as error:
        raise JobError(f"no cluster answers at {url}: {error.strerror or error}") from error


def _check_token() -> None:
    """
    Raises:
        JobError: there is a token, of characters that no request can have in its head, or in a file that is not there.
    """
    token, name = os.environ.get("RAY_AUTH_TOKEN") or None, "RAY_AUTH_TOKEN"
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if token is None and path:
        name = f"RAY_AUTH_TOKEN_PATH={path}"
        try:
            token = Path(path).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise JobError(f"{name}: {getattr(error, 'strerror', None) or 'this is no text'}") from error
    if token is not None and not re.fullmatch("[ -~]+", token.strip()):
        raise JobError(f"{name}: a token is one line of printable ASCII characters")


def _is_url(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _with_port(url: str) -> str:
    parts = urlsplit(url.rstrip("/"))
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise JobError(f"{url} names no host and port: write http://HOST:{_DASHBOARD_PORT}")
    if port is not None:
        return parts.geturl()
    default = 443 if parts.scheme == "https" else _DASHBOARD_PORT
    return parts._replace(netloc=f"{parts.netloc}:{default}").geturl()
