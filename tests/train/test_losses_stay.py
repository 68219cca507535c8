"""A change of the program does not change what a run learns."""

import pytest
from toy import Toy, changed

from glowtron.train.loop import train
from glowtron.train.report import read_metrics

TRAINING = [
    *(13.84505, 15.06419, 13.30065, 7.620195, 10.73509, 7.241965, 7.64162, 6.303747, 6.871057, 4.358766),
    *(9.361115, 4.183991, 5.146238, 8.986315, 5.810989, 6.954342, 5.566504, 5.751767, 4.083365, 7.434649),
]
VALIDATION = [9.78088, 8.623813, 7.925406, 7.715779]
"""Losses of version 0.1.0, before its training code was rewritten."""
RELATIVE = 1e-4
"""Matrix products in float32 are rounded differently by other processors and libraries; a step more or less, another
seed, another weight of a part change the first digits."""


def test_losses_are_those_of_the_first_version(tmp_path):
    train(Toy(changed(precision="fp32", log_every=1)), tmp_path, device="cpu", quiet=True)
    lines = read_metrics(tmp_path)
    for split, losses in (("train", TRAINING), ("validation", VALIDATION)):
        assert [line["loss"] for line in lines if line["split"] == split] == pytest.approx(losses, rel=RELATIVE)
