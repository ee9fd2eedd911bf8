"""`i2i env`: versions, devices, plugins and weights, for reports of problems."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata

import click

from i2i.core.plugins import default_plugins
from i2i.core.version import __version__

EXTRA = re.compile(r"^([\w.-]+).*?extra\s*==\s*['\"]([\w-]+)['\"]")
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HF_ENDPOINT", "HF_HUB_OFFLINE", "PYTORCH_ENABLE_MPS_FALLBACK", "OMP_NUM_THREADS")


@click.command()
@click.option("--quick", is_flag=True, help="Omit the devices, for which torch is imported.")
def env(quick: bool) -> None:
    """Print versions, extras, devices, plugins and weights; paste it into a report of a problem.

    Nothing of your files is printed: of environment variables, only those that concern devices and hubs.
    """
    lines = {
        "i2i": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs",
    }
    lines |= {} if quick else _devices()
    requirements = metadata.requires("i2i") or []
    names = sorted({re.split(r"[\s<>=!~;\[]", text)[0] for text in requirements if "extra" not in text})
    lines["packages"] = ", ".join(f"{name} {_version(name) or 'MISSING'}" for name in names)
    extras: dict[str, list[str]] = {}
    for text in requirements:
        if found := EXTRA.match(text):
            extras.setdefault(found[2], []).append(re.split(r"[<>=!~;\[]", found[1])[0])
    for extra, needed in extras.items():
        versions = {name: _version(name) for name in needed}
        described = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
        lines[f"extra {extra}"] = described
    for info in default_plugins().found:
        lines[f"plugin {info.name}"] = info.problem or f"{info.distribution} {info.version}".strip()
    variables = [f"{name}={os.environ[name]}" for name in (*VARIABLES, *sorted(os.environ)) if _shown(name)]
    lines["variables"] = ", ".join(dict.fromkeys(variables)) or "none"
    width = max(map(len, lines))
    for name, text in lines.items():
        click.echo(f"{name:{width}}  {text}")


def _shown(name: str) -> bool:
    return name in os.environ and (name in VARIABLES or (name.startswith("I2I_") and "TOKEN" not in name))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> dict[str, str]:
    import torch

    accelerator = torch.accelerator.current_accelerator(check_available=True)
    devices = ["cpu"]
    if accelerator is not None and accelerator.type == "cuda":
        for index in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(index)
            devices.append(f"cuda:{index} {found.name}, {found.total_memory / 2**30:.0f} GiB")
    elif accelerator is not None:
        devices.append(accelerator.type)
    from i2i.evaluation.weights import KNOWN, cached

    build = torch.version.cuda or torch.version.hip
    return {
        "torch": f"{torch.__version__}" + (f" (built for {build})" if build else ""),
        "devices": "; ".join(devices),
        "threads": str(torch.get_num_threads()),
        "weights": ", ".join(name for name in KNOWN if cached(name) is not None) or "none added with `i2i weights`",
    }
