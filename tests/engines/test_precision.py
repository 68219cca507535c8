"""The precision of products is chosen by measuring them."""

import pytest

from glowtron.engines import hardware
from glowtron.engines.hardware import Capabilities, choose_precision, find_capabilities
from glowtron.engines.measured import Measured
from glowtron.errors import InputError


def test_what_is_asked_for_is_given() -> None:
    for capabilities in (Capabilities("a test"), Capabilities(None)):
        assert choose_precision("bf16", capabilities).name == "bf16"
        assert choose_precision("fp32", capabilities).name == "fp32"
    with pytest.raises(InputError, match="did you mean 'bf16'"):
        choose_precision("bf61")


def test_auto_goes_by_what_was_measured() -> None:
    assert choose_precision("auto", Capabilities("a test")) == ("bf16", "bf16: a test")
    assert choose_precision("auto", Capabilities(None)).name == "fp32"


@pytest.mark.parametrize(("bf16", "found"), [(1.0, True), (9.5, False), (30.0, False)])
def test_capabilities(bf16: float, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "measure", lambda *_: Measured({"fp32": 10.0, "bf16": bf16}, None))
    capabilities = find_capabilities()
    assert (capabilities.bf16 is not None) == found
    if capabilities.bf16:
        assert f"bf16 {bf16:.3g}, fp32 10" in capabilities.bf16


def test_products_that_are_really_measured() -> None:
    assert find_capabilities(8, 16) == find_capabilities(8, 16)
