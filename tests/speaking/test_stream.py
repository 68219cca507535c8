"""What is streamed is what is said, and comes before all of it is computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from glowtron import SynthesisOptions, Voice
from glowtron.checkpoint import StoredVoice, VoiceFile, save_voice
from glowtron.config import AcousticConfig, LappedConfig, Tacotron2Config, VocodingConfig, WaveGlowConfig, WaveNetConfig
from glowtron.models.tacotron2 import DecodingOptions, Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.speaking.silence import heard
from glowtron.speaking.stream import FIRST_FRAMES, MOST_FRAMES
from glowtron.text.symbols import SYMBOL_IDS
from glowtron.voice import FaultWarning
from glowtron.voices import find_voice, shipped

THREE = (
    "The first one.\n\nA second one, which is a good deal longer than that, and then some, so that it takes a while "
    "until all of it is said. And a third!"
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice of two speakers that reads on at random, with correction, and stops by itself."""
    acoustic = AcousticConfig(
        model=Tacotron2Config(
            n_speakers=2,
            embedding_channels=16,
            encoder_channels=16,
            prenet_channels=8,
            attention_rnn_channels=16,
            attention_channels=8,
            location_filters=4,
            decoder_rnn_channels=16,
            reduction_factor=3,
            postnet_channels=8,
        ),
        speakers=("ann", "bob"),
    )
    vocoder = WaveGlowConfig(
        analysis=LappedConfig(scale_channels=8),
        n_flows=4,
        early_every=2,
        early_size=2,
        wavenet=WaveNetConfig(n_layers=2, n_channels=8),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tacotron2, waveglow = Tacotron2(acoustic.model, acoustic.mel.n_mels), WaveGlow(vocoder)
        with torch.no_grad():
            for parameter in (*tacotron2.parameters(), *waveglow.parameters()):
                parameter += 0.02 * torch.randn_like(parameter)  # What starts at zero would change nothing.
            tacotron2.projection.bias -= 2.0
            waveglow.analysis.scale_out.bias -= 3.0
    config = VoiceFile(
        name="reader",
        description="Random.",
        acoustic=acoustic,
        vocoder=vocoder,
        attempts=0,
        decoding=DecodingOptions(monotonic=True, max_dwell=24, max_sound_dwell=15),
        vocoding=VocodingConfig(correction=3),
    )
    folder = tmp_path_factory.mktemp("voices") / "reader"
    save_voice(StoredVoice(config, tacotron2, waveglow), folder)
    return folder


@pytest.fixture(scope="module")
def voice(reader: Path) -> Voice:
    return Voice.load(reader, device="cpu", precision="fp32")


def difference(voice: Voice, text: str, options: SynthesisOptions) -> tuple[float, int]:
    """The largest between what is said and what is streamed, and in how many pieces it came."""
    said, streamed = voice.say(text, options), list(voice.stream(text, options))
    joined = np.concatenate([audio.samples for audio in streamed])
    assert joined.shape == said.samples.shape and joined.dtype == np.float32
    assert np.abs(said.samples).max() > 1e-3
    return float(np.abs(joined - said.samples).max()), len(streamed)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"speaker": "bob", "seed": 5},
        {"rate": 1.3, "pause_s": 0.123},
        {"rate": 0.8, "correction": 0},
        {"pause_s": 0.0, "sigma": 1.0, "correction": 16},
    ],
)
def test_streamed_is_said(voice: Voice, options: dict[str, object]) -> None:
    largest, n_pieces = difference(voice, THREE, SynthesisOptions(**options))
    assert largest < 1e-4
    assert n_pieces > 3


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 47, 48, 100, 101])
def test_of_any_length(voice: Voice, n_frames: int) -> None:
    """Cut by the frame limit, with and without a whole last step."""
    text = "A sentence that is cut short, wherever it is, before it ever comes near its end."
    with pytest.warns(FaultWarning, match="did not stop"):
        largest, _ = difference(voice, text, SynthesisOptions(max_frames=n_frames))
    assert largest < 1e-4


@pytest.mark.parametrize("text", ["a", "A.", "I?  ...  No."])
def test_odd_texts(voice: Voice, text: str) -> None:
    assert difference(voice, text, SynthesisOptions())[0] < 1e-4


@pytest.mark.parametrize("options", [{"vocoder": "griffin-lim"}, {"denoise": 0.1}])
def test_what_needs_the_whole_sentence_comes_sentence_by_sentence(voice: Voice, options: dict[str, object]) -> None:
    # One sentence: beside others its mel is rounded otherwise, and Griffin-Lim makes more of that.
    largest, n_pieces = difference(voice, "A sentence.", SynthesisOptions(**options))
    assert largest < 1e-4 and n_pieces == 1
    assert len(list(voice.stream(THREE, SynthesisOptions(**options)))) == 3


def test_soft_attention_comes_sentence_by_sentence(tiny_voice: Path) -> None:
    voice = Voice.load(tiny_voice, device="cpu", precision="fp32")
    largest, n_pieces = difference(voice, THREE, SynthesisOptions())
    assert largest < 1e-4
    assert n_pieces == 3


def test_the_first_piece_is_small_and_none_is_large(voice: Voice) -> None:
    pieces = [len(audio.samples) for audio in voice.stream(THREE.split("\n")[2], SynthesisOptions(pause_s=0))]
    assert pieces[0] <= 3 * FIRST_FRAMES * 256
    assert max(pieces) <= 4 * MOST_FRAMES * 256


def test_the_first_piece_comes_before_the_sentence_is_decoded(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = []
    whole = voice.fast_acoustic.chunks

    def counted(*args, **kwargs):
        for chunk in whole(*args, **kwargs):
            chunks.append(chunk)
            yield chunk

    monkeypatch.setattr(voice.fast_acoustic, "chunks", counted)
    stream = voice.stream(" ".join(["A long one"] * 15) + ".")
    next(stream)
    n_before = len(chunks)
    assert not chunks[-1].ended
    list(stream)
    assert len(chunks) > n_before


def test_the_first_piece_comes_before_the_text_is_split(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    whole = voice.pieces
    monkeypatch.setattr(voice, "pieces", lambda text: (asked.append(piece) or piece for piece in whole(text)))
    next(voice.stream("A sentence. " * 100))
    assert len(asked) <= 2, "the second tells whether a pause follows on the first"


def test_progress_counts_sentences(voice: Voice) -> None:
    steps: list[int] = []
    list(voice.stream(THREE, progress=steps.append))
    assert steps == [1, 1, 1]


def test_faults_are_told_after_the_sentence(voice: Voice) -> None:
    with pytest.warns(FaultWarning, match=r"did not stop.*attempt 1.*'And then some\.'"):
        list(voice.stream("And then some.", SynthesisOptions(max_frames=6)))


def test_the_voice_that_ships() -> None:
    if not shipped():
        pytest.skip("no voice ships yet")
    voice = Voice.load(find_voice(), device="cpu", precision="fp32")
    for speaker in voice.speakers:
        options = SynthesisOptions(speaker=speaker)
        assert difference(voice, "Well. The river ran on to the sea, as all rivers do.", options)[0] < 1e-4


@pytest.mark.parametrize("seed", range(20))
def test_a_beginning_settles_what_is_kept(seed: int) -> None:
    """What is said of a text's beginning is true of the whole."""
    generator = torch.Generator().manual_seed(seed)
    n_steps = int(torch.randint(1, 120, (), generator=generator))
    ids = torch.tensor([SYMBOL_IDS[c] for c in (" abc.", "abc", " ab", "ab.", ".")[seed % 5]])
    moves = torch.rand(n_steps, generator=generator) < 0.05
    places = moves.cumsum(0).clamp(max=len(ids) - 1)
    mel = (6 * torch.randn(n_steps, generator=generator)).cumsum(0).clamp(-11.5, 1).expand(4, -1)
    whole = heard(mel, places, ids, 0.025)
    before = slice(0, 0)
    for n in range(1, n_steps + 1):
        kept = heard(mel[:, :n], places[:n], ids, 0.025, ended=False)
        if kept.stop:
            assert kept.start == whole.start and before.stop <= kept.stop <= whole.stop
        else:
            assert not before.stop
        before = kept


_MEMORY = """
import gc, resource, sys, torch
from glowtron import Voice
voice = Voice.load(sys.argv[1], device="cpu", precision="fp32")
text = " ".join(f"Sentence number {n} of a long text." for n in range(int(sys.argv[2])))
sizes, tensors = [], []
def look(_):
    sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    tensors.append(sum(isinstance(x, torch.Tensor) for x in gc.get_objects()))
for _ in voice.stream(text, progress=look):
    pass
print(len(sizes), sizes[-1] - sizes[len(sizes) // 3], max(tensors[1:]) - min(tensors[1:]))
"""


def test_memory_stays_as_it_is(reader: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _MEMORY, reader, "150"], capture_output=True, text=True, check=True)
    n_samples, growth, tensors = map(int, done.stdout.split())
    unit = 1024 if sys.platform == "darwin" else 1
    assert n_samples == 150
    assert growth / unit < 6_000, "kB"  # What 150 sentences sound like is several times that.
    assert tensors < 10


def test_the_command_streams_and_ends_quietly_when_the_reader_goes(reader: Path) -> None:
    command = f'"{sys.executable}" -m glowtron say --stream --quiet --voice "{reader}" - | head -c 1000'
    text = " ".join(["Say this again."] * 300)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], input=text.encode(), capture_output=True)
    assert done.returncode == 0 and done.stderr == b""
    assert len(done.stdout) == 1000


def test_the_command_refuses_a_file_beside_the_stream(reader: Path) -> None:
    command = [sys.executable, "-m", "glowtron", "say", "--stream", "Hi.", "-o", "hi.wav", "--voice", reader]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "--stream" in done.stderr and not done.stdout
