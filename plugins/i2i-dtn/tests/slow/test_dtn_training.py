"""DTN, small, from the shipped recipe: does a translation keep its digit? Minutes; prints the figures.

python -m pytest -m slow plugins/i2i-dtn/tests/slow -s
"""

from __future__ import annotations

import time

import pytest
import torch
from i2i_dtn.digits import Digits
from i2i_dtn.judges import Reader, TransferFigures

import i2i
from i2i.data.loader import make_loader

COUNT = 200


@pytest.mark.slow
def test_a_translation_keeps_its_label(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    reader, truth = Reader(), Digits(32).pairs(COUNT)
    labels = truth["labels"]
    known = {name: reader.measure(made, labels) for name, made in {
        "truth": truth["b"], "copy": truth["a"], "another digit": truth["b"].roll(1, 0),
    }.items()}  # fmt: skip
    assert min(known["truth"]) > 0.97
    assert known["copy"].domain < 0.1
    assert known["another digit"].label < 0.2
    recipe = i2i.Recipe.read("dtn_small", {"train.workers": 0})
    stepper, dataset = i2i.Stepper(recipe), Digits(32, seed=recipe.train.seed)
    batches = iter(make_loader(dataset, batch_size=recipe.train.batch_size))
    began = time.monotonic()
    found = TransferFigures(0, 0)
    with capsys.disabled():
        print("", *known.items(), sep="\n")
        for step in range(1, recipe.train.steps + 1):
            stepper.step(next(batches))
            if step % 150 == 0:
                with stepper.eval_mode() as translator, torch.no_grad():
                    read = translator.label_logits(truth["a"]).argmax(1)
                    made = translator.translate(truth["a"], "b").image
                found = reader.measure(made, labels)
                share = float((read == labels).double().mean())
                print(f"{step} {time.monotonic() - began:.0f} s, f reads {share:.2f} of a; {found}")
    torch.set_num_threads(threads)
    assert found.label >= 0.7
    assert found.domain >= 0.6
