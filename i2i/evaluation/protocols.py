"""Named protocols: each fixes resizing, range, features, estimator, order and seed, so that figures can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from torch import Tensor

from i2i.core.spelling import did_you_mean
from i2i.errors import I2IError
from i2i.evaluation import feature_distances as distances
from i2i.evaluation import preprocessing
from i2i.evaluation.feature_distances import Estimate
from i2i.evaluation.image_sets import Pixels


class Features(NamedTuple):
    """The features that a figure is computed from.

    Args:
        generated: [n, d].
        real: [m, d], images of the target domain.
        source: [k, d], images of the source domain; None where there are none.
        subset: images of a random subset, for estimators that draw subsets; None for the protocol's own number.
        interval: whether an interval is wanted where it costs more than the value.
    """

    generated: Tensor
    real: Tensor
    source: Tensor | None = None
    subset: int | None = None
    interval: bool = True


class NotApplicableError(I2IError):
    """An estimator cannot be computed from these sets; the message says why."""


Estimator = Callable[[Features], Estimate]


@dataclass(frozen=True)
class Protocol:
    """One way to compute figures.

    Args:
        name: the name that every figure carries.
        tool: whose figures it reproduces, and who publishes them.
        prepare: from the pixels of an image to Inception's input.
        estimators: function by name of the figure; where there are none, all registered metrics of sets.
        printed: factor of the numbers that the tool prints.
    """

    name: str
    tool: str
    prepare: Callable[[Pixels], Tensor]
    estimators: Mapping[str, Estimator] = field(default_factory=dict)
    printed: float = 1.0


LARGEST_SUBSET = 1000


def _frechet(sets: Features) -> Estimate:
    return distances.jackknife(distances.frechet_distance, sets.generated, sets.real, 10 if sets.interval else 0)


def _torch_fidelity_kid(sets: Features) -> Estimate:
    size, smallest = sets.subset or LARGEST_SUBSET, min(len(sets.generated), len(sets.real))
    if size > smallest:
        raise NotApplicableError(
            f"torch-fidelity refuses subsets of {size} images from a set of {smallest}; give --kid-subset-size, at "
            f"most {smallest}, and state it with the figure"
        )
    try:
        # The tool's own function: it sums in float32, which shows in the fifth digit of small distances.
        from torch_fidelity.metric_kid import kid_features_to_metric
    except ImportError as error:
        raise NotApplicableError(
            "it needs torch-fidelity, which is not installed: pip install i2i[evaluate]"
        ) from error
    found = kid_features_to_metric(
        sets.generated, sets.real, kid_subsets=100, kid_subset_size=size, rng_seed=2020, verbose=False
    )
    mean, deviation = found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]
    return Estimate(mean, mean - deviation, mean + deviation, f"standard deviation over 100 subsets of {size}")


def _shrinking_kid(sets: Features, subsets: int, generated_first: bool) -> Estimate:
    size = min(sets.subset or LARGEST_SUBSET, len(sets.generated), len(sets.real))
    return distances.kid_of_subsets(sets.generated, sets.real, subsets, size, 0, generated_first)


def _block_kid(sets: Features, against_source: bool) -> Estimate:
    return distances.kid_of_blocks(sets.generated, _source(sets) if against_source else sets.real)


def _mean_kid(sets: Features, target_share: float, source_share: float) -> Estimate:
    target, source = (_block_kid(sets, against_source) for against_source in (False, True))
    shares = ((target_share, target), (source_share, source))
    value = sum(share * estimate.value for share, estimate in shares) / 2
    if target.high is None or source.high is None:
        return Estimate(value)
    error = sum(share * (estimate.high - estimate.value) for share, estimate in shares if estimate.high is not None) / 2
    interval = "mean of both standard errors over blocks, weighted like the value"
    return Estimate(value, value - error, value + error, interval)


def _source(sets: Features) -> Tensor:
    if sets.source is None:
        raise NotApplicableError("it needs the images of the source domain; give --source")
    return sets.source


def _ugatit(year: str, target_share: float, source_share: float) -> Protocol:
    return Protocol(
        f"ugatit-{year}",
        f"the U-GAT-IT authors' tool as of {year}; its mean KID depends on the order of the files and favours "
        "translators that copy their input",
        preprocessing.pillow_bilinear,
        {
            "mean_kid": partial(_mean_kid, target_share=target_share, source_share=source_share),
            "kid_target": partial(_block_kid, against_source=False),
            "kid_source": partial(_block_kid, against_source=True),
        },
        printed=100,
    )


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "i2i",
            "clean-fid's preprocessing; exact unbiased KID over all pairs, nothing drawn in the value",
            preprocessing.clean_fid,
        ),
        Protocol(
            "torch-fidelity",
            "torch-fidelity 0.4 (UVCGAN, LS4GAN)",
            preprocessing.torch_fidelity,
            {"fid": _frechet, "kid": _torch_fidelity_kid},
        ),
        Protocol("pytorch-fid", "pytorch-fid 0.3 (CUT, DCLGAN, UNSB)", preprocessing.pytorch_fid, {"fid": _frechet}),
        Protocol(
            "clean-fid",
            "clean-fid 0.1.35, mode clean (img2img-turbo)",
            preprocessing.clean_fid,
            {"fid": _frechet, "kid": partial(_shrinking_kid, subsets=100, generated_first=False)},
        ),
        Protocol(
            "nice-gan",
            "NICE-GAN's tool; it prints 100 times the mean, but the standard deviation as it is",
            preprocessing.pytorch_fid,
            {"kid": partial(_shrinking_kid, subsets=50, generated_first=True)},
            printed=100,
        ),
        _ugatit("2019-04", 1, 1),
        _ugatit("2019-08", 0.02, 0.98),
    )
}


def get(name: str) -> Protocol:
    """Return a protocol by name.

    Raises:
        I2IError: there is none of this name.
    """
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise I2IError(f"no protocol is called {name!r}.{did_you_mean(name, PROTOCOLS)} There are: {known}")
    return PROTOCOLS[name]
