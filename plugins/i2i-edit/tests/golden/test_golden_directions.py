"""Directions agree with InterFaceGAN, SeFa, GANSpace's formula and scikit-learn's logistic regression."""

from __future__ import annotations

import re

import pytest
import torch
from i2i_edit.directions import condition, ganspace, sefa, tag_direction, train_boundary, walk
from official_figures import relative_error

TOLERANCE = 1e-10


def angle(one: torch.Tensor, other: torch.Tensor) -> float:
    """The angle of two directions in rad, whatever their signs."""
    one, other = one.double().flatten(), other.double().flatten()
    one, other = one / one.norm(), other / other.norm()
    return float(torch.minimum((one - other).norm(), (one + other).norm()))


def test_interfacegan_boundaries(golden) -> None:
    figures = golden("interfacegan/boundary")
    for case, options in figures.config["cases"].items():
        scores = figures.tensor("scores")[:, options["attribute"]]
        found = train_boundary(
            figures.tensor("latents"),
            scores,
            options["chosen_num_or_ratio"],
            options["split_ratio"],
            options["invalid_value"],
            options["numpy_seed"],
        )
        expected = figures.tensor(f"{case}/boundary").flatten()
        assert (found.normal - expected).norm() < 1e-6, case
        logged = [line for line in options["log"] if "Accuracy" in line]
        assert logged
        for line in logged:
            share = found.validation if "validation" in line else found.remaining
            assert share == pytest.approx(float(line.rpartition("= ")[2]), abs=1e-6)


def test_interfacegan_condition_and_walk(golden) -> None:
    figures = golden("interfacegan/boundary")
    primal, others = figures.tensor("projection/primal")[0], figures.tensor("projection/conds")
    for count, name in enumerate(("one", "two", "three", "four"), start=1):
        if f"projection/{name}" in figures:
            found = condition(primal, list(others[:count]))
            assert relative_error(found[None], figures[f"projection/{name}"]) <= TOLERANCE, name
    # The range of each walk stands in words in the file's configuration.
    for name, start, end, steps in re.findall(r"(\w+): (\S+)\.\.(\S+) in (\d+) steps", figures.config["interp"]):
        found = walk(figures.tensor(f"interp/{name}"), primal, float(start), float(end), int(steps))
        assert relative_error(found, figures[f"interp/{name}_out"]) <= TOLERANCE


def test_sefa(golden) -> None:
    figures = golden("sefa/factorize")
    affines = [value for _, value in sorted(figures.tensors("affine/").items(), key=lambda item: int(item[0]))]
    for case in {key.partition("/")[0] for key in figures if key.endswith("/eigenvalues64")}:
        vectors, values = sefa(affines if case == "all" else affines[: int(case.removeprefix("first"))])
        assert relative_error(values, figures[f"{case}/eigenvalues64"]) <= TOLERANCE
        expected = figures.tensor(f"{case}/vectors64")
        signs = (vectors * expected).sum(1, keepdim=True).sign()
        gaps = values.diff().abs()
        apart = torch.minimum(torch.cat([gaps[:1], gaps]), torch.cat([gaps, gaps[-1:]])) > 1e-8
        assert apart.any()
        assert relative_error((vectors * signs)[apart], expected[apart]) <= TOLERANCE
        official = figures.tensor(f"{case}/vectors_official")
        # Where fewer channels than directions are given, any vectors span the rest.
        large = figures.tensor(f"{case}/eigenvalues_official") > 1e-4 * values[0]
        nearest = (official[large].double() @ vectors.T).abs().max(1).values
        assert nearest.min() > 1 - 1e-4


def test_closed_form_factorization(golden) -> None:
    figures, generator = golden("stylegan2_rosinality/closed_form"), golden("stylegan2_rosinality/gen")
    vectors, values = sefa([generator.tensor(f"param/{name}") for name in figures.config["layers"]], normalized=False)
    assert relative_error(values.sqrt(), figures["singular64"]) <= TOLERANCE
    expected = figures.tensor("eigvec64").T
    signs = (vectors * expected).sum(1, keepdim=True).sign()
    assert relative_error(vectors * signs, expected) <= TOLERANCE


def test_ganspace(golden) -> None:
    figures = golden("ganspace/pca")
    components, mean, deviation = ganspace(figures.tensor("w"))
    expected = figures.tensor("components64")
    components, deviation = components[: len(expected)], deviation[: len(expected)]
    signs = (components * expected).sum(1, keepdim=True).sign()
    assert relative_error(components * signs, expected) <= TOLERANCE
    assert relative_error(mean, figures["mean64"]) <= TOLERANCE
    assert relative_error(deviation, figures["stdev64"]) <= TOLERANCE


def test_tags(golden) -> None:
    figures = golden("tag_directions/logistic")
    latents, labels = figures.tensor("latents"), figures.tensor("labels")
    for name, balanced in {"coef64": True, "coef_plain64": False}.items():
        found, intercept = tag_direction(latents, labels, balanced)
        assert angle(found, figures.tensor(name)) < 1e-6
        assert relative_error(found, figures[name]) <= 1e-6, name
        if balanced:
            assert relative_error(torch.tensor([intercept]), figures["intercept64"]) <= 1e-6
