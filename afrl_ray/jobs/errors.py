"""What goes wrong with a cluster's Jobs API, in one line each."""

from collections.abc import Iterator
from contextlib import contextmanager


class JobError(ValueError):
    """A request that the cluster, or we ahead of it, turned down."""


class IdTakenError(JobError):
    """There is a job of this id already."""


@contextmanager
def one_line(url: str) -> Iterator[None]:
    """Turn whatever Ray's clients raise about the cluster at `url` into a `JobError`."""
    import aiohttp
    from ray.exceptions import AuthenticationError
    from ray.util.state.exception import RayStateApiException

    try:
        yield
    except JobError:
        raise
    except AuthenticationError as error:
        wrong = "asks for a token" if "required" in str(error) else "refuses this token"
        raise JobError(
            f"the cluster at {url} {wrong}: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to the file with it"
        ) from error
    except (OSError, RuntimeError, ValueError, RayStateApiException, aiohttp.ClientError) as error:
        raise JobError(f"the cluster at {url} failed to answer: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    """Of a traceback that the server sent, the line with the error itself."""
    lines = [line.strip(" .") for line in str(error).splitlines() if line.strip(" .")]
    return lines[-1][:300] if lines else type(error).__name__
