"""Trains `dtn_small`: translations keep their digit. Minutes; prints metrics.

python -m pytest -m slow plugins/i2i-dtn/tests/slow -s
"""

from __future__ import annotations

import time

import pytest
import torch
from i2i_dtn.digits import Digits
from i2i_dtn.metrics import DigitClassifier, TransferMetrics

import i2i
from i2i.data.loader import make_loader

COUNT = 200


@pytest.mark.slow
def test_dtn_small_keeps_labels(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    classifier, truth = DigitClassifier(), Digits(32).pairs(COUNT)
    labels = truth["labels"]
    baselines = {name: classifier.measure(image, labels) for name, image in {
        "ground truth": truth["b"], "identity": truth["a"], "another digit": truth["b"].roll(1, 0),
    }.items()}  # fmt: skip
    assert min(baselines["ground truth"]) > 0.97
    assert baselines["identity"].domain < 0.1
    assert baselines["another digit"].label < 0.2
    recipe = i2i.Recipe.read("dtn_small", {"train.workers": 0})
    stepper, dataset = i2i.Stepper(recipe), Digits(32, seed=recipe.train.seed)
    batches = iter(make_loader(dataset, batch_size=recipe.train.batch_size))
    began = time.monotonic()
    metrics = TransferMetrics(0, 0)
    with capsys.disabled():
        print("", *baselines.items(), sep="\n")
        for step in range(1, recipe.train.steps + 1):
            stepper.step(next(batches))
            if step % 150 == 0:
                with stepper.eval_mode() as translator, torch.no_grad():
                    predicted = translator.label_logits(truth["a"]).argmax(1)
                    image = translator.translate(truth["a"], "b").image
                metrics = classifier.measure(image, labels)
                share = float((predicted == labels).double().mean())
                print(f"{step} {time.monotonic() - began:.0f} s, accuracy of f {share:.2f}; {metrics}")
    torch.set_num_threads(threads)
    assert metrics.label >= 0.7
    assert metrics.domain >= 0.6
