"""Panels of the web page: the pages that plugins add for some runs, and the actions behind them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
import logging
import math
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from PIL import Image

from i2i.core.kinds import PANEL
from i2i.core.panels import Action, Panel
from i2i.core.registry import Registry
from i2i.errors import I2IError, RegistryError, is_out_of_memory
from i2i.use.loaded import Loaded
from i2i.use.serving.batching import Batcher
from i2i.use.serving.requests import Limits, RequestError, decode

Panels = Mapping[str, Mapping[str, Panel]]
"""Panels by the name of the run, then by their own."""
MOST_NESTED = 64
"""Lists and objects inside each other that the JSON of a request may have."""
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.(html|css|js|svg|png|webp|woff2)")
_TYPES = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"RIFF": "image/webp"}
log = logging.getLogger("i2i")


def panels_of(models: Mapping[str, Loaded], registry: Registry) -> Panels:
    """Build the registered panels of each run; one that cannot be loaded is logged and omitted.

    Raises:
        I2IError: a panel's folder has no page.
    """
    found: dict[str, dict[str, Panel]] = {name: {} for name in models}
    for entry in registry:
        if entry.kind == PANEL:
            try:
                panel = entry.load()
            except RegistryError as error:
                log.warning("%s", error)
                continue
            if not (Path(panel.folder) / "index.html").is_file():
                raise I2IError(f"panel {entry.name!r} of plugin {entry.plugin!r}: {panel.folder} has no index.html")
            for run, loaded in models.items():
                if panel.accepts(loaded):
                    found[run][entry.name] = panel(loaded)
    return found


def links(panels: Mapping[str, Panel], run: str) -> list[dict[str, str]]:
    """Return title and address of each panel of a run, for the page."""
    return [{"title": panel.title, "href": f"panels/{name}/{quote(run, safe='')}/"} for name, panel in panels.items()]


def add_panels(app: FastAPI, panels: Panels, batcher: Batcher, limits: Limits, threads: anyio.CapacityLimiter) -> None:
    """Add the routes of panels to an application.

    Args:
        app: the application.
        panels: from `panels_of`.
        batcher: its thread runs the actions.
        limits: `pixels` holds for all images of a request together.
        threads: limits how many requests are decoded at a time.
    """

    def panel_of(run: str, name: str) -> Panel:
        if run not in panels:
            raise RequestError(404, f"there is no run {run[:60]!r}")
        if name not in panels[run]:
            raise RequestError(404, f"the run {run!r} has no panel {name[:60]!r}")
        return panels[run][name]

    @app.get("/panels/{name}/{run}", include_in_schema=False)
    async def without_slash(name: str, run: str) -> Response:
        panel_of(run, name)
        return RedirectResponse(f"{quote(run, safe='')}/")

    @app.get("/panels/{name}/{run}/{file:path}", include_in_schema=False)
    async def page(name: str, run: str, file: str) -> Response:
        found = Path(panel_of(run, name).folder) / (file or "index.html")
        if not _FILE.fullmatch(file or "index.html") or not found.is_file():
            raise RequestError(404, f"this panel has no file {file[:60]!r}")
        return FileResponse(found)

    @app.post("/panels/{name}/{run}/{action}", include_in_schema=False)
    async def act(name: str, run: str, action: str, request: Request) -> Response:
        actions = panel_of(run, name).actions
        if action not in actions:
            raise RequestError(404, f"this panel has no action {action[:60]!r}; actions: {', '.join(actions)}")
        values = await anyio.to_thread.run_sync(parse, await request.body(), limits, limiter=threads)
        call = batcher.call(lambda abandoned: run_action(actions[action], values, abandoned.is_set))
        try:
            result = await asyncio.wrap_future(call.future)
        except asyncio.CancelledError:
            call.abandoned.set()
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise RequestError(413, "out of memory; ask for less") from error
            raise
        if isinstance(result, bytes):
            return Response(result, media_type=_TYPES.get(result[:4], "application/octet-stream"))
        return JSONResponse(await anyio.to_thread.run_sync(_jsonable, result, limiter=threads))


def run_action(action: Action, values: dict[str, Any], is_abandoned: Callable[[], bool]) -> Any:
    """Call an action; between the parts of a generator, stop when nobody waits for the result."""
    result = action(values)
    if not isinstance(result, Generator):
        return result
    last = None
    with closing(result):
        for last in result:  # noqa: B007  # the last one is the result
            if is_abandoned():
                raise I2IError("nobody waits for the result")
    return last


def parse(content: bytes, limits: Limits) -> dict[str, Any]:
    """Return the JSON object of a request, its data URLs decoded as images in mode RGB.

    Raises:
        RequestError: it is no JSON object, holds NaN or infinity, or its images are damaged or too large.
    """

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} does not exist in JSON")

    try:
        values = json.loads(content or b"{}", parse_constant=refused)
    except (ValueError, RecursionError) as error:
        reason = f"{error}" if isinstance(error, ValueError) else "nested too deeply"
        raise RequestError(422, f"expected a JSON object: {reason}") from error
    if not isinstance(values, dict):
        raise RequestError(422, f"expected a JSON object, got {values!r:.60}")
    left = limits.pixels

    def decoded(value: Any, depth: int) -> Any:
        nonlocal left
        if depth > MOST_NESTED:
            raise RequestError(422, "expected a JSON object: nested too deeply")
        if isinstance(value, dict):
            return {key: decoded(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [decoded(item, depth + 1) for item in value]
        if isinstance(value, float) and not math.isfinite(value):  # 1e999 is read as infinity
            raise RequestError(422, "expected a JSON object of finite numbers")
        if not isinstance(value, str) or not value.startswith("data:"):
            return value
        try:
            data = base64.b64decode(value.partition(",")[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError(415, "expected an image as a data URL in base64") from error
        image = decode(data, limits)
        left -= image.width * image.height
        if left < 0:
            raise RequestError(413, f"the images have more than {limits.pixels} pixels together")
        return image

    parsed: dict[str, Any] = decoded(values, 0)
    return parsed


def _jsonable(value: Any) -> Any:
    """Return a result with its images as PNG data URLs."""
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, Image.Image):
        content = io.BytesIO()
        value.save(content, "png")
        return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    return value
