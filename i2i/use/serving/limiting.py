"""Limits and access checks of requests that hold before anything of them is parsed."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

from i2i.use.serving.requests import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Protect:
    """ASGI middleware that asks for a token and adds headers that restrict the page to this server.

    Args:
        app: the application.
        token: secret that requests must send as `Authorization: Bearer TOKEN`; none when None.
        public: paths that need no token; neither do the files of panels, which are the same for everyone.
    """

    def __init__(self, app: App, token: str | None, public: tuple[str, ...]) -> None:
        self.app, self.token, self.public = app, token, public

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with status 401."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        is_page = (
            scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and scope["path"].startswith("/panels/")
        )
        if scope["type"] == "http" and self.token and scope["path"] not in self.public and not is_page:
            given = dict(scope["headers"]).get(b"authorization", b"").removeprefix(b"Bearer ")
            if not hmac.compare_digest(given, self.token.encode()):
                refusal = JSONResponse({"detail": "expected the header Authorization: Bearer TOKEN"}, 401)
                await refusal(scope, receive, with_headers)
                return
        await self.app(scope, receive, with_headers)


class LimitRequests:
    """ASGI middleware that limits the bytes, the number and the time of requests with a body.

    Args:
        app: the application.
        limits: `bytes`, `queue` and `seconds` are used.
    """

    def __init__(self, app: App, limits: Limits) -> None:
        self.app, self.limits, self.active = app, limits, 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with status 413, 503 or 504."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        limits, started = self.limits, False
        length = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = JSONResponse({"detail": f"the request has more than {limits.bytes} bytes"}, 413)
        if not length.isdigit() or int(length) > limits.bytes:
            await too_large(scope, receive, send)
            return
        if self.active >= limits.queue:
            full = {"detail": f"{self.active} requests wait, which is the limit; try again later"}
            await JSONResponse(full, 503, {"Retry-After": "2"})(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limits.bytes:
                raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            # The error inside `counted` may have been answered already as one of parsing.
            if received <= limits.bytes:
                started = True
                await send(message)

        self.active += 1
        try:
            async with asyncio.timeout(limits.seconds):
                await self.app(scope, counted, watched)
        except _TooLargeError:
            pass
        except TimeoutError:
            if not started:
                late = {"detail": f"not done within {limits.seconds:g} seconds; ask for less or try again later"}
                await JSONResponse(late, 504)(scope, receive, send)
        finally:
            self.active -= 1
        if received > limits.bytes:
            await too_large(scope, receive, send)


class _TooLargeError(Exception):
    pass
