"""Published checkpoints become voices, whole, or an error says why and nothing is left."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_tacotron2 import CONFIG, published_acoustic, save
from torch import Tensor

from glowtron.checkpoint import load_voice
from glowtron.config import DecodingOptions, MelConfig, Tacotron2Config, TextConfig
from glowtron.errors import InputError
from glowtron.importers import import_voice, read_published
from glowtron.models.published_tacotron2 import config_from_published, from_published
from glowtron.models.tacotron2 import Tacotron2
from glowtron.text.frontend import make_frontend
from glowtron.text.symbols import FIRST_SOUND


@pytest.fixture
def acoustic(tmp_path: Path) -> Path:
    return save(tmp_path / "acoustic.pt", published_acoustic(), iteration=12)


def test_sizes_are_read_off_the_tensors() -> None:
    assert config_from_published(published_acoustic()) == CONFIG
    assert config_from_published(published_acoustic(config=Tacotron2Config())) == Tacotron2Config()


def test_weights_arrive_in_place() -> None:
    state = published_acoustic()
    model = Tacotron2(CONFIG, 16)
    model.load_state_dict(from_published(state))
    ids = torch.randint(0, 148, (5, CONFIG.embedding_channels, 11)).float()
    conv = torch.nn.Conv1d(6, 8, 3, padding=1)
    conv.load_state_dict({name: state[f"encoder.convolutions.0.0.conv.{name}"] for name in ("weight", "bias")})
    ours = model.encoder.convolutions[0](ids.transpose(1, 2))
    assert torch.allclose(ours.transpose(1, 2), conv(ids), atol=1e-3)


def test_acoustic_alone(acoustic: Path, tmp_path: Path) -> None:
    voice = import_voice([acoustic], tmp_path / "voice")
    loaded = load_voice(tmp_path / "voice")
    assert loaded.vocoder is None
    assert loaded.config.name == "voice"
    assert loaded.config.description == "Acoustic model: published weights acoustic.pt, iteration 12."
    assert loaded.config.acoustic.text == TextConfig(frontend="nvidia")
    assert loaded.config.acoustic.mel == MelConfig(n_mels=16)
    assert loaded.config.acoustic.model == CONFIG
    expected = voice.acoustic.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.acoustic.state_dict().items())


def test_counters_of_old_torch_may_be_missing(tmp_path: Path) -> None:
    state = {name: value for name, value in published_acoustic().items() if "num_batches" not in name}
    assert import_voice([save(tmp_path / "x.pt", state)], tmp_path / "v").acoustic is not None


def change(name: str, value: Tensor | None) -> Callable[[dict[str, Tensor]], None]:
    def apply(state: dict[str, Tensor]) -> None:
        if value is None:
            del state[name]
        else:
            state[name] = value

    return apply


def drop(prefix: str) -> Callable[[dict[str, Tensor]], None]:
    def apply(state: dict[str, Tensor]) -> None:
        for name in [name for name in state if name.startswith(prefix)]:
            del state[name]

    return apply


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (drop("postnet."), "postnet.convolutions.0.0.conv.weight is missing|postnet is missing"),
        (drop("decoder.prenet"), "prenet"),
        (drop("decoder.gate"), r"is missing tensors: decoder\.gate_layer\S+, decoder\.gate_layer\S+bias"),
        (drop("encoder.lstm"), r"is missing tensors: encoder\.lstm\S+, encoder\.lstm\S+, encoder\.lstm\S+ and 5 more"),
        (drop("encoder.convolutions.0"), r"encoder\.convolutions\.0\.0\.conv\.weight is missing"),
        (drop("postnet.convolutions.1"), r"is missing tensors: postnet\.convolutions\.1\.0\.conv\.weight"),
        (change("postnet.convolutions.9999.0.conv.bias", torch.ones(2)), r"conv\.bias' has a number that no layer has"),
        (
            change("postnet.convolutions.50.0.conv.bias", torch.ones(2)),
            r"is missing tensors: postnet\S+",
        ),
        (change("speaker.weight", torch.ones(2)), r"has unknown tensors: speaker\.weight"),
        (
            change("decoder.gate_layer.linear_layer.bias", torch.ones(2)),
            r"misshapen tensors: decoder\.gate_layer\S+ \(2,\)",
        ),
        (change("encoder.convolutions.0.0.conv.weight", torch.ones(8)), r"conv\.weight is of shape \(8,\)"),
        (change("encoder.convolutions.0.0.conv.weight", torch.ones(8, 6, 4)), "encoder_kernel must be odd, got 4"),
        (change("embedding.weight", torch.ones(90, 6)), "reads 90 symbols"),
        (
            change("decoder.linear_projection.linear_layer.bias", torch.ones(32)),
            "makes 2 frames a step",
        ),
        (
            change("embedding.weight", torch.full((148, 6), torch.nan)),
            r"tensor embedding\.weight has values that are no",
        ),
        (change("embedding.weight", torch.full((148, 6), 1e39, dtype=torch.double)), "values that are no numbers"),
    ],
)
def test_half_matching_files(fault: Callable, reason: str, tmp_path: Path) -> None:
    state = published_acoustic()
    fault(state)
    path = save(tmp_path / "x.pt", state)
    with pytest.raises(InputError, match=reason) as error:
        import_voice([path], tmp_path / "deep" / "voice")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert [found.name for found in tmp_path.iterdir()] == ["x.pt"]


def test_two_of_a_kind(acoustic: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.pt", published_acoustic())
    with pytest.raises(
        InputError, match=r"acoustic\.pt and .*other\.pt: both hold the acoustic model of a voice; give one of each"
    ):
        import_voice([acoustic, other], tmp_path / "voice")
    assert not (tmp_path / "voice").exists()


def test_nothing_to_import(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to import"):
        import_voice([], tmp_path / "voice")


def test_a_model_that_is_there_stays(acoustic: Path, tmp_path: Path) -> None:
    import_voice([acoustic], tmp_path / "voice")
    before = {path: path.read_bytes() for path in (tmp_path / "voice").iterdir()}
    with pytest.raises(InputError, match="voice: has its acoustic model already; choose another folder"):
        import_voice([acoustic], tmp_path / "voice")
    assert {path: path.read_bytes() for path in (tmp_path / "voice").iterdir()} == before


def test_folder_of_something_else(acoustic: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not empty and holds no voice"):
        import_voice([acoustic], tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["acoustic.pt"]


@pytest.mark.parametrize(
    "name",
    ["2018_11_09", "2018_11_09_legacy_format", "old", "2018_11_22", "2020_09_02", "dle"],
)
def test_every_vocoder_layout(name: str, parity: Callable[[str], Path], tmp_path: Path) -> None:
    voice = import_voice([parity(f"waveglow_{name}.pt")], tmp_path / "voice")
    loaded = load_voice(tmp_path / "voice")
    assert loaded.acoustic is None
    assert loaded.config.vocoder.alternate_halves == (name == "old")
    assert loaded.config.vocoder.mel == MelConfig(n_mels=16)
    mel = torch.randn(1, 16, 4)
    audio = [
        model.generate(mel, generator=torch.Generator().manual_seed(1)) for model in (voice.vocoder, loaded.vocoder)
    ]
    assert torch.allclose(*audio, atol=1e-4)


def test_decoding_is_that_of_the_program_the_weights_are_from(parity: Callable[[str], Path], tmp_path: Path) -> None:
    plain = import_voice([parity("tacotron2.pt")], tmp_path / "plain")
    assert plain.config.decoding == DecodingOptions()
    dle = import_voice([parity("tacotron2_dle.pt")], tmp_path / "dle")
    told = read_published(parity("tacotron2_dle.pt")).extras["config"]
    assert dle.config.decoding == DecodingOptions(
        max_frames=told["max_decoder_steps"], stop_threshold=told["gate_threshold"], keep_stop_frame=False
    )


@pytest.mark.parametrize("told", [None, [], {"max_decoder_steps": -5, "gate_threshold": "x"}])
def test_a_config_of_no_use_is_passed_over(told: object, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"state_dict": published_acoustic(), "epoch": 3, "config": told}, path)
    assert import_voice([path], tmp_path / "voice").config.decoding == DecodingOptions(keep_stop_frame=False)


@pytest.mark.parametrize("order", [1, -1])
def test_both_at_once_or_one_after_the_other(
    order: int, acoustic: Path, parity: Callable[[str], Path], tmp_path: Path
) -> None:
    files = [acoustic, parity("waveglow_dle.pt")][::order]
    import_voice(files, tmp_path / "both")
    for path in files:
        import_voice([path], tmp_path / "later")
    both, later = (load_voice(tmp_path / name) for name in ("both", "later"))
    assert both.config == replace(later.config, name="both")
    assert both.config.sha256.keys() == {"acoustic.safetensors", "vocoder.safetensors"}


@pytest.mark.parametrize("later", [False, True])
def test_models_that_do_not_fit(later: bool, parity: Callable[[str], Path], tmp_path: Path) -> None:
    files = [parity("tacotron2.pt"), parity("waveglow_dle.pt")]
    if later:
        import_voice(files[:1], tmp_path / "voice")
        before = {path: path.read_bytes() for path in (tmp_path / "voice").iterdir()}
    with pytest.raises(InputError, match=r"'voice': acoustic and vocoder disagree on mel\.n_mels \(80, 16\)"):
        import_voice(files[later:], tmp_path / "voice")
    if later:
        assert {path: path.read_bytes() for path in (tmp_path / "voice").iterdir()} == before
    else:
        assert not (tmp_path / "voice").exists()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (drop("WN.0.start"), r"WN\.0\.start\.\S+ is missing"),
        (drop("WN.3.in_layers.1"), r"WN\.3\.in_layers\.1\.\S+ is missing"),
        (drop("WN.3"), r"WN\.3\.\S+ is missing"),
        (drop("convinv.1."), r"convinv\.1\.conv\.weight is missing"),
        (drop("upsample.bias"), r"upsample\.bias is missing"),
        (change("WN.0.more.weight", torch.ones(2)), r"WN\.0\.more\.weight"),
        (change("convinv.2.conv.weight", torch.ones(3, 3, 1)), "mixing|shape|early"),
        (change("upsample.weight", torch.ones(16, 16, 1000)), "upsample|do not fit|multiple"),
        (change("WN.1.end.weight", torch.ones(5, 16, 1)), "shape|fit"),
        (change("WN.1.in_layers.0.weight_v", torch.ones(32, 16, 5)), "shape|fit"),
        (change("WN.1.cond_layers.0.weight_v", torch.ones(32, 99, 1)), "shape|fit"),
        (change("WN.0.in_layers.0.weight_v", torch.ones(32, 16, 4)), "kernel_size must be odd"),
    ],
)
def test_half_matching_vocoders(fault: Callable, reason: str, parity: Callable[[str], Path], tmp_path: Path) -> None:
    state = read_published(parity("waveglow_dle.pt")).state
    fault(state)
    path = save(tmp_path / "x.pt", state)
    with pytest.raises(InputError, match=reason) as error:
        import_voice([path], tmp_path / "voice")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "voice").exists()


@pytest.mark.parametrize("second", [b"", b"text", b"PK\x03\x04"])
def test_a_bad_second_file_leaves_nothing(second: bytes, acoustic: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(second)
    with pytest.raises(InputError, match=r"bad\.pt: is"):
        import_voice([acoustic, tmp_path / "bad.pt"], tmp_path / "voice")
    assert not (tmp_path / "voice").exists()


def test_weights_with_other_symbols_need_their_list(tmp_path: Path) -> None:
    config = replace(CONFIG, n_symbols=14)
    path = save(tmp_path / "german.pt", published_acoustic(config=config))
    with pytest.raises(InputError, match=r"reads 14 symbols.*give the list"):
        import_voice([path], tmp_path / "voice")
    assert not (tmp_path / "voice").exists()


def test_a_symbol_list_makes_the_weights_readable(tmp_path: Path) -> None:
    listed = ["_", "a", "b", "ß", "ä", ".", " ", "?", "@AA1", "o", "-", "ö", "t", "i"]
    config = replace(CONFIG, n_symbols=len(listed))
    state = published_acoustic(config=config)
    path = save(tmp_path / "german.pt", state)
    symbols = tmp_path / "symbols.txt"
    symbols.write_text("\n".join(listed) + "\n", "utf-8")
    import_voice([path], tmp_path / "voice", symbols=symbols, frontend="basic")
    voice = load_voice(tmp_path / "voice")
    assert voice.config.acoustic is not None
    frontend = make_frontend(voice.config.acoustic.text)
    encoded = frontend.encode("Ab\u0061\u0308 ß, {AA1}?")  # The umlaut in two characters; the comma is not listed.
    rows = voice.acoustic.state_dict()["embedding.weight"][encoded.ids]
    wanted = [listed.index(symbol) for symbol in ("a", "b", "ä", " ", "ß", " ", "@AA1", "?")]
    assert torch.equal(rows, state["embedding.weight"][wanted])
    assert [word.text for word in encoded.words] == ["ab\u00e4", "ß,", "{AA1}?"]
    is_sound = [index >= FIRST_SOUND for index in encoded.ids]
    assert is_sound == [True, True, True, False, True, False, True, False]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("_\na\na\n", "'a' stands twice, with ids 1 and 2"),
        ("_\nab\n", "'ab' .* is no single character"),
        ("_\n\nb\n", "id 1 is empty"),
        ('["_", 3]', "is a list of strings"),
        ('["_", ]', "is no JSON list"),
        ("_\na\n", "reads 14 symbols, and the symbol list has 2"),
    ],
)
def test_a_faulty_symbol_list_is_told(content: str, fault: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.pt", published_acoustic(config=replace(CONFIG, n_symbols=14)))
    symbols = tmp_path / "symbols.txt"
    symbols.write_text(content, "utf-8")
    with pytest.raises(InputError, match=fault):
        import_voice([path], tmp_path / "voice", symbols=symbols)
    assert not (tmp_path / "voice").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"generator": {"conv_pre.weight_g": 1, "ups.0.bias": 1}}, "is a HiFi-GAN generator"),
        ({"mpd": {"a": 1}, "msd": {"b": 1}}, "is the discriminators of a HiFi-GAN"),
        ({"state_dict": {"encoder.word_emb.weight": 1, "pitch_emb.weight": 1}}, "is a FastPitch"),
        ({"model": {"enc_p.emb.weight": 1, "dec.conv_pre.weight": 1}}, "is a VITS"),
        ({"model_state": {"upsample.resnet.conv_in.weight": 1}}, "is a WaveRNN"),
        ({"optimizer": {"state": {"0": 1}}}, "holds an optimizer's state and no model"),
        (
            {"steps": 3, "weights_of_mine": 4},
            r"neither 'state_dict' nor 'model' is in it \(but steps, weights_of_mine\)",
        ),
    ],
)
def test_another_model_is_told_as_such(content: dict[str, object], told: str, tmp_path: Path) -> None:
    def filled(value: object) -> object:
        return {key: filled(item) for key, item in value.items()} if isinstance(value, dict) else torch.zeros(2)

    path = tmp_path / "other.pt"
    torch.save({key: filled(value) if isinstance(value, dict) else value for key, value in content.items()}, path)
    with pytest.raises(InputError, match=told):
        import_voice([path], tmp_path / "voice")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "pointer of Git LFS"),
        (b"\x1f\x8b\x08" + bytes(40), "compressed by gzip"),
        (b"\x08\x07\x12\x07pytorch" + bytes(40), "an ONNX graph"),
    ],
)
def test_another_kind_of_file_is_told_as_such(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=told):
        import_voice([path], tmp_path / "voice")
