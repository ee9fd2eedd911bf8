"""Measure i2i on one GPU: one command, under eight minutes, a JSON file and a Markdown table.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --official ugatit=UGATIT-pytorch --official cut=contrastive-unpaired-translation
    python benchmarks/gpu.py --device cpu --quick        # tries the script itself, where there is no GPU

What is measured: training steps of U-GAT-IT light, CycleGAN, CUT and pix2pix (fp32, TF32, bf16, compiled; batches of 1
and 8), next to the official training loops whose folders are given with `--official` (names: `ugatit`, `cut`, which
holds CycleGAN as well, and `pix2pix`); translation; peak memory against the prediction of `i2i plan`; exact resume with
`train.deterministic`; fp16's gradient scaler over a resume; and losses and weights of float64 steps on the GPU against
the CPU.

Every row runs in a worker process with a time limit of its own. A row that fails, or that kills its worker, is reported
in the table with its error, and the next row starts in a new worker. Rows stand in order of importance; those for which
`--minutes` leaves no time are reported as skipped. Compilation takes longest and comes last.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

RESULT = "RESULT "
"""Starts the one line of a worker's output that holds a row's result; libraries print what they like besides."""
SMALL_RECIPES = ("ugatit_small", "cyclegan_small", "cut_small", "pix2pix_small")
METHODS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # recipe, settings, settings that make it small
    "U-GAT-IT light": (
        "ugatit_light",
        {"data.type": "shapes"},
        {
            "translator.generator.channels": 8,
            "translator.discriminators.global_.channels": 8,
            "translator.discriminators.local.channels": 8,
        },
    ),
    "CycleGAN": ("cyclegan", {"data.type": "shapes"}, {"translator.generator.channels": 8}),
    "CUT": ("cut", {"data.type": "shapes"}, {"translator.generator.channels": 8}),
    "pix2pix": (
        "pix2pix",
        {"data.type": "portrait_pairs"},
        {"translator.generator.channels": 8, "translator.generator.levels": 5},
    ),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "TF32": {},
    "bf16": {"train.precision": "bf16"},
    "bf16, weight copies": {"train.precision": "bf16", "train.weight_copies": True},
    "cuDNN benchmark": {"train.cudnn_benchmark": True},
    "channels last": {"train.channels_last": True},
    "graph, TF32": {"train.graph": True, "translator.pool": 0},
    "graph, bf16": {"train.graph": True, "translator.pool": 0, "train.precision": "bf16"},
    "compile, TF32": {"train.compile": True},
    "compile, bf16": {"train.compile": True, "train.precision": "bf16"},
}
SWITCHES = {"tf32": "TF32", "cudnn_benchmark": "cuDNN benchmark", "channels_last": "channels last"}
"""Variant that measures each switch; `train.*=auto` takes those that are faster than fp32 without it."""
WINS = 1.03
"""Times as fast as without it from which a switch is on in the table."""
OFFICIAL = {"ugatit": ("U-GAT-IT light",), "cut": ("CycleGAN", "CUT"), "pix2pix": ("pix2pix",)}


@dataclass
class Row:
    """One row of the table: the function below that measures it, its arguments, and its time limit in seconds."""

    name: str
    measure: str
    arguments: dict[str, Any] = field(default_factory=dict)
    limit: float = 60


def all_rows(quick: bool, official: dict[str, str]) -> list[Row]:
    """Return the rows in order of importance."""
    batches = (1, 2) if quick else (1, 8)
    common = {"quick": quick}

    def steps(variants: tuple[str, ...], sizes: tuple[int, ...], limit: float) -> list[Row]:
        return [
            Row(
                f"step, {method}, {variant}, batch {batch}",
                "step",
                {"method": method, "variant": variant, "batch": batch, **common},
                limit,
            )
            for batch in sizes
            for variant in variants
            for method in METHODS
        ]

    return [
        *steps(("fp32", "TF32", "bf16"), batches[:1], 60),
        *(
            Row(f"step, {method}, official, fp32, batch 1", "official_step", {"method": method, "code": code, **common})
            for name, code in official.items()
            for method in OFFICIAL[name]
        ),
        *steps(("graph, TF32", "graph, bf16"), batches[:1], 60),
        *(Row(f"exact resume, {recipe}", "resume", {"recipe": recipe}) for recipe in SMALL_RECIPES[:2]),
        Row("fp16 scaler over a resume, cyclegan_small", "resume", {"recipe": "cyclegan_small", "precision": "fp16"}),
        *(Row(f"CPU against device, {recipe}", "against_cpu", {"recipe": recipe}, 90) for recipe in SMALL_RECIPES),
        *steps(("bf16, weight copies", "cuDNN benchmark", "channels last"), batches[:1], 60),
        *steps(("fp32", "TF32", "bf16"), batches[1:], 60),
        *(
            Row(
                f"translate, U-GAT-IT light, {variant}, batch {batch}",
                "translation",
                {"variant": variant, "batch": batch, **common},
            )
            for batch in batches
            for variant in ("fp32", "TF32", "bf16")
        ),
        *(
            Row(f"plan, {method}, fp32, batch {batch}", "plan", {"method": method, "batch": batch, **common})
            for batch in batches
            for method in METHODS
        ),
        *steps(("compile, TF32",), batches[:1], 120),
        *steps(("compile, bf16",), batches[1:], 120),
    ]


def read(method: str, variant: str, batch: int, quick: bool) -> Any:
    from i2i import Recipe

    name, settings, small = METHODS[method]
    size = {"data.size": 96, **small} if quick else {"data.size": 256}
    changes = {key: value for key, value in VARIANTS[variant].items() if key != "translator.pool" or name == "cyclegan"}
    return Recipe.read(name, {**settings, **size, **changes, "train.batch_size": batch})


def allow_tf32(allowed: bool) -> None:
    """TF32 is off unless a row names it; torch itself lets cuDNN use it."""
    import torch

    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


def timed(call: Callable[[], object], seconds: float, warm_up: int) -> dict[str, Any]:
    """Return the median milliseconds of a call and the peak memory, after `warm_up` calls."""
    import torch

    has_gpu = torch.cuda.is_available()

    def finish() -> None:
        if has_gpu:
            torch.cuda.synchronize()

    for _ in range(warm_up):
        call()
    finish()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < until and len(times) < 100):
        began = time.perf_counter()
        call()
        finish()
        times.append(1000 * (time.perf_counter() - began))
    found = {"ms": statistics.median(times), "fastest ms": min(times), "calls": len(times)}
    if has_gpu:
        found["peak MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def step(method: str, variant: str, batch: int, quick: bool) -> dict[str, Any]:
    """Training steps of a recipe on random images."""
    import torch

    from i2i import Stepper

    allow_tf32("TF32" in variant)
    torch.backends.cudnn.benchmark = False  # rows share a process
    stepper = Stepper(read(method, variant, batch, quick))
    (side, _), device = stepper.recipe.image_size, stepper.accelerator.device
    images = {domain: torch.rand(batch, 3, side, side, device=device) * 2 - 1 for domain in "ab"}
    terms = stepper.step(images)
    if bad := [name for name, value in terms.items() if not torch.isfinite(value)]:
        raise RuntimeError(f"not finite: {', '.join(bad)}")
    found = timed(lambda: stepper.step(images), 0.5 if quick else 2, 1 if quick else 3)
    return {**found, "images/s": 1000 * batch / found["ms"]}


def official_step(method: str, code: str, quick: bool) -> dict[str, Any]:
    """Training steps of the official code, as it is, with a batch of one."""
    import official
    import torch

    allow_tf32(False)
    has_gpu = torch.cuda.is_available()
    size = 96 if quick else 256
    times: list[float] = []

    def between() -> None:
        if has_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    steps = 4 if quick else 13
    official.steps(method, Path(code), size, steps, between, "cuda" if has_gpu else "cpu", 8 if quick else 64)
    lengths = [1000 * (after - before) for before, after in pairwise(times)][steps // 3 :]
    found = {"ms": statistics.median(lengths), "fastest ms": min(lengths), "calls": len(lengths)}
    if has_gpu:
        found["peak MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return {**found, "images/s": 1000 / found["ms"]}


def translation(variant: str, batch: int, quick: bool) -> dict[str, Any]:
    """Images through a generator, as `i2i translate` runs it."""
    import torch

    from i2i import Stepper

    allow_tf32(variant == "TF32")
    stepper = Stepper(read("U-GAT-IT light", "fp32", 1, quick))
    (side, _), device = stepper.recipe.image_size, stepper.accelerator.device
    dtype = torch.bfloat16 if variant == "bf16" else torch.float32
    images = torch.rand(batch, 3, side, side, device=device, dtype=dtype) * 2 - 1
    with torch.inference_mode(), stepper.eval_mode() as translator:
        translator.to(dtype)
        found = timed(lambda: translator.translate(images, "b"), 0.5 if quick else 1, 3)
    return {**found, "images/s": 1000 * batch / found["ms"]}


def plan(method: str, batch: int, quick: bool) -> dict[str, Any]:
    """The peak memory that `i2i plan` predicts; the table compares it with that of the step."""
    from i2i.engine.planning import predict

    return {"predicted MiB": predict(read(method, "fp32", batch, quick)).peak / 2**20}


def resume(recipe: str, precision: str = "fp32") -> dict[str, Any]:
    """A run of 8 steps against one that stops after 4 and resumes: every tensor of their last checkpoints."""
    from safetensors.torch import load_file

    import i2i
    from i2i.engine import checkpoint

    def settings(steps: int) -> dict[str, Any]:
        return {
            "train.steps": steps,
            "train.checkpoint_every": 4,
            "train.sample_every": 0,
            "train.workers": 0,
            "train.precision": precision,
            "train.deterministic": True,
            "data.count": 50,
            "schedule": "constant",
        }

    def tensors(folder: Path) -> dict[str, Any]:
        files = sorted((folder / "checkpoints" / "step-0000008").glob("*.safetensors"))
        return {f"{path.stem}/{name}": value for path in files for name, value in load_file(path).items()}

    with tempfile.TemporaryDirectory() as temporary:
        whole, stopped = Path(temporary) / "whole", Path(temporary) / "stopped"
        first = i2i.train(i2i.Recipe.read(recipe, settings(8)), whole)
        i2i.train(i2i.Recipe.read(recipe, settings(4)), stopped)
        second = i2i.train(i2i.Recipe.read(recipe, settings(8)), stopped, checkpoint.find(stopped))
        ours, theirs = tensors(whole), tensors(stopped)
    different = [name for name in ours if name not in theirs or not ours[name].equal(theirs[name])]
    found: dict[str, Any] = {"equal": not different and len(ours) == len(theirs), "tensors": len(ours)}
    if different:
        found["different"] = different[:5]
    if precision == "fp16":
        scalers = [run.stepper.accelerator.scaler.state_dict() for run in (first, second)]
        found |= {"equal": found["equal"] and scalers[0] == scalers[1], "scale": scalers[1]["scale"]}
    return found


def trajectory(recipe: str, steps: int = 5) -> dict[str, Any]:
    """Losses and weights of a few float64 steps, with weights and images that do not depend on the device."""
    import torch

    from i2i import Recipe, Stepper

    stepper = Stepper(Recipe.read(recipe, {"train.precision": "fp64", "train.steps": 100}))
    before = {name: value.cpu().clone() for name, value in stepper.translator.state_dict().items()}
    (side, _), batch = stepper.recipe.image_size, stepper.recipe.train.batch_size
    draws = torch.Generator().manual_seed(0)
    found = {}
    for number in range(steps):
        images = {
            domain: torch.rand(batch, 3, side, side, generator=draws, dtype=torch.float64) * 2 - 1 for domain in "ab"
        }
        for name, value in stepper.step(images).items():
            found[f"loss/{number}/{name}"] = value.cpu().reshape(1)
    for name, value in stepper.translator.state_dict().items():
        found[f"update/{name}"] = (value.cpu() - before[name]).contiguous()
    return found


def against_cpu(recipe: str) -> dict[str, Any]:
    """The same float64 steps on this device and, in another process, on the CPU."""
    from safetensors.torch import load_file

    ours = trajectory(recipe)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "cpu.safetensors"
        command = [sys.executable, __file__, "--trajectory", recipe, str(path)]
        subprocess.run(command, check=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, stdout=subprocess.DEVNULL)
        theirs = load_file(path)
    losses = [name for name in theirs if name.startswith("loss/")]
    relative = [float(((ours[name] - theirs[name]) / theirs[name].abs().clamp(min=1e-12)).abs()) for name in losses]
    moved = max(float(value.abs().max()) for name, value in theirs.items() if name.startswith("update/"))
    apart = max(float((ours[name] - value).abs().max()) for name, value in theirs.items() if name.startswith("update/"))
    return {"losses, relative": max(relative), "weights, of the update": apart / moved}


def environment() -> dict[str, Any]:
    """The machine and the versions that a row depends on."""
    import torch

    import i2i

    found = {
        "i2i": i2i.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "CPU cores": os.cpu_count(),
        "device": "cpu",
    }
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        found |= {"device": properties.name, "device memory": memory, "CUDA": torch.version.cuda}
        found["cuDNN"] = torch.backends.cudnn.version()
    return found


def work() -> None:
    """Measure the rows that arrive on the standard input, until it ends."""
    measures = (step, official_step, translation, plan, resume, against_cpu, environment)
    by_name = {measure.__name__: measure for measure in measures}
    for line in sys.stdin:
        row = json.loads(line)
        try:
            found = by_name[row["measure"]](**row["arguments"])
        except Exception as error:
            found = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        print(RESULT + json.dumps(found), flush=True)
        import torch

        torch.compiler.reset()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


class Worker:
    """A process that measures rows one after another; it is replaced when a row ends it or exceeds its limit."""

    def __init__(self, device: str) -> None:
        self.environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})
        # Deterministic rows need it, and cuBLAS reads it once, before the first of its calls.
        self.environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # OpenMP's threads otherwise wait by spinning, which on a shared machine makes small steps many times slower.
        self.environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.Queue[str | None] = queue.Queue()

    def _start(self) -> subprocess.Popen[str]:
        self.lines = queue.Queue()
        process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

        def pump(lines: queue.Queue[str | None]) -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=pump, args=(self.lines,), daemon=True).start()
        return process

    def measure(self, row: Row, limit: float) -> dict[str, Any]:
        """Return a row's result, or its error; never raises for what the row does."""
        if self.process is None or self.process.poll() is not None:
            self.process = self._start()
        assert self.process.stdin is not None
        until = time.monotonic() + limit
        try:
            self.process.stdin.write(json.dumps(asdict(row)) + "\n")
            self.process.stdin.flush()
            while True:
                line = self.lines.get(timeout=max(0.1, until - time.monotonic()))
                if line is None:
                    return {"error": f"the worker ended with status {self.process.wait()}"}
                if line.startswith(RESULT):
                    return dict(json.loads(line.removeprefix(RESULT)))
        except queue.Empty:
            self.close()
            return {"error": f"not finished after {limit:.0f} s"}
        except BrokenPipeError:
            return {"error": "the worker ended before the row began"}

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def compare(results: dict[str, dict[str, Any]], quick: bool) -> None:
    """Add figures that come from two rows: official / ours, unless ours is smaller, and predicted / measured memory."""
    for name, found in results.items():
        if name.startswith("plan, ") and "predicted MiB" in found:
            measured = results.get("step, " + name.removeprefix("plan, "), {})
            if "peak MiB" in measured:
                found |= {"peak MiB": measured["peak MiB"]}
                found["predicted / measured"] = found["predicted MiB"] / measured["peak MiB"]
        if ", official, " in name and "ms" in found and not quick:
            ours = results.get(name.replace(", official", ""), {})
            if "ms" in ours:
                found["official / i2i"] = found["ms"] / ours["ms"]


def measured_switches(results: dict[str, dict[str, Any]], gpu: str) -> dict[str, Any]:
    """Return the table that `auto` reads: for each GPU, translator and switch, whether it wins."""
    found: dict[str, dict[str, bool]] = {}
    for method in METHODS:
        without = results.get(f"step, {method}, fp32, batch 1", {}).get("ms")
        for switch, variant in SWITCHES.items():
            with_it = results.get(f"step, {method}, {variant}, batch 1", {}).get("ms")
            if without and with_it:
                translator = read(method, "fp32", 1, quick=True).translator.name
                wins = without > WINS * with_it
                found.setdefault(translator, {})[switch] = wins and found.get(translator, {}).get(switch, True)
    return {gpu: found}


def write_switches(measured: dict[str, Any]) -> None:
    """Put what has been measured into the table that `auto` reads, next to other GPUs and other methods."""
    from i2i.engine.switches import table_path

    path = table_path()
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for gpu, of_gpu in measured.items():
        known[gpu] = {**known.get(gpu, {}), **of_gpu}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
    print(f"{path} holds the switches of train.tf32=auto and the like")


def table(results: dict[str, dict[str, Any]]) -> str:
    """Format the results as Markdown."""

    def cell(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        return str(value).replace("|", "\\|")

    lines = ["| row | ms | images/s | peak MiB | more |", "|---|---|---|---|---|"]
    first = ("ms", "images/s", "peak MiB")
    for name, found in results.items():
        rest = (f"{key} {cell(value)}" for key, value in found.items() if key not in (*first, "fastest ms", "calls"))
        lines.append(f"| {name} | {' | '.join(cell(found.get(key, '')) for key in first)} | {', '.join(rest)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=8, help="time for all rows together")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small networks at 96 px, to try the script")
    parser.add_argument("--official", action="append", default=[], metavar="NAME=DIR", help=", ".join(OFFICIAL))
    parser.add_argument("--rows", default="", help="only rows whose name contains this text")
    parser.add_argument("--output", type=Path, default=Path("gpu.json"), help="the table goes next to it, as .md")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--trajectory", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work()
        return
    if options.trajectory:
        from safetensors.torch import save_file

        save_file(trajectory(options.trajectory[0]), options.trajectory[1])
        return
    codes = dict(text.partition("=")[::2] for text in options.official)
    for name, folder in codes.items():
        if name not in OFFICIAL or not Path(folder).is_dir():
            parser.error(f"--official: expected NAME=DIR with NAME of {', '.join(OFFICIAL)} and a folder")
    until = time.monotonic() + 60 * options.minutes
    worker = Worker(options.device)
    machine = worker.measure(Row("environment", "environment"), 60)
    if options.device == "cuda" and machine.get("device") == "cpu":
        worker.close()
        parser.error("torch finds no CUDA device; --device cpu --quick tries the script without one")
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    results: dict[str, dict[str, Any]] = {}

    def save() -> None:
        compare(results, options.quick)
        options.output.write_text(json.dumps({"environment": machine, "rows": results}, indent=1) + "\n")
        options.output.with_suffix(".md").write_text(table(results) + "\n")

    for row in all_rows(options.quick, {name: str(Path(folder).resolve()) for name, folder in codes.items()}):
        if options.rows not in row.name:
            continue
        left = until - time.monotonic()
        results[row.name] = (
            worker.measure(row, min(row.limit, left)) if left > 5 else {"error": "skipped: no time left"}
        )
        print(f"{row.name}: {results[row.name]}", flush=True)
        save()
    worker.close()
    save()
    if options.device == "cuda" and not options.quick:
        write_switches(measured_switches(results, str(machine["device"])))
    print(f"\n{table(results)}\n\n{options.output} and {options.output.with_suffix('.md')} hold these figures")


if __name__ == "__main__":
    main()
