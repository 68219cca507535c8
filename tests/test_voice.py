"""Text to sound through a tiny random voice."""

import copy
import dataclasses
import pickle
import re
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glowtron import Audio, SynthesisOptions, Voice
from glowtron.checkpoint import StoredVoice, load_voice, save_voice
from glowtron.config import VocodingConfig
from glowtron.engines.cuda_decoder import accelerate_tacotron2_on_cuda
from glowtron.engines.cuda_info import Card
from glowtron.engines.cuda_launches import Launches
from glowtron.engines.cuda_waveglow import accelerate_waveglow_on_cuda
from glowtron.engines.hardware import find_device
from glowtron.errors import InputError
from glowtron.models.decode import AcousticOutput
from glowtron.synthesis.pipeline import noise_seed
from glowtron.synthesis.trimming import split_at_silence
from glowtron.voice import FaultWarning
from glowtron.voices import find_voice, shipped

THREE = "The first one. A second one is longer than that. And a third!"
SENTENCE_S = 20 * 256 / 22_050
"""How long the tiny voice speaks on each sentence."""


@pytest.fixture(scope="module")
def voice(tiny_voice):
    return Voice.load(tiny_voice, device="cpu")


@pytest.fixture
def endless(tiny_voice):
    """A voice that never wants to stop."""
    voice = Voice.load(tiny_voice, device="cpu")
    with torch.no_grad():
        voice.acoustic.stop.bias.fill_(-100.0)
    return voice


def without(voice, **missing):
    """The same voice lacking models."""
    stored = StoredVoice(dataclasses.replace(voice.config, **missing), voice.acoustic, voice.vocoder)
    return Voice(dataclasses.replace(stored, **missing), device="cpu")


def test_a_vocoder_that_is_stored_in_eight_bits(voice, tmp_path):
    """It speaks without the textbook's model, which is made for those who ask, and is what they make of it."""
    save_voice(voice.torch.stored, tmp_path / "v", dtype=torch.int8)
    whole, stored = Voice(load_voice(tmp_path / "v"), device="cpu"), Voice.load(tmp_path / "v", device="cpu")
    expected = whole.say("Hello.").samples
    assert np.array_equal(stored.say("Hello.").samples, expected)
    assert "vocoder" not in vars(stored.torch)
    assert np.array_equal(pickle.loads(pickle.dumps(stored)).say("Hello.").samples, expected)
    assert np.array_equal(Voice.on(stored.runtime.in_worker(None)).say("Hello.").samples, expected)
    stored.save(tmp_path / "again")
    assert np.array_equal(Voice.load(tmp_path / "again", device="cpu").say("Hello.").samples, expected)
    changed = Voice.load(tmp_path / "v", device="cpu")
    with torch.no_grad():
        changed.vocoder.wavenets[0].end.bias.add_(1.0)
    assert not np.allclose(changed.say("Hello.").samples, expected)


def test_sentences_become_sound_joined_by_pauses(voice):
    options = SynthesisOptions(pause_s=0.5)
    spoken = voice.say(THREE, options)
    assert isinstance(spoken, Audio)
    assert spoken.sample_rate == 22_050
    assert spoken.samples.dtype == np.float32
    assert spoken.duration_s == pytest.approx(3 * SENTENCE_S + 2 * 0.5, abs=1e-3)
    pause = spoken.samples[5120 : 5120 + 11_025]
    assert not pause.any()


def test_same_text_and_seed_give_the_same_audio(voice):
    one, two, other = (voice.say(THREE, SynthesisOptions(seed=seed)).samples for seed in (7, 7, 8))
    assert np.array_equal(one, two)
    assert not np.allclose(one, other)


def test_global_randomness_is_neither_used_nor_touched(voice):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = voice.say("Hello.")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert np.array_equal(one.samples, voice.say("Hello.").samples)


def test_how_many_are_computed_at_once_changes_nothing(tiny_voice, monkeypatch):
    voice = Voice.load(tiny_voice, device="cpu", precision="fp32")  # Others make more of what rounding changes.
    text = " ".join(f"Sentence number {word}." for word in "one two three four five six seven eight nine ten".split())
    whole = voice.say(text)
    for together in (1, 3, 100):
        monkeypatch.setattr("glowtron.synthesis.pipeline.BATCH", together)
        assert np.allclose(voice.say(text).samples, whole.samples, atol=1e-4)


def test_each_sentence_has_noise_of_its_own(voice):
    first, second = voice.utterances("Say it again. Say it again.")
    assert not np.allclose(first.audio.samples, second.audio.samples)


def test_mels_are_those_of_the_utterances_without_their_sound(voice, endless):
    """Of whole sentences and of parts of those that fail."""
    for speaking in (voice, endless):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FaultWarning)
            utterances = list(speaking.utterances(THREE))
        mels = list(speaking.mels(THREE))
        assert len(mels) == len(utterances)
        for mel, utterance in zip(mels, utterances, strict=True):
            assert mel.audio is None and utterance.audio is not None
            assert np.array_equal(mel.mel, utterance.mel) and np.array_equal(mel.alignment, utterance.alignment)
            assert (mel.text, mel.sentence.place) == (utterance.text, utterance.sentence.place)
            assert (mel.stats, mel.failures, mel.attempts) == (utterance.stats, utterance.failures, utterance.attempts)


def test_single_options_are_given_by_name(voice):
    by_name = voice.say("Hello.", speaker="bob", rate=1.1)
    assert np.array_equal(by_name.samples, voice.say("Hello.", SynthesisOptions(speaker="bob", rate=1.1)).samples)
    bob = SynthesisOptions(speaker="bob")
    assert np.array_equal(voice.say("Hello.", bob, rate=1.1).samples, by_name.samples)
    assert np.array_equal(
        np.concatenate([audio.samples for audio in voice.stream("Hello.", vocoder="griffin-lim")]),
        voice.say("Hello.", vocoder="griffin-lim").samples,
    )
    with pytest.raises(InputError, match=r"unknown option 'speeker' \(did you mean 'speaker'\?\)"):
        voice.say("Hello.", speeker="bob")
    with pytest.raises(InputError, match=r"rate must be from 0\.7 to 1\.4"):
        voice.say("Hello.", rate=3.0)
    with pytest.raises(InputError, match="options must be SynthesisOptions, got str"):
        voice.say("Hello.", "bob")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": "1.1"}, "rate must be a number, got '1.1'"),
        ({"rate": True}, "rate must be a number, got True"),
        ({"rate": None}, "rate must be a number, got None"),
        ({"seed": 1.5}, r"seed must be a whole number, got 1\.5"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"attempts": 21}, "attempts must be from 0 to 20, got 21"),
        ({"speaker": 0}, "speaker must be a text, got 0"),
        ({"vocoder": "waveglue"}, r"unknown vocoder 'waveglue' \(did you mean 'waveglow'\?\)"),
    ],
)
def test_options_of_another_type_or_out_of_range_are_named(voice, changes, message):
    with pytest.raises(InputError, match=message):
        voice.say("Hello.", **changes)


def test_numbers_of_numpy_are_numbers(voice):
    spoken = voice.say("Hello.", rate=np.float32(1.0), seed=np.int64(1))
    assert np.array_equal(spoken.samples, voice.say("Hello.", seed=1).samples)


@pytest.mark.parametrize("text", [None, 5, b"Hello.", ["Hello."]])
def test_what_is_no_text_is_named_by_its_type(voice, text):
    for speak in (voice.say, voice.phonemes, lambda text: list(voice.stream(text))):
        with pytest.raises(InputError, match=f"a text must be str, got {type(text).__name__}"):
            speak(text)
    with pytest.raises(InputError, match="text 1: a text must be str"):
        voice.say_many(["Hello.", text])
    with pytest.raises(InputError, match=r"audio must be glowtron\.Audio, got"):
        voice.vocode(text)


def test_a_used_voice_is_pickled_and_copied(voice):
    spoken = voice.say("Hello.").samples
    for again in (pickle.loads(pickle.dumps(voice)), copy.deepcopy(voice)):
        assert np.array_equal(again.say("Hello.").samples, spoken)


def test_a_used_voice_speaks_in_other_processes(voice):
    spoken = voice.say("Hello.").samples
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert np.array_equal(pool.submit(voice.say, "Hello.").result().samples, spoken)


@pytest.mark.slow  # Two processes import torch.
def test_a_used_voice_works_in_joblib(voice):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    texts = ["Hello there.", "Good morning.", "Good night."]
    sounds = joblib.Parallel(n_jobs=2)(joblib.delayed(voice.say)(text) for text in texts)
    for text, sound in zip(texts, sounds, strict=True):
        assert np.array_equal(sound.samples, voice.say(text).samples)


def test_words_are_found_in_the_sound(monotonic):
    """One after the other, each in its sentence's sound, also where the tempo is changed."""
    for rate in (1.0, 1.25):
        first, second = monotonic.utterances("The first one. A second, then.", rate=rate)
        assert [word.text for word in first.words] == ["the", "first", "one."]
        for utterance in (first, second):
            times = [time for word in utterance.words for time in (word.start_s, word.end_s)]
            assert times == sorted(times)
            assert times[0] >= 0 and times[-1] <= utterance.audio.duration_s + 0.02
    # Each symbol lasts 20 frames, or as long as the network says; "first" begins with the fifth symbol.
    (utterance,) = monotonic.utterances("The first one.")
    places = utterance.alignment.argmax(-1).tolist()
    step_s = utterance.audio.duration_s / len(places)
    assert utterance.words[1].start_s == pytest.approx(places.index(4) * step_s, abs=0.02)


def test_utterances_answer_the_sentences_in_order(voice):
    done = list(voice.utterances(THREE))
    assert [utterance.text for utterance in done] == voice.sentences(THREE)
    for utterance in done:
        assert utterance.stats.stopped
        assert utterance.mel.shape == (80, 20)
        # Characters and frames of this sentence, not of the longest beside it.
        assert utterance.alignment.shape == (1, len(voice.frontend.ids(utterance.text)))


def test_progress_counts_sentences(voice):
    steps = []
    voice.say(THREE, progress=steps.append)
    assert steps == [1, 1, 1]


def test_speakers_sound_different(voice):
    ann, bob, default = (voice.say("Hello.", SynthesisOptions(speaker=who)).samples for who in ("ann", "bob", None))
    assert np.array_equal(ann, default)
    assert not np.allclose(ann, bob)


def test_a_sentence_cut_by_the_limit_is_named(endless):
    with pytest.warns(FaultWarning, match=r"did not stop.*\(40 frames.*'A second one is longer than that\.'"):
        spoken = endless.say("A second one is longer than that.", SynthesisOptions(max_frames=40))
    assert spoken.duration_s == pytest.approx(2 * SENTENCE_S)


@pytest.mark.filterwarnings("ignore::glowtron.voice.FaultWarning")
def test_the_folder_says_how_to_decode(endless):
    endless.torch.config = dataclasses.replace(
        endless.config, decoding=dataclasses.replace(endless.config.decoding, max_frames=60)
    )
    (utterance,) = endless.utterances("Hello.")
    assert utterance.mel.shape[1] == 60
    assert not utterance.stats.stopped


@pytest.mark.parametrize("vocoder", [None, "waveglow", "griffin-lim"])
@pytest.mark.parametrize("n_samples", [1, 255, 256, 3000, 22_050])
def test_vocoding_keeps_the_length(voice, vocoder, n_samples):
    audio = Audio(np.sin(np.arange(n_samples) / 20).astype(np.float32) * 0.3, 22_050)
    result = voice.vocode(audio, SynthesisOptions(vocoder=vocoder))
    assert result.samples.shape == audio.samples.shape
    assert np.isfinite(result.samples).all()


def test_vocoding_converts_another_rate(voice):
    result = voice.vocode(Audio(np.zeros(48_000, np.float32), 48_000))
    assert result.sample_rate == 22_050
    assert result.duration_s == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("n_frames", [1, 700, 1400, 1401, 5000])
def test_long_mels_are_cut_where_they_are_quiet(n_frames):
    mel = np.random.default_rng(0).standard_normal((4, n_frames), np.float32)
    mel[:, ::500] = -10.0
    pieces = split_at_silence(mel)
    assert np.array_equal(np.concatenate(pieces, axis=1), mel)
    assert all(piece.shape[1] <= 1400 for piece in pieces)
    assert all(piece.shape[1] >= 700 and (piece[:, 0] == -10).all() for piece in pieces[1:-1])


def test_long_recordings_go_through_in_pieces(voice):
    steps = []
    audio = Audio(np.zeros(3_000 * 256, np.float32), 22_050)
    assert voice.vocode(audio, progress=steps.append).samples.shape == audio.samples.shape
    assert sum(steps) == len(steps) > 1


def test_griffin_lim_and_denoising_change_the_sound(voice):
    plain, griffin, denoised = (
        voice.say("Hello.", options).samples
        for options in (SynthesisOptions(), SynthesisOptions(vocoder="griffin-lim"), SynthesisOptions(denoise=1.0))
    )
    assert not np.allclose(plain, griffin)
    assert plain.shape == griffin.shape == denoised.shape
    assert np.abs(denoised).sum() < np.abs(plain).sum()


def test_sigma_zero_leaves_no_noise_to_the_vocoder(voice):
    options = SynthesisOptions(sigma=0.0)
    mel = np.zeros((80, 10), np.float32)
    vocoder = voice.runtime.vocoder_for(options)
    one, two = (vocoder.stream(seed).push(mel, True) for seed in (1, 2))
    assert np.array_equal(one, two)


def test_bf16_is_near_fp32(tiny_voice):
    audio = Audio(np.sin(np.arange(22_050) / 20).astype(np.float32) * 0.3, 22_050)
    exact, rough = (Voice.load(tiny_voice, device="cpu", precision=name).vocode(audio) for name in ("fp32", "bf16"))
    assert not np.array_equal(exact.samples, rough.samples)
    assert np.abs(exact.samples - rough.samples).max() < 0.1 * np.abs(exact.samples).max()


def test_a_saved_voice_sounds_the_same(voice, tmp_path):
    voice.save(tmp_path / "copy")
    again = Voice.load(tmp_path / "copy", device="cpu")
    assert np.array_equal(voice.say("Hello.").samples, again.say("Hello.").samples)


@pytest.mark.parametrize("text", ["", "  \n\t ", "!?!", "…", "\u200b"])
def test_nothing_to_speak_is_an_error(voice, text):
    with pytest.raises(InputError) as error:
        voice.say(text)
    assert "\n" not in str(error.value)


@given(st.text(max_size=80))
def test_any_text_is_spoken_or_refused(tiny_voice, text):
    voice = loaded(tiny_voice)
    try:
        spoken = voice.say(text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(spoken.samples).all()
        assert spoken.duration_s >= SENTENCE_S * 0.99


def loaded(folder, _voices={}):  # noqa: B006  # Hypothesis wants no function fixtures, and loading takes time.
    return _voices.setdefault(folder, Voice.load(folder, device="cpu"))


def test_a_half_voice_says_what_it_lacks(voice):
    mute = without(voice, vocoder=None)
    with pytest.raises(InputError, match="griffin-lim"):
        mute.say("Hello.")
    assert mute.say("Hello.", SynthesisOptions(vocoder="griffin-lim")).duration_s == pytest.approx(SENTENCE_S)
    deaf = without(voice, acoustic=None)
    with pytest.raises(InputError, match="no acoustic model"):
        deaf.say("Hello.")
    assert deaf.vocode(Audio(np.zeros(1000, np.float32), 22_050)).samples.shape == (1000,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -0.1}, "sigma must be from 0 to 2"),
        ({"sigma": float("nan")}, "sigma must be"),
        ({"denoise": float("inf")}, "denoise must be"),
        ({"pause_s": -1.0}, "pause_s must be"),
        ({"max_frames": 0}, "max_frames must be"),
        ({"rate": 0.69}, "rate must be from 0.7 to 1.4, got 0.69"),
        ({"rate": 1.41}, "rate must be"),
        ({"rate": float("nan")}, "rate must be"),
        ({"attempts": 21}, "attempts must be"),
        ({"vocoder": "waveglove"}, r"unknown vocoder 'waveglove' \(did you mean 'waveglow'\?\)"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        SynthesisOptions(**options)


def test_unknown_names_are_named(voice, tiny_voice):
    with pytest.raises(InputError, match=r"no speaker 'anne' \(did you mean 'ann'\?\)"):
        voice.say("Hello.", SynthesisOptions(speaker="anne"))
    with pytest.raises(InputError, match="no voice 'nowhere/at/all'"):
        Voice.load("nowhere/at/all")
    with pytest.raises(InputError, match=r"unknown device 'cuba' \(did you mean 'cuda'\?\)"):
        Voice.load(tiny_voice, device="cuba")
    with pytest.raises(InputError, match="unknown device 'mps'"):
        find_device("mps")
    with pytest.raises(InputError, match="no device 'cuda:99' here"):
        find_device("cuda:99")
    with pytest.raises(InputError, match="unknown precision"):
        Voice.load(tiny_voice, precision="fp8")
    with pytest.raises(InputError, match="precision fp16 is for CUDA"):
        Voice.load(tiny_voice, device="cpu", precision="fp16")


def test_what_speaks_on_cuda_says_the_same(tiny_voice):
    """The models for CUDA, on a CPU, in the places that `Voice` has for them."""
    voice, on_cuda = (Voice.load(tiny_voice, device="cpu", precision="fp32") for _ in range(2))
    card, launches = Card("a card", (8, 0)), Launches(None, None, "a test")
    on_cuda.torch.acoustic_engine = accelerate_tacotron2_on_cuda(voice.acoustic, "fp32", card, launches)
    on_cuda.torch.vocoder_engine = accelerate_waveglow_on_cuda(voice.vocoder, "fp32", card, launches)
    options = SynthesisOptions(speaker="bob", denoise=0.1)
    wanted, found = (each.say("Hello there. And again!", options).samples for each in (voice, on_cuda))
    assert np.abs(found - wanted).max() < 1e-4
    many = list(on_cuda.say_many(["Hello there. And again!", "More."], options, workers=1))
    assert np.abs(many[0].samples - wanted).max() < 1e-4


def test_shipped_voices_are_found_by_name():
    for name in shipped():
        assert find_voice(name).name == name
        with pytest.raises(InputError, match=re.escape(f"(did you mean '{name}'?)")):
            find_voice(name + "x")


def test_correction_is_the_voices_own_unless_asked_for(voice):
    """The sound comes nearer to its mel with each round, and the folder says how many rounds it gets."""
    stored = StoredVoice(
        dataclasses.replace(voice.config, vocoding=VocodingConfig(correction=2, sigma=0.5)),
        voice.acoustic,
        voice.vocoder,
    )
    own = Voice(stored, device="cpu").say("Hello there.")
    asked = voice.say("Hello there.", SynthesisOptions(correction=2, sigma=0.5))
    none = Voice(stored, device="cpu").say("Hello there.", SynthesisOptions(correction=0))
    assert np.array_equal(own.samples, asked.samples)
    assert not np.array_equal(own.samples, none.samples)


WALK = 3
"""Steps that the scripted voice spends on each symbol."""


@pytest.fixture
def scripted(voice, monkeypatch):
    """The tiny voice, whose attention walks steadily, or skips where the test and the noise of a take say so."""

    def make(fails):
        own = without(voice)
        own.torch.config = dataclasses.replace(voice.config, attempts=3)
        own.torch.acoustic = own.torch.acoustic_engine = ScriptedAcoustic(voice.acoustic.config, fails)
        return own

    return make


class ScriptedAcoustic:
    """`fails`: number of symbols and a random number of the take's own, to whether the take skips."""

    predicts_prosody = False

    def __init__(self, config, fails):
        self.config = dataclasses.replace(config, reduction_factor=1)
        self.fails = fails
        self.n_spoken = 0

    def generate(self, ids, id_lengths, options, generators, *, speaker):
        rows = []
        for n, generator in zip(id_lengths.tolist(), generators, strict=True):
            luck = float(torch.rand(1, generator=generator))
            self.n_spoken += 1
            places = [place for place in range(n) for _ in range(WALK)]
            rows.append(places[:WALK] + [n - 1] * (len(places) - WALK) if self.fails(n, luck) else places)
        n_steps = max(map(len, rows))
        alignment = torch.zeros(len(rows), n_steps, ids.shape[1])
        mel = torch.zeros(len(rows), 80, n_steps)
        for i, places in enumerate(rows):
            alignment[i, range(len(places)), places] = 1.0
            mel[i, :, : len(places)] = torch.randn(80, len(places), generator=generators[i]) * 0.1
        lengths = torch.tensor([len(places) for places in rows])
        return AcousticOutput(mel, lengths, alignment, torch.ones(len(rows), dtype=torch.bool))


def test_a_failed_sentence_is_said_again_until_it_is_whole(scripted):
    voice = scripted(lambda n, luck: n > 12 and luck < 0.7)
    text = " ".join(f"Sentence number {word} is here." for word in "one two three four five six seven".split())
    options = SynthesisOptions(attempts=20)
    done = list(voice.utterances(text, options))
    assert [utterance.text for utterance in done] == voice.sentences(text)
    assert not any(utterance.failures for utterance in done)
    assert len({utterance.attempts for utterance in done}) > 1
    again = list(voice.utterances(text, options))
    assert all(np.array_equal(a.audio.samples, b.audio.samples) for a, b in zip(done, again, strict=True))


def test_what_is_retried_beside_a_sentence_changes_nothing(scripted, monkeypatch):
    text = " ".join(f"Sentence number {word} is here." for word in "one two three four five six seven".split())
    results = []
    for together in (1, 3, 100):
        monkeypatch.setattr("glowtron.synthesis.pipeline.BATCH", together)
        results.append(scripted(lambda n, luck: luck < 0.6).say(text, SynthesisOptions(attempts=8)).samples)
    assert all(np.allclose(result, results[0], atol=1e-4) for result in results[1:])


def test_what_is_retried_and_split_in_other_texts_changes_nothing(scripted):
    voice = scripted(lambda n, luck: n > 30 or luck < 0.4)
    options = SynthesisOptions(attempts=6)
    texts = [
        "A short one.",
        "But this one is long, and it goes on and on without an end. Bye.",
        "Short again. And this.",
    ]
    steps = []
    together = list(voice.say_many(texts, options, workers=1, progress=steps.append))
    assert sum(steps) == 5
    for audio, text in zip(together, texts, strict=True):
        assert np.allclose(audio.samples, voice.say(text, options).samples, atol=1e-4)


def test_a_sentence_that_always_fails_is_spoken_in_parts(scripted):
    voice = scripted(lambda n, luck: n > 30)
    text = "First of all a short one. But this one is long, and it goes on and on without an end. Bye."
    done = list(voice.utterances(text))
    assert [utterance.sentence.number for utterance in done] == [0, 1, 1, 1, 2]
    assert " ".join(utterance.text for utterance in done) == text
    assert not any(utterance.failures for utterance in done)
    pauses = [round(utterance.pause_s / SynthesisOptions().pause_s, 3) for utterance in done]
    assert pauses[0] == pauses[3] == 1 and pauses[4] == 0, "as after the sentences they are of, and none at the end"
    assert all(0 < pause < 1 for pause in pauses[1:3])
    steps = []
    voice.say(text, progress=steps.append)
    assert sum(steps) == 3


def test_where_everything_fails_the_sentence_is_named_and_sound_comes(scripted):
    voice = scripted(lambda n, luck: True)
    with pytest.warns(FaultWarning, match=r"^left something out \(\d+ frames, attempt 1\): 'This cannot be said.'$"):
        (utterance,) = voice.utterances("This cannot be said.")
    assert utterance.failures and utterance.audio.duration_s > 0
    assert voice.acoustic.n_spoken <= 3 * (1 + 2 + 4)
    with pytest.warns(FaultWarning) as warned:
        voice.say("This cannot be said. Nor this one. Nor that.", SynthesisOptions(attempts=1))
    assert len(warned) == 3


def test_without_attempts_nothing_is_judged_but_the_limit(scripted):
    voice = scripted(lambda n, luck: True)
    (utterance,) = voice.utterances("This cannot be said.", SynthesisOptions(attempts=0))
    assert utterance.failures == () and voice.acoustic.n_spoken == 1


def test_another_attempt_has_other_noise_and_the_first_is_what_it_was_before_there_were_attempts(voice):
    first, second, part = (
        noise_seed(0, place, purpose) for place, purpose in (("1", "mel"), ("1", "mel 1"), ("1.0", "mel"))
    )
    assert len({first, second, part}) == 3
    assert first == noise_seed(0, 1, "mel")


@pytest.fixture
def monotonic(tiny_voice):
    """The tiny voice with attention that walks on whatever it thinks of the text."""
    voice = Voice.load(tiny_voice, device="cpu")
    decoding = dataclasses.replace(voice.config.decoding, monotonic=True, max_dwell=20)
    voice.torch.config = dataclasses.replace(voice.config, decoding=decoding, attempts=3)
    return voice


@pytest.mark.parametrize("text", ["A", "I.", "Go. Stop. Who?", "No way, she said, is this to be done."])
def test_monotonic_voices_speak_any_text_whole(monotonic, text):
    for utterance in monotonic.utterances(text):
        assert utterance.failures == ()
        assert utterance.mel.shape[1] == 20 * len(utterance.alignment)


def test_paragraphs_are_parted_by_more_than_sentences(voice):
    utterances = list(voice.utterances("One here. Two here.\n\nThree here.\n \nFour here."))
    pause = SynthesisOptions().pause_s
    assert [utterance.pause_s for utterance in utterances] == [pause, 2 * pause, 2 * pause, 0]


def test_two_hundred_words_without_a_mark_are_spoken_in_pieces_of_ten_seconds(voice):
    text = "he said that he had walked from the river to the mill and nobody had seen him when he came " * 10
    utterances = list(voice.utterances(text))
    assert " ".join(utterance.text for utterance in utterances) == text.strip()
    assert all(60 < len(utterance.text) <= 150 for utterance in utterances)
    assert all(utterance.pause_s < SynthesisOptions().pause_s / 2 for utterance in utterances)
    assert sum(utterance.text.split()[0] in ("and", "that", "when") for utterance in utterances) >= len(utterances) // 2


@pytest.mark.parametrize("rate", [0.7, 0.85, 1.2, 1.4])
def test_length_goes_with_the_rate_pauses_too(voice, rate):
    plain, other = voice.say(THREE), voice.say(THREE, SynthesisOptions(rate=rate))
    assert other.duration_s == pytest.approx(plain.duration_s / rate, rel=0.03)
    assert np.array_equal(plain.samples, voice.say(THREE, SynthesisOptions(rate=1.0)).samples)


def test_the_shipped_voice_speaks_short_texts_shortly_and_whole():
    """A word of one letter is no second of silence."""
    voice = Voice.load("duet", device="cpu")
    for speaker in voice.speakers:
        for utterance in voice.utterances("A. I. Go. Who?", SynthesisOptions(speaker=speaker, vocoder="griffin-lim")):
            assert utterance.failures == ()
            assert utterance.audio.duration_s < 1.3


@pytest.mark.parametrize("attempts", [0, 2])
def test_a_voice_that_stops_before_it_begins_is_told_and_gives_a_moment_of_silence(tiny_voice, attempts):
    voice = Voice.load(tiny_voice, device="cpu")
    decoding = dataclasses.replace(voice.config.decoding, keep_stop_frame=False)
    voice.torch.config = dataclasses.replace(voice.config, decoding=decoding)
    with pytest.warns(FaultWarning, match="said nothing"):
        (utterance,) = voice.utterances("A", SynthesisOptions(attempts=attempts))
    assert 0 < utterance.audio.duration_s < 0.1
