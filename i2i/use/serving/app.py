"""The web application of `i2i serve`."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import anyio
import torch
from fastapi import FastAPI, File, Form, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from PIL import Image
from starlette.middleware.trustedhost import TrustedHostMiddleware

from i2i.core.plugins import default_registry
from i2i.core.registry import Registry
from i2i.core.version import __version__
from i2i.data.images import to_image
from i2i.errors import I2IError, is_out_of_memory
from i2i.nn.functional.heatmap import draw_heatmap
from i2i.use.loaded import Loaded
from i2i.use.serving.batching import Batcher, Translated
from i2i.use.serving.limiting import LimitRequests, Protect
from i2i.use.serving.panels import add_panels, links, panels_of
from i2i.use.serving.requests import Limits, RequestError, condition_of, decode, numeric_conditions, prepare

PAGE = Path(__file__).parent / "page"
_FILES = ("page.js", "page.css", "panel.js", "panel.css", "docs.js")
_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
Model = Annotated[str | None, Form(description="Name of the model; the first one by default.")]
To = Annotated[str | None, Form(description="Domain to translate to; the model's last one by default.")]
SizeField = Annotated[
    str | None, Form(description='Shorter side in pixels, or "original"; the recipe\'s size by default.')
]
StyleField = Annotated[str | None, Form(description='Number of a style, "random", or several numbers with commas.')]
Weights = Annotated[str | None, Form(description="Weights of several styles, with commas.")]
Seed = Annotated[int | None, Form(ge=0, lt=2**63, description="Seed of random styles.")]
Conditions = Annotated[str | None, Form(description="Other conditions, a JSON object of numbers.")]
Format = Annotated[Literal["png", "jpeg", "webp"], Form(description="Format of the result.")]
Output = Annotated[
    Literal["translation", "heatmap", "both"], Form(description="What the result shows; both: side by side.")
]


def create_app(
    models: Mapping[str, Loaded],
    limits: Limits | None = None,
    token: str | None = None,
    hosts: list[str] | None = None,
    batch_size: int = 8,
    registry: Registry | None = None,
) -> FastAPI:
    """Return the application that serves trained translators, and panels for those that have some.

    Args:
        models: translators by name.
        limits: what one request may ask for.
        token: secret that requests must send as `Authorization: Bearer TOKEN`; none when None.
        hosts: names under which the server may be addressed, so that other web sites cannot; any when None.
        batch_size: images of concurrent requests that are translated together.
        registry: has the panels; that of the process by default.
    """
    limits = limits or Limits()
    batcher = Batcher(batch_size)
    decoders = anyio.CapacityLimiter(2)  # decoded images are large, so few are decoded at a time
    panels = panels_of(models, registry or default_registry())
    described = {
        name: describe(name, loaded) | {"panels": links(panels[name], name)} for name, loaded in models.items()
    }

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(batcher.close)

    app = FastAPI(title="i2i", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.batcher = batcher
    app.add_middleware(LimitRequests, limits=limits)
    app.add_middleware(Protect, token=token, public=("/", "/docs", "/health", *(f"/{name}" for name in _FILES)))
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)

    @app.exception_handler(I2IError)
    async def explain(_: Request, error: I2IError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, error.code if isinstance(error, RequestError) else 422)

    def model_of(name: str | None) -> Loaded:
        if name is None or name == "":
            return next(iter(models.values()))
        if name not in models:
            raise RequestError(404, f"there is no model {name[:60]!r}; models: {', '.join(models)}")
        return models[name]

    async def translated(
        loaded: Loaded, content: bytes, to: str, size: str | None, condition: Mapping[str, Any]
    ) -> tuple[torch.Tensor, Translated]:
        loaded.check(to, condition)
        image = await anyio.to_thread.run_sync(decode, content, limits, limiter=decoders)
        prepared = await anyio.to_thread.run_sync(prepare, loaded, image, to, size, limits, limiter=decoders)
        try:
            return prepared, await asyncio.wrap_future(batcher.submit(loaded, prepared, to, condition))
        except I2IError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise RequestError(413, "out of memory; ask for a smaller size") from error
            raise

    async def conditions(
        loaded: Loaded,
        style: str | None,
        weights: str | None,
        seed: int | None,
        images: list[UploadFile],
        more: str | None,
    ) -> dict[str, Any]:
        if len(images) > 8:
            raise RequestError(422, f"style_image: expected at most 8 images, got {len(images)}")
        references = [
            await anyio.to_thread.run_sync(decode, await image.read(), limits, limiter=decoders) for image in images
        ]
        return condition_of(loaded, style, seed, weights, references, more)

    @app.get("/health", summary="State of the server")
    async def health() -> dict[str, Any]:
        """Say that the server answers, and how many images wait."""
        return {"status": "ok", "version": __version__, "models": list(models), "waiting": len(batcher)}

    @app.get("/models", summary="The models and what they take")
    async def list_models() -> dict[str, Any]:
        """List the models in the order of the page, and the limits."""
        return {"models": list(described.values()), "limits": asdict(limits)}

    image_answer: dict[int | str, Any] = {200: {"content": {kind: {} for kind in _TYPES.values()}}}
    errors: dict[int | str, Any] = {
        401: {"description": "The token is missing or wrong"},
        422: {"description": "A field has an illegal value"},
        404: {"description": "No such model"},
        413: {"description": "Too many bytes or pixels"},
        415: {"description": "Not an image"},
        503: {"description": "Too many requests wait"},
        504: {"description": "Not done in time"},
    }

    answers = {**image_answer, **errors}

    @app.post("/translate", response_class=Response, responses=answers, summary="Translate one image")
    async def translate(
        image: UploadFile,
        model: Model = None,
        to: To = None,
        size: SizeField = None,
        style: StyleField = None,
        weights: Weights = None,
        seed: Seed = None,
        conditions_: Annotated[str | None, Form(alias="conditions", description="Other conditions, as JSON.")] = None,
        style_image: Annotated[list[UploadFile] | None, File(description="Reference images for the style.")] = None,
        output: Output = "translation",
        format: Format = "png",
    ) -> Response:
        """Answer with the translated image. All values are form fields; nothing is stored."""
        loaded = model_of(model)
        condition = await conditions(loaded, style, weights, seed, style_image or [], conditions_)
        _, result = await translated(loaded, await image.read(), to or _last_target(loaded), size, condition)
        content = await anyio.to_thread.run_sync(_encode, _shown(result, output), format, limiter=decoders)
        return Response(content, media_type=_TYPES[format])

    @app.post(
        "/translate-many", response_class=Response, responses=errors, summary="Translate images into a zip archive"
    )
    async def translate_many(
        images: list[UploadFile],
        model: Model = None,
        to: To = None,
        size: SizeField = None,
        style: StyleField = None,
        weights: Weights = None,
        seed: Seed = None,
        conditions_: Annotated[str | None, Form(alias="conditions", description="Other conditions, as JSON.")] = None,
        style_image: Annotated[list[UploadFile] | None, File(description="Reference images for the style.")] = None,
        format: Format = "png",
    ) -> Response:
        """Answer with a zip archive of the translations; `errors.txt` in it names the images that failed."""
        if len(images) > limits.images:
            raise RequestError(413, f"expected at most {limits.images} images, got {len(images)}")
        loaded = model_of(model)
        condition = await conditions(loaded, style, weights, seed, style_image or [], conditions_)
        target = to or _last_target(loaded)
        loaded.check(target, condition)
        some = asyncio.Semaphore(2 * batch_size)

        async def one(upload: UploadFile) -> bytes | I2IError:
            async with some:
                try:
                    _, result = await translated(loaded, await upload.read(), target, size, condition)
                    return await anyio.to_thread.run_sync(_encode, to_image(result.image), format, limiter=decoders)
                except I2IError as error:
                    return error

        results = await asyncio.gather(*map(one, images))
        names = _names([upload.filename or "image" for upload in images], format)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            for name, result in zip(names, results, strict=True):
                if isinstance(result, bytes):
                    file.writestr(name, result)
            failed = [
                f"{name}: {error}" for name, error in zip(names, results, strict=True) if isinstance(error, I2IError)
            ]
            if failed:
                file.writestr("errors.txt", "\n".join(failed) + "\n")
        headers = {"Content-Disposition": 'attachment; filename="translated.zip"'}
        return Response(archive.getvalue(), media_type="application/zip", headers=headers)

    for path, name in {"/": "index.html", "/docs": "docs.html"}.items():
        app.get(path, include_in_schema=False)(_sender(PAGE / name))
    for name in _FILES:
        app.get(f"/{name}", include_in_schema=False)(_sender(PAGE / name))
    add_panels(app, panels, batcher, limits, decoders)
    return app


def _last_target(loaded: Loaded) -> str:
    """Return the domain that images are translated to by default; empty for runs that translate none."""
    return next(reversed(loaded.translator.targets), "")


def describe(name: str, loaded: Loaded) -> dict[str, Any]:
    """Return what a page must know of a model, as JSON types."""
    translator: Any = loaded.translator
    known = translator.conditions()
    style = None
    if "style" in known:
        count, channels = getattr(translator, "styles", None), getattr(translator, "style_channels", None)
        style = {
            "first": 0 if count else 1,
            "last": count - 1 if count else None,
            "numbers": bool(count or channels),
            "image": not count,
            "required": bool(translator.requires_condition),
        }
    return {
        "name": name,
        "recipe": loaded.recipe.name,
        "step": loaded.step,
        "domains": list(translator.domains),
        "targets": list(translator.targets),
        "size": min(loaded.constraints.fixed_size or loaded.recipe.image_size),
        "fixed_size": loaded.constraints.fixed_size,
        "style": style,
        "blend": "blend" in known,
        "conditions": numeric_conditions(loaded),
        "heatmap": _has_heatmap(loaded),
    }


def _has_heatmap(loaded: Loaded) -> bool:
    """Translate one grey image, which also shows that the model works, and see whether there is a heat map."""
    if loaded.translator.requires_condition or not loaded.translator.targets:
        return False
    size = loaded.constraints.fixed_size or loaded.recipe.image_size
    to = loaded.translator.targets[-1]
    grey = torch.zeros(1, loaded.translator.input_stream(to).channels, *size)
    try:
        return loaded.run(grey, to).heatmap is not None
    except TypeError:  # a required condition that the method does not declare
        return False


def _shown(result: Translated, output: str) -> Image.Image:
    if output == "translation":
        return to_image(result.image)
    if result.heatmap is None:
        raise RequestError(422, "this model has no attention and so no heat map; ask for the output translation")
    heat = draw_heatmap(result.heatmap[None], result.image.shape[-2:])[0]
    return to_image(heat if output == "heatmap" else torch.cat([result.image, heat], dim=2))


def _encode(image: Image.Image, format: str) -> bytes:
    content = io.BytesIO()
    image.save(content, format, quality=95)
    return content.getvalue()


def _names(uploaded: list[str], format: str) -> list[str]:
    """Return a name in the archive for each upload: no folders, nothing hidden, none twice."""
    names: list[str] = []
    for name in uploaded:
        stem = PurePosixPath(name.replace("\\", "/")).stem
        stem = "".join(letter if letter.isprintable() and letter not in '<>:"|?*' else "_" for letter in stem)
        stem = stem.lstrip(".")[:100] or "image"
        number, unique = 1, stem
        while f"{unique}.{format}" in names:
            number += 1
            unique = f"{stem}-{number}"
        names.append(f"{unique}.{format}")
    return names


def _sender(file: Path) -> Any:
    async def send() -> FileResponse:
        return FileResponse(file)

    return send
