"""Checks of the environment variables that launchers such as `accelerate launch` set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from i2i.engine.faults import is_lost_connection
from i2i.errors import I2IError

FLAGS = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "model parallelism",
    "ACCELERATE_ALLOW_CP_STANDALONE": "context parallelism",
    "ACCELERATE_USE_SAGEMAKER": "SageMaker",
}
"""Variables that enable sharding or replacement of networks, which training here does not support."""
PRECISIONS = {"fp32": "no", "fp64": "no", "bf16": "bf16", "fp16": "fp16"}
"""Accelerate's name of each `train.precision`."""


def check_environment(precision: str) -> None:
    """Check that the environment requests nothing that the recipe does not.

    Args:
        precision: `train.precision` of the recipe.

    Raises:
        I2IError: it requests an unsupported feature or contradicts the recipe.
    """
    values = {name: os.environ.get(name, "").strip().lower() for name in os.environ if name.startswith("ACCELERATE_")}
    for name, what in FLAGS.items():
        if values.get(name, "") in ("1", "true", "yes", "y", "t", "on"):
            raise I2IError(
                f"{name}={os.environ[name]} asks for {what}, which i2i does not support; launch with data parallelism "
                f"alone (accelerate launch --multi_gpu, or torchrun), or unset the variable"
            )
    mixed = values.get("ACCELERATE_MIXED_PRECISION", "")
    if mixed not in ("", "no", PRECISIONS[precision]):
        fix = f"train.precision={mixed}" if mixed in PRECISIONS else "train.precision=bf16"
        raise I2IError(
            f"ACCELERATE_MIXED_PRECISION={mixed} differs from train.precision = {precision!r}, which decides; launch "
            f"with --mixed_precision no, or set {fix}"
        )
    if values.get("ACCELERATE_DYNAMO_BACKEND", "") not in ("", "no"):
        raise I2IError(
            f"ACCELERATE_DYNAMO_BACKEND={values['ACCELERATE_DYNAMO_BACKEND']}: the recipe decides on compilation; "
            f"launch with --dynamo_backend no, and set train.compile=true"
        )
    steps = values.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "")
    if steps not in ("", "1"):
        raise I2IError(
            f"ACCELERATE_GRADIENT_ACCUMULATION_STEPS={steps}: the recipe decides on accumulation; launch with "
            f"--gradient_accumulation_steps 1, and set train.accumulate={steps if steps.isdecimal() else 2}"
        )


@contextmanager
def explain_environment() -> Iterator[None]:
    """Turn Accelerate's error about an unusable environment into one that names the variables.

    Raises:
        I2IError: Accelerate cannot use the variables that a launcher has set.
    """
    try:
        yield
    except (ImportError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        prefixes = ("ACCELERATE_", "FSDP_", "DEEPSPEED_", "MEGATRON_LM_", "PARALLELISM_CONFIG_")
        exact = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        variables = [
            f"{name}={os.environ[name]}" for name in sorted(os.environ) if name.startswith(prefixes) or name in exact
        ]
        if isinstance(error, I2IError) or is_lost_connection(error) or not variables:
            raise
        reason = " ".join(str(error).split())[:300]
        raise I2IError(
            f"Accelerate cannot use the launcher's environment ({', '.join(variables)}): {reason}"
        ) from error
