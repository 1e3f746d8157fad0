"""One server over HTTP: answers of bounded size, its silences and its breaks as faults that have a name.

Plain http goes over the connections of `adapters.serving.upstream`, https and proxies over httpx. Measured with 16
streamed answers of 8 pieces in flight: 0.40 ms of CPU a request, and 3.2 ms with httpx, which is as much as a whole
request may cost where answers take 50 ms.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import msgspec

from lora_tui.adapters.serving import wire
from lora_tui.adapters.serving.upstream import Pool, Response, Unreachable
from lora_tui.verify.asking import EndpointFault, FaultCode
from lora_tui.workspace.keys import Key, hidden

if TYPE_CHECKING:
    import httpx

_MOST_BODY = 8 << 20  # bytes of an answer that is read whole
_LOOPBACK = ("127.0.0.1", "localhost")


class Patience(msgspec.Struct, frozen=True):
    """Seconds without a byte after which a server counts as hung."""

    first: float = 600.0  # to the first byte of an answer: a model may have to be loaded, others may be before
    between: float = 120.0  # to each further one
    whole: float = 3600.0  # for a whole answer, of a server that only says that it is still there
    look: float = 20.0  # for what no model is needed for: lists, versions


class Reply:
    """An answer that has begun."""

    def __init__(self, server: Server, body: _Body, status: int, headers: dict[str, str], first: float) -> None:
        self.status = status
        self.headers = headers  # names in lower case
        self._server, self._body, self._first = server, body, first

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its body as it comes. Raises EndpointFault: "hang", "cut-off", "malformed"."""
        patience = self._server.patience
        source = self._body.chunks()
        wait, end = self._first, time.monotonic() + patience.whole
        while True:
            try:
                async with asyncio.timeout(min(wait, end - time.monotonic())):
                    data = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise self._server.hung(wait) from None
            except wire.Malformed as error:
                raise self._server.fault("malformed", f"sent what is no HTTP: {error}", again=True) from error
            except OSError as error:
                raise self._server.fault("cut-off", f"broke off in the middle: {error}", again=True) from error
            yield data
            wait = patience.between

    async def read(self, most: int = _MOST_BODY) -> bytes:
        """The whole body. Raises EndpointFault: "malformed" where it is longer than `most` bytes, and as `chunks`."""
        found, size = [], 0
        async for data in self.chunks():
            found.append(data)
            size += len(data)
            if size > most:
                raise self._server.fault("malformed", f"sent more than {most >> 10} KiB where a short answer belongs")
        return b"".join(found)


class Server:
    """Connections to one address.

    name: what a person calls it; it begins every fault's sentence. fix: what to do where nothing answers.
    """

    def __init__(
        self,
        name: str,
        url: str,
        patience: Patience,
        key: Key | None = None,
        fix: str = "Start it, or correct the address.",
    ) -> None:
        parts = urlsplit(url)
        host, port = str(parts.hostname), parts.port or {"http": 80, "https": 443}[parts.scheme]
        self.name, self.url, self.patience, self._fix = name, url, patience, fix
        self.host, self.port = host, port
        self.address = f"{'127.0.0.1' if host in _LOOPBACK else host}:{port}"
        self._headers = {"content-type": wire.JSON, "accept": "*/*"}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key.reveal()}"
        self._transport: _Transport
        if parts.scheme == "http" and ":" not in host and not _has_proxy(host):
            self._transport = _Direct(host, port, parts.path.rstrip("/"), self._headers)
        else:
            self._transport = _Httpx(url.rstrip("/"), self._headers)

    @asynccontextmanager
    async def request(self, method: str, path: str, data: Any = None, first: float = 0.0) -> AsyncIterator[Reply]:
        """Send a request and wait for the answer to begin, `first` seconds at most (0: as long as for a look).

        Raises EndpointFault: "unreachable", "hang", "malformed".
        """
        wait = first or self.patience.look
        body = b"" if data is None else msgspec.json.encode(data)
        try:
            async with asyncio.timeout(wait):
                begun = await self._transport.begin(method, path, body)
        except TimeoutError:
            raise self.hung(wait) from None
        except wire.Malformed as error:
            raise self.fault("malformed", f"does not speak HTTP: {error}") from error
        except OSError as error:
            said = "nothing listens there" if isinstance(error.__cause__, ConnectionRefusedError) else str(error)
            raise self.fault("unreachable", f"does not answer: {said}", fix=self._fix, again=True) from error
        try:
            yield Reply(self, begun, begun.status, begun.headers, wait)
        finally:
            await begun.close()

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET; None where it is no JSON. Raises EndpointFault."""
        return await self._look("GET", path, None)

    async def post(self, path: str, data: Any) -> tuple[int, Any]:
        """Status and JSON of a POST that no model is needed for; None where it is no JSON. Raises EndpointFault."""
        return await self._look("POST", path, data)

    async def _look(self, method: str, path: str, data: Any) -> tuple[int, Any]:
        async with self.request(method, path, data) as reply:
            body = await reply.read()
        try:
            return reply.status, msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return reply.status, None

    def fault(
        self, code: FaultCode, what: str, *, fix: str = "", again: bool = False, wait: float | None = None
    ) -> EndpointFault:
        """An EndpointFault of this server, without any key that it may have repeated."""
        what = hidden(f"{self.name} {what}")
        return EndpointFault(code, what, where=self.url, fix=hidden(fix), again=again, wait=wait)

    def hung(self, wait: float) -> EndpointFault:
        """The fault of a server that says nothing."""
        return EndpointFault("hang", f"{self.name} said nothing for {wait:g} s", where=self.url, fix="See its own log.")

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


class _Body(Protocol):
    status: int
    headers: dict[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """Raises OSError where it breaks off, wire.Malformed."""
        ...

    async def close(self) -> None: ...


class _Transport(Protocol):
    async def begin(self, method: str, path: str, body: bytes) -> _Body:
        """Raises OSError where nothing answers, wire.Malformed."""
        ...

    async def close(self) -> None: ...


class _Direct:
    def __init__(self, host: str, port: int, prefix: str, headers: dict[str, str]) -> None:
        self._pool, self._prefix, self._headers = Pool(host, port), prefix, list(headers.items())

    async def begin(self, method: str, path: str, body: bytes) -> _Body:
        try:
            return _DirectBody(await self._pool.request(method, self._prefix + path, body, self._headers))
        except Unreachable as error:
            if isinstance(error.__cause__, wire.Malformed):
                raise error.__cause__ from None
            raise

    async def close(self) -> None:
        self._pool.close()


class _DirectBody:
    def __init__(self, response: Response) -> None:
        self.status = response.head.status
        self.headers = dict(response.head.headers)
        self._response = response

    def chunks(self) -> AsyncIterator[bytes]:
        return self._response.chunks()

    async def close(self) -> None:
        self._response.close()


class _Httpx:
    def __init__(self, url: str, headers: dict[str, str]) -> None:
        import httpx

        self._client = httpx.AsyncClient(
            headers=headers, timeout=httpx.Timeout(None, connect=10), limits=httpx.Limits(max_connections=None)
        )
        self._url = url

    async def begin(self, method: str, path: str, body: bytes) -> _Body:
        with _as_os_errors():
            request = self._client.build_request(method, self._url + path, content=body)
            return _HttpxBody(await self._client.send(request, stream=True))

    async def close(self) -> None:
        await self._client.aclose()


class _HttpxBody:
    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._response = response

    async def chunks(self) -> AsyncIterator[bytes]:
        with _as_os_errors():
            async for data in self._response.aiter_bytes():
                yield data

    async def close(self) -> None:
        await self._response.aclose()


@contextmanager
def _as_os_errors() -> Iterator[None]:
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _has_proxy(host: str) -> bool:
    from urllib.request import getproxies, proxy_bypass

    return host not in _LOOPBACK and bool({"http", "all"} & getproxies().keys()) and not proxy_bypass(host)
