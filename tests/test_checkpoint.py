"""A voice folder comes back as it was saved, is whole or not there, and says what is wrong with it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from glowtron import voice_folder
from glowtron.checkpoint import StoredVoice, load_voice, save_voice
from glowtron.config import (
    FORMAT_VERSION,
    AcousticConfig,
    DecodingOptions,
    GriffinLimConfig,
    LappedConfig,
    MelConfig,
    Tacotron2Config,
    VoiceFile,
    WaveGlowConfig,
    WNConfig,
)
from glowtron.errors import InputError
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.voice_folder import read_voice_file

MEL = MelConfig(n_mels=8)
ACOUSTIC = AcousticConfig(
    model=Tacotron2Config(
        embedding_channels=8,
        encoder_channels=8,
        prenet_channels=8,
        attention_rnn_channels=8,
        attention_channels=8,
        decoder_rnn_channels=8,
        postnet_channels=8,
        n_speakers=2,
    ),
    mel=MEL,
    speakers=("Zoë", "李"),
)
VOCODER = WaveGlowConfig(
    mel=MEL, analysis=LappedConfig(scale_channels=8), n_flows=2, wavenet=WNConfig(n_layers=2, n_channels=8)
)


@pytest.fixture
def voice() -> StoredVoice:
    config = VoiceFile(
        name="tiny",
        description="Größe: klein",
        licence="CC0-1.0",
        acoustic=ACOUSTIC,
        vocoder=VOCODER,
        decoding=DecodingOptions(monotonic=True, max_frames=77),
        metrics={"words": 0.5, "curve": [1, 2]},
    )
    acoustic, vocoder = Tacotron2(ACOUSTIC.model, MEL.n_mels), WaveGlow(VOCODER)
    for norm in acoustic.encoder.norms:  # statistics of quiet channels: float16 would make them 0
        norm.running_var.fill_(1e-9)
    return StoredVoice(config, acoustic, vocoder)


def same(a: nn.Module, b: nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


def test_round_trip(voice: StoredVoice, tmp_path: Path) -> None:
    written = save_voice(voice, tmp_path / "deep" / "voice")
    loaded = load_voice(tmp_path / "deep" / "voice")
    assert loaded.config == written
    assert replace(written, sha256={}) == voice.config
    assert same(loaded.acoustic, voice.acoustic)
    assert not loaded.acoustic.training
    assert not loaded.vocoder.training
    mel = torch.randn(1, MEL.n_mels, 5)
    noise = [torch.randn(1, VOCODER.n_channels, 5)]
    assert torch.allclose(
        loaded.vocoder.generate(mel, noise=noise), voice.vocoder.generate(mel, noise=noise), atol=1e-5
    )
    assert sorted(path.name for path in (tmp_path / "deep" / "voice").iterdir()) == [
        "acoustic.safetensors",
        "vocoder.safetensors",
        "voice.json",
    ]


def test_weight_norm_is_folded_in_the_file_and_kept_in_the_model(voice: StoredVoice, tmp_path: Path) -> None:
    before = list(voice.vocoder.state_dict())
    save_voice(voice, tmp_path / "v")
    assert list(voice.vocoder.state_dict()) == before
    assert any(name.endswith("weight_g") for name in before)
    assert not any(name.endswith("weight_g") for name in load_voice(tmp_path / "v").vocoder.state_dict())


def test_json_is_for_people(voice: StoredVoice, tmp_path: Path) -> None:
    save_voice(voice, tmp_path / "v")
    text = (tmp_path / "v" / "voice.json").read_text(encoding="utf-8")
    assert "Größe" in text
    assert "李" in text
    assert text.count("\n") > 30


def test_a_vocoder_may_stay_as_it_is_stored(voice: StoredVoice, tmp_path: Path) -> None:
    """Net by net, and whole, it is what is loaded otherwise; only in int8 is it any smaller."""
    save_voice(voice, tmp_path / "whole")
    save_voice(voice, tmp_path / "eighth", dtype=torch.int8)
    assert same(load_voice(tmp_path / "whole", stored_vocoder=True).vocoder, load_voice(tmp_path / "whole").vocoder)
    expected = load_voice(tmp_path / "eighth").vocoder
    loaded = load_voice(tmp_path / "eighth", stored_vocoder=True)
    assert loaded.vocoder is None
    assert loaded.stored_vocoder.n_parameters == sum(weight.numel() for weight in expected.parameters())
    assert same(loaded.stored_vocoder.whole(), expected)
    parts = loaded.stored_vocoder.net_by_net()
    assert not parts.training
    assert len(parts.wavenets) == len(expected.wavenets)
    for place in (*range(VOCODER.n_flows), -1):
        assert same(parts.wavenets[place], expected.wavenets[place])
    rest = {name: tensor for name, tensor in expected.state_dict().items() if not name.startswith("wavenets.")}
    assert parts.state_dict().keys() == rest.keys()
    assert all(torch.equal(tensor, rest[name]) for name, tensor in parts.state_dict().items())


def test_eight_bits_on_disk(voice: StoredVoice, tmp_path: Path) -> None:
    """Every weight within half a step of its row's scale, and a quarter of the size."""
    save_voice(voice, tmp_path / "whole")
    save_voice(voice, tmp_path / "eighth", dtype=torch.int8)
    loaded = load_voice(tmp_path / "eighth")
    assert voice.acoustic is not None
    assert loaded.acoustic is not None
    for name, weight in voice.acoustic.state_dict().items():
        restored = loaded.acoustic.state_dict()[name]
        if weight.dim() < 2:
            assert torch.equal(restored, weight)
        else:
            step = weight.abs().amax(dim=1, keepdim=True) / 127
            assert bool(((restored - weight).abs() <= 0.501 * step).all())
            assert not torch.equal(restored, weight) or not weight.any()
    sizes = [(tmp_path / name / "acoustic.safetensors").stat().st_size for name in ("whole", "eighth")]
    assert sizes[1] < 0.6 * sizes[0]  # Names and vectors weigh much in so small a model.


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_disk(dtype: torch.dtype, voice: StoredVoice, tmp_path: Path) -> None:
    with torch.no_grad():
        voice.acoustic.projection.weight[0, 0] = 1e30  # more than float16 holds
    save_voice(voice, tmp_path / "full")
    save_voice(voice, tmp_path / "half", dtype=dtype)
    sizes = [(tmp_path / name / "vocoder.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    loaded = load_voice(tmp_path / "half").acoustic.state_dict()
    for name, value in voice.acoustic.state_dict().items():
        assert loaded[name].dtype == value.dtype
        assert torch.allclose(loaded[name], value, rtol=0.01, atol=1e-7), name
        if value.dim() < 2:
            assert torch.equal(loaded[name], value)


@pytest.mark.parametrize("missing", ["acoustic", "vocoder"])
def test_half_a_voice(missing: str, voice: StoredVoice, tmp_path: Path) -> None:
    half = replace(voice, config=replace(voice.config, **{missing: None}), **{missing: None})
    save_voice(half, tmp_path / "v")
    loaded = load_voice(tmp_path / "v")
    assert getattr(loaded, missing) is None
    assert loaded.mel == MEL
    assert len(list((tmp_path / "v").iterdir())) == 2


def test_griffin_lim_needs_no_weights(voice: StoredVoice, tmp_path: Path) -> None:
    config = replace(voice.config, vocoder=GriffinLimConfig(mel=MEL))
    save_voice(replace(voice, config=config, vocoder=None), tmp_path / "v")
    loaded = load_voice(tmp_path / "v")
    assert loaded.vocoder is None
    assert loaded.config.vocoder == GriffinLimConfig(mel=MEL)


def test_mels_that_disagree(voice: StoredVoice, tmp_path: Path) -> None:
    mel = MelConfig(n_mels=8, hop_length=512, f_max=7000.0)
    voice = replace(voice, config=replace(voice.config, vocoder=replace(VOCODER, mel=mel)))
    reason = (
        r"^voice 'tiny': acoustic and vocoder disagree on mel\.hop_length \(256, 512\), "
        r"mel\.f_max \(8000\.0, 7000\.0\); retrain one or choose another vocoder$"
    )
    with pytest.raises(InputError, match=reason):
        save_voice(voice, tmp_path / "v")
    assert not (tmp_path / "v").exists()


def edit(path: Path, change: Callable[[dict], None]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v.update(format_version=FORMAT_VERSION + 1, new={}), r"voice\.json: has format version 2, .*update"),
        (lambda v: v["vocoder"]["mel"].update(hop_length=512), r"disagree on mel\.hop_length \(256, 512\)"),
        (lambda v: v.update(acustic=None), r"unknown key 'acustic' \(did you mean 'acoustic'\?\)"),
        (lambda v: v["decoding"].update(monoton=True), "unknown key 'decoding.monoton'"),
        (
            lambda v: v["acoustic"]["model"].update(n_symbol=3),
            r"'acoustic\.model\.n_symbol' \(did you mean 'n_symbols'",
        ),
        (lambda v: v["vocoder"]["wavenet"].update(n_layer=3), r"'vocoder\.wavenet\.n_layer' \(did you mean 'n_layers'"),
        (lambda v: v["vocoder"]["analysis"].update(hop_len=3), r"hop_len' \(did you mean 'hop_length'"),
        (lambda v: v.pop("name"), "name: Field required"),
        (lambda v: v.update(acoustic=None, vocoder=None), "neither an acoustic model nor a vocoder"),
        (
            lambda v: v["acoustic"]["model"].update(prenet_channels=9),
            r"acoustic\.safetensors: does not fit voice\.json",
        ),
        (lambda v: v["vocoder"].update(n_flows=1), r"vocoder\.safetensors: does not fit .* and \d+ more"),
        (lambda v: v["sha256"].pop("vocoder.safetensors"), r"vocoder\.safetensors: is not the file"),
    ],
)
def test_edited_description(change: Callable, reason: str, voice: StoredVoice, tmp_path: Path) -> None:
    save_voice(voice, tmp_path / "v")
    edit(tmp_path / "v" / "voice.json", change)
    with pytest.raises(InputError, match=reason) as error:
        load_voice(tmp_path / "v")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '"x"', "null", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")]
)
def test_voice_json_that_is_none(text: str | bytes, tmp_path: Path) -> None:
    (tmp_path / "voice.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=r"voice\.json: ") as error:
        load_voice(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["acoustic.safetensors", "vocoder.safetensors"])
def test_damaged_and_missing_weights(name: str, voice: StoredVoice, tmp_path: Path) -> None:
    path = tmp_path / "v" / name
    save_voice(voice, tmp_path / "v")
    data = bytearray(path.read_bytes())
    for damaged in (data[:-1], data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"{name}: is not the file that voice\.json was written with \(sha256"):
            load_voice(tmp_path / "v")
    path.unlink()
    with pytest.raises(InputError, match=f"{name}: cannot be read: No such file"):
        load_voice(tmp_path / "v")


def test_weights_that_are_something_else(voice: StoredVoice, tmp_path: Path) -> None:
    """Even where the sha256 was brought in line."""
    save_voice(voice, tmp_path / "v")
    (tmp_path / "v" / "vocoder.safetensors").write_bytes(b"not weights")
    sha256 = voice_folder.sha256(b"not weights")
    edit(tmp_path / "v" / "voice.json", lambda v: v["sha256"].update({"vocoder.safetensors": sha256}))
    with pytest.raises(InputError, match=r"vocoder\.safetensors: is no safetensors file"):
        load_voice(tmp_path / "v")


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: does not exist"):
        load_voice(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no voice\.json"):
        read_voice_file(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file"):
        load_voice(tmp_path / "file")


def test_other_peoples_folders_are_left_alone(voice: StoredVoice, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="is not empty and holds no voice"):
        save_voice(voice, tmp_path)
    with pytest.raises(InputError, match=r"thesis\.txt: cannot be a voice folder"):
        save_voice(voice, tmp_path / "thesis.txt")
    with pytest.raises(InputError, match="cannot be written"):
        save_voice(voice, tmp_path / "thesis.txt" / "voice")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_saving_again_replaces_the_voice_and_nothing_else(voice: StoredVoice, tmp_path: Path) -> None:
    save_voice(voice, tmp_path / "v")
    (tmp_path / "v" / "card.md").write_text("x")
    half = replace(voice, config=replace(voice.config, vocoder=None), vocoder=None)
    save_voice(half, tmp_path / "v")
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == ["acoustic.safetensors", "card.md", "voice.json"]
    assert load_voice(tmp_path / "v").vocoder is None


@pytest.mark.parametrize("existing", [False, True])
def test_nothing_is_left_of_a_failure(
    existing: bool, voice: StoredVoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deep" / "voice"
    if existing:
        save_voice(voice, folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)  # of voice.json, after the weights
    with pytest.raises(InputError, match=r"voice: cannot be written: No space left"):
        save_voice(voice, folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert existing or not (tmp_path / "deep").exists()
    assert not list(tmp_path.rglob(".partial*"))


def test_interrupted_between_files_is_noticed(
    voice: StoredVoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while an old folder's files are replaced: weights and voice.json of different voices never load."""
    save_voice(voice, tmp_path / "v")
    with torch.no_grad():
        voice.acoustic.stop.bias.add_(1)
    moves = []
    real = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if moves:
            raise KeyboardInterrupt
        moves.append(target)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_voice(voice, tmp_path / "v")
    with pytest.raises(InputError, match="sha256"):
        load_voice(tmp_path / "v")
    assert not list(tmp_path.rglob(".partial*"))


def test_a_voice_may_speak_with_the_vocoder_of_another_beside_it(tiny_voice, tmp_path):
    shutil.copytree(tiny_voice, tmp_path / "whole")
    shutil.copytree(tiny_voice, tmp_path / "half")
    (tmp_path / "half" / "vocoder.safetensors").unlink()
    path = tmp_path / "half" / "voice.json"
    value = json.loads(path.read_text()) | {"vocoder": None, "vocoder_of": "whole"}
    path.write_text(json.dumps(value))
    half, whole = load_voice(tmp_path / "half"), load_voice(tmp_path / "whole")
    assert half.config.vocoder == whole.config.vocoder
    for name, weight in whole.vocoder.state_dict().items():
        assert torch.equal(half.vocoder.state_dict()[name], weight)
    save_voice(half, tmp_path / "saved")  # Saved, it has its own.
    assert load_voice(tmp_path / "saved").config.vocoder_of == ""
    for wrong, message in (("../whole", "no name of a folder"), ("half", "no name of a folder"), ("none", "does not")):
        path.write_text(json.dumps(value | {"vocoder_of": wrong}))
        with pytest.raises(InputError, match=message):
            load_voice(tmp_path / "half")
