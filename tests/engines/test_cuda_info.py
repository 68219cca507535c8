"""Which precision a card gets, and float32 that stays float32."""

import re
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from glowtron.engines.cuda_info import Card, choose_on_card
from glowtron.errors import InputError

AMPERE, VOLTA, PASCAL = Card("Ampere", (8, 0)), Card("Volta", (7, 0)), Card("Pascal", (6, 1))


def model(largest: float = 1.0) -> nn.Module:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, -largest)
    return layer


@pytest.mark.parametrize(
    ("card", "wanted", "largest", "name", "why"),
    [
        (AMPERE, "auto", 1, "fp16", "Ampere multiplies it fast"),
        (VOLTA, "auto", 1, "fp16", "Volta multiplies it fast"),
        (PASCAL, "auto", 1, "fp32", "no fast fp16"),
        (AMPERE, "auto", 1e5, "bf16", "leave the range"),
        (VOLTA, "auto", 1e5, "fp32", "there is no bf16"),
        (AMPERE, "bf16", 1, "bf16", "as asked"),
        (VOLTA, "bf16", 1, "fp32", r"capability 7.0\) has no fast bf16"),
        (VOLTA, "fp16", 1, "fp16", "as asked"),
        (PASCAL, "fp16", 1, "fp32", r"capability 6.1\) has no fast fp16"),
        (AMPERE, "fp32", 1, "fp32", "as asked"),
    ],
)
def test_what_is_picked_and_why(card: Card, wanted: str, largest: float, name: str, why: str):
    chosen = choose_on_card(wanted, card, model(largest))
    assert chosen.name == name
    assert chosen.why.startswith(name)
    assert re.search(why, chosen.why)


def test_dtypes():
    names = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
    assert {name: choose_on_card(name, AMPERE, model()).dtype for name in names} == names


def test_what_is_unknown_is_refused():
    with pytest.raises(InputError, match=r"unknown precision 'int8' on CUDA"):
        choose_on_card("int8", AMPERE, model())
    with pytest.raises(InputError, match=r"did you mean 'fp16'"):
        choose_on_card("fp61", AMPERE, model())


def test_tf32_is_off_inside_and_as_it_was_outside():
    run_alone(
        """
        from glowtron.engines.cuda_info import exact_float32
        matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        matmul.fp32_precision = conv.fp32_precision = "tf32"
        for _ in range(2):
            with contextlib.suppress(KeyError), exact_float32():
                assert matmul.fp32_precision == conv.fp32_precision == "ieee"
                raise KeyError
            assert matmul.fp32_precision == conv.fp32_precision == "tf32"
        """
    )


def test_switches_by_their_old_names_stay_as_they_were():
    run_alone(
        """
        from glowtron.engines.cuda_info import exact_float32
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        for asked in ((True, False), (False, True)):
            matmul.allow_tf32, cudnn.allow_tf32 = asked
            with exact_float32():
                pass
            assert (matmul.allow_tf32, cudnn.allow_tf32) == asked
        """
    )


def run_alone(program: str) -> None:
    """In a process of its own: once set by its new name, a switch cannot be read by its old one for ever after."""
    program = "import contextlib\nimport torch\n" + textwrap.dedent(program)
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
