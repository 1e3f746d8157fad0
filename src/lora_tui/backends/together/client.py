"""The one door to Together: its SDK's client with our key, and every way it can fail as one clear error.

Written for together 3.1; its paths carry the API's version, so an address that ends in /v1 (as release 2 wanted it) is
cut there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec

from lora_tui.backends.service_address import service_address
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.keys import hidden, key

if TYPE_CHECKING:
    from together import Together

T = TypeVar("T")

PEER = "together"
KEY = "TOGETHER_API_KEY"
ADDRESS = "TOGETHER_BASE_URL"
_AT = "https://api.together.ai"
_QUOTED = 240  # characters of what the server says

# status: what it means, what to do
_WORDS = {
    400: ("Together does not take the request", "Change what it names, then try again."),
    401: ("Together does not accept the key", f"Set ${KEY} to a key of api.together.ai (Settings, API keys)."),
    402: ("Together wants credit first", "Add credit, or raise the limit, at api.together.ai under Billing."),
    403: ("Together does not allow this key to do that", "Use a key of the project, or ask its owner for the right."),
    404: ("Together does not have it", "It may have been deleted there, or belongs to another project's key."),
    409: ("Together says that this collides with something that is there", "See what is there, then try again."),
    422: ("Together does not take the request", "Change what it names, then try again."),
    429: ("Together is asked too often", "Wait a few minutes, then try again."),
}


class ServiceError(LoraTuiError):
    """Together failed, or refused. `status` is HTTP's, 0 where there was no answer that can be read.

    passing: it may be otherwise in a while; `after` so many seconds, where the server says so.
    unsure: what was asked for may have been done all the same.
    """

    def __init__(
        self, what: str, *, where: str, fix: str, status: int = 0, passing: bool = False, after: float = 0.0
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status
        self.passing = passing
        self.after = after

    @property
    def unsure(self) -> bool:
        """Whether a request that changes something may have been done in spite of this."""
        return self.status == 0 or self.status >= 500 or self.status in (408, 409)


def connected() -> Together:
    """A client with the key of the environment or the keyring. Raises BadInput where there is none, or no SDK."""
    secret = key(KEY, fix=f"export {KEY}=… (a key of api.together.ai), or: keyring set lora-tui {KEY}")
    try:
        from together import Together
    except ImportError as error:
        raise BadInput("Together's SDK is not installed", fix="pip install 'lora-tui[together]'") from error
    address = service_address(ADDRESS, _AT).removesuffix("/v1").rstrip("/")
    return Together(api_key=secret.reveal(), base_url=None if address == _AT else address)  # chat has a host of its own


def in_project(client: Together) -> Together:
    """The client for what belongs to a project (the registry, endpoints): $TOGETHER_PROJECT_ID's, else its key's.

    Raises ServiceError.
    """
    if client.project_id:
        return client
    with asking("which project the key belongs to"):
        found = plain(client.whoami())
        project = found.get("project")
        if not isinstance(project, dict):
            raise ServiceError(
                "the key belongs to no project of Together's",
                where="",
                fix="Make a key inside a project at api.together.ai, or set $TOGETHER_PROJECT_ID.",
            )
        return client.with_options(project_id=str(project["id"]))


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Turn whatever the SDK, the connection or an answer that cannot be read raises inside into a ServiceError."""
    try:
        yield
    except LoraTuiError:
        raise
    except Exception as error:
        found = _told(error, doing)
        if found is None:
            raise
        raise found from None


def plain(answer: Any) -> dict[str, Any]:
    """An answer as plain data with the API's own names, without what is null. Raises ServiceError where it is none."""
    found = answer.to_dict(mode="json", warnings=False) if hasattr(answer, "to_dict") else answer
    if not isinstance(found, dict):
        raise TypeError("no JSON object")
    return {name: value for name, value in found.items() if value is not None}


def converted(data: dict[str, Any], kind: type[T]) -> T:
    """Plain data as a struct; numbers may come as text. To be called inside `asking`."""
    return msgspec.convert(data, kind, strict=False)


def _told(error: Exception, doing: str) -> LoraTuiError | None:
    from together import APIConnectionError, APIStatusError, APITimeoutError

    if isinstance(error, APIStatusError) and error.status_code >= 400:
        return _refused(error.response, _said(error.body) or str(error), doing)
    if isinstance(error, APITimeoutError | httpx.TimeoutException):
        return _unanswered("Together does not answer in time", doing)
    if isinstance(error, APIConnectionError | httpx.TransportError):
        cause = error.__cause__ or error
        return _unanswered(
            f"the connection to Together failed ({_short(str(cause)).rstrip('.') or type(cause).__name__})", doing
        )
    if isinstance(
        error, APIStatusError | json.JSONDecodeError | UnicodeDecodeError | TypeError | KeyError | AttributeError
    ):
        return _unreadable(doing)
    if isinstance(error, msgspec.ValidationError) or type(error).__name__ == "APIResponseValidationError":
        return _unreadable(doing)
    if isinstance(error, ValueError):  # what the SDK itself refuses before it asks
        return BadInput(_short(str(error)), where=doing, fix="Change the profile, then try again.")
    return None


def _refused(response: httpx.Response, said: str, doing: str) -> ServiceError:
    status = response.status_code
    what, fix = _WORDS.get(status, ("Together does not take the request", "Try again later."))
    if status >= 500:
        what, fix = f"Together's servers failed (HTTP {status})", "Try again in a few minutes."
    quoted = f': "{_short(said)}"' if said.strip() else ""
    passing = status >= 500 or status in (408, 429)
    after = response.headers.get("retry-after", "")
    return ServiceError(f"{what}{quoted}", where=doing, fix=fix, status=status, passing=passing, after=_seconds(after))


def _seconds(text: str) -> float:
    """Retry-After in seconds; 0 where it is a date or nothing."""
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


def _unanswered(what: str, doing: str) -> ServiceError:
    return ServiceError(what, where=doing, fix="Check the network, then try again.", passing=True)


def _unreadable(doing: str) -> ServiceError:
    fix = f"Try again; where ${ADDRESS} is set, check that it is Together's."
    return ServiceError("Together's answer cannot be read", where=doing, fix=fix, passing=True)


def _said(body: object) -> str:
    """The message in an error's body: {"error": {"message": …}}, {"message": …}, or text."""
    if isinstance(body, str):
        try:
            return _said(json.loads(body))
        except ValueError:
            return "" if body.lstrip().startswith("<") else body
    if isinstance(body, dict):
        for name in ("error", "message", "detail"):
            if found := body.get(name):
                return _said(found)
    return "" if body is None or isinstance(body, dict) else str(body)


def _short(text: str) -> str:
    line = " ".join(hidden(text).split())
    return line if len(line) <= _QUOTED else line[: _QUOTED - 1] + "…"
