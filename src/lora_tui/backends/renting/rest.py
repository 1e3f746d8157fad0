"""Asking a provider over HTTP: what may be asked again blindly, and what must not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from lora_tui.backends.service_address import service_address
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import Key, hidden, key

if TYPE_CHECKING:
    import httpx

_LATER = (408, 425, 429, 500, 502, 503, 504)
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0  # seconds
_WHY = {
    401: ("does not accept the key", "Check ${key}."),
    402: ("wants credit first", "Add credit to your account there, then go on."),
    403: ("does not let this key do that", "Give ${key} the right to read and write machines, or use another."),
    404: ("does not have that", ""),
    409: ("says that this cannot be done now", ""),
    422: ("does not take the request", ""),
    429: ("was asked too often", "Try again in a few minutes."),
}


class Refused(LoraTuiError):
    """The provider said no: nothing was done."""

    def __init__(self, status: int, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status

    @property
    def for_good(self) -> bool:
        """Whether asking for something else would be refused as well: the key or the credit."""
        return self.status in (401, 402, 403)


class NoAnswer(LoraTuiError):
    """The answer was lost or makes no sense: what was asked may have been done."""


class Rest:
    """A provider's API. Errors are Refused and NoAnswer, with no key in their words."""

    def __init__(
        self,
        provider: str,
        key_name: str,
        address_name: str,
        default: str,
        patience: int,
        sleep: Callable[[float], None],
    ) -> None:
        """`key_name` and `address_name` are environment variables. Raises BadInput where there is no usable key."""
        self.provider = provider
        self.base = service_address(address_name, default)
        self.sleep = sleep
        self._key_name = key_name
        self._key: Key = key(key_name)
        self._patience = patience
        self._wait = 30 if patience > 1 else 15  # seconds for an answer: who asks but once is in a hurry
        self._client: httpx.Client | None = None

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """What lies there; asked again where no answer comes."""
        return self._patiently("GET", path, None, parameters)

    def ask(self, path: str, body: object) -> Any:
        """A question that has a body (POST) and changes nothing: asked again where no answer comes."""
        return self._patiently("POST", path, body, None)

    def delete(self, path: str) -> None:
        """Do away with what lies there; what is gone already is fine."""
        try:
            self._patiently("DELETE", path, None, None)
        except Refused as error:
            if error.status not in (404, 410):
                raise

    def send(self, method: str, path: str, body: object) -> Any:
        """Have something done, once. Only a request that was turned away for being one too many is made again."""
        for attempt in range(self._patience):
            response = self._answer(method, path, body, None)
            if response.status_code == 429 and attempt + 1 < self._patience:
                self.sleep(_pause(response, attempt))
                continue
            if response.status_code >= 500 or response.status_code == 408:
                raise NoAnswer(f"{self.provider} answers {response.status_code}: {self._said(response)}", where=path)
            return self._content(response, path)
        raise AssertionError("a request is made at least once")

    def _patiently(self, method: str, path: str, body: object, parameters: Mapping[str, str] | None) -> Any:
        for attempt in range(self._patience):
            last = attempt + 1 == self._patience
            try:
                response = self._answer(method, path, body, parameters)
                if response.status_code not in _LATER or last:
                    return self._content(response, path)
                wait = _pause(response, attempt)
            except NoAnswer:
                if last:
                    raise
                wait = _FIRST_WAIT * 2**attempt
            self.sleep(wait)
        raise AssertionError("a question is asked at least once")

    def _answer(self, method: str, path: str, body: object, parameters: Mapping[str, str] | None) -> httpx.Response:
        import httpx

        if self._client is None:
            self._client = httpx.Client(base_url=self.base, timeout=httpx.Timeout(self._wait, connect=10))
        try:
            return self._client.request(
                method,
                path,
                content=None if body is None else msgspec.json.encode(body),
                params=parameters,
                headers={
                    "Authorization": f"Bearer {self._key.reveal()}",
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                },
            )
        except httpx.HTTPError as error:
            said = hidden(str(error)) or type(error).__name__
            raise NoAnswer(f"{self.provider} does not answer: {said}", where=self.base + path) from None

    def _content(self, response: httpx.Response, path: str) -> Any:
        status = response.status_code
        if status >= 500:
            raise NoAnswer(f"{self.provider} answers {status}: {self._said(response)}", where=path)
        if not 200 <= status < 300:
            what, fix = _WHY.get(status, (f"answers {status}", ""))
            said = self._said(response)
            what = f"{self.provider} {what}{': ' + said if said else ''}"
            raise Refused(status, what, where=path, fix=fix.replace("{key}", self._key_name))
        if not response.content:
            return None
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            raise NoAnswer(f"{self.provider} answers what is no JSON: {self._said(response)}", where=path) from None

    def _said(self, response: httpx.Response) -> str:
        """What it says is wrong: RFC 9457's `detail`, or `msg` and `error`, else the beginning of the text."""
        text = response.text
        try:
            data = msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            data = None
        if isinstance(data, dict):
            text = str(data.get("detail") or data.get("msg") or data.get("error") or data.get("title") or "")
        return " ".join(hidden(text)[:300].split())


def _pause(response: httpx.Response, attempt: int) -> float:
    """Seconds to wait, as Retry-After says it where it does."""
    try:
        asked = float(response.headers.get("Retry-After", ""))
    except ValueError:
        asked = _FIRST_WAIT * 2**attempt
    return min(max(asked, 0.0), _LONGEST_WAIT)
