"""`i2i serve`: a web page and an HTTP interface for trained runs."""

from __future__ import annotations

import errno
import ipaddress
import socket
from pathlib import Path
from typing import Literal

import click

from i2i.cli.translate import usable
from i2i.errors import I2IError


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind; 0.0.0.0 for the whole network.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port to bind; 0 for a free one."
)
@click.option("--token", envvar="I2I_TOKEN", help="Secret that requests must send; also from the variable I2I_TOKEN.")
@click.option(
    "--max-bytes", type=click.IntRange(min=1), default=64 * 2**20, show_default=True, help="Size of a request."
)
@click.option(
    "--max-pixels", type=click.IntRange(min=1), default=50_000_000, show_default=True, help="Pixels of an upload."
)
@click.option(
    "--max-translated",
    type=click.IntRange(min=1),
    default=4_000_000,
    show_default=True,
    help="Pixels of an image as it is translated, after resizing.",
)
@click.option(
    "--queue", type=click.IntRange(min=1), default=64, show_default=True, help="Requests that may wait; 503 for more."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds from a request to its answer; 504 after them.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Images of different requests that are translated together.",
)
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True, help="See translate."
)
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
def serve(
    runs: tuple[str, ...],
    host: str,
    port: int,
    token: str | None,
    max_bytes: int,
    max_pixels: int,
    max_translated: int,
    queue: int,
    timeout: float,
    batch_size: int,
    precision: Literal["fp32", "bf16"],
    device: str | None,
) -> None:
    """Serve a web page and an HTTP interface for one or several RUNs, which the page compares side by side.

    \b
      i2i serve runs/quickstart
      curl -F image=@photo.jpg -F to=b http://127.0.0.1:8000/translate --output anime.png

    Nothing is stored, and the page loads nothing from other hosts. /docs describes the interface. Ctrl-C finishes the
    requests that are being worked on.
    """
    try:
        import uvicorn

        from i2i.use.serving.app import create_app
    except ImportError as error:
        if (error.name or "").startswith("i2i"):
            raise
        raise I2IError(f"serve needs {error.name}; install i2i[serve]") from error
    from i2i.use.loaded import load
    from i2i.use.serving.requests import Limits

    bound = _bound(host, port)  # before the runs are loaded, which takes seconds
    models = {}
    for run in runs:
        name = Path(run).resolve().name
        while name in models:
            name += "+"
        models[name] = load(run, usable(device), precision=precision)
    limits = Limits(max_bytes, max_pixels, max_translated, queue=queue, seconds=timeout)
    local = _is_loopback(host)
    app = create_app(models, limits, token, ["localhost", "127.0.0.1", "[::1]"] if local else None, batch_size)
    server = uvicorn.Server(
        uvicorn.Config(app, host, port, log_level="warning", timeout_graceful_shutdown=30, server_header=False)
    )
    address = f"[{host}]" if ":" in host else host
    url = f"http://{address}:{bound.getsockname()[1]}"
    reach = "only this machine can reach it" if local else "any machine that reaches this one can use it"
    secret = "" if token or local else "; --token SECRET restricts it"
    click.echo(f"serving {', '.join(models)} at {url}/ and {url}/docs; {reach}{secret}")
    server.run(sockets=[bound])


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address, on which nothing listens yet."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        taken = "another program uses it; choose another --port, or 0 for a free one"
        reason = taken if error.errno == errno.EADDRINUSE else error.strerror or error
        raise I2IError(f"cannot serve at {host}, port {port}: {reason}") from error
    return bound


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
