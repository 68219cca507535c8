"""Runs that begin with weights that are there already."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import torch
from runs import run_training
from test_acoustic_task import CONFIG as ACOUSTIC
from test_vocoder_task import CONFIG as VOCODER

from glowtron.checkpoint import StoredVoice, load_voice, save_voice
from glowtron.config import AcousticConfig, GroupingConfig, VoiceFile
from glowtron.errors import InputError
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.train import checkpoints
from glowtron.train.export import load_run
from glowtron.train.init_from import InitFrom


def begin(model, config, folder, reinit=()):
    return InitFrom(folder, reinit).apply(model, config)


def acoustic_run(tiny_voice, speakers):
    """The configuration of the tiny voice's acoustic model, for other speakers."""
    config = load_voice(tiny_voice).config.acoustic
    model = replace(config.model, n_speakers=len(speakers))
    return replace(ACOUSTIC, acoustic=AcousticConfig(model=model, speakers=speakers))


def vocoder_run(tiny_voice):
    return replace(VOCODER, vocoder=load_voice(tiny_voice).config.vocoder)


def acoustic_model(config):
    torch.manual_seed(3)
    return Tacotron2(config.acoustic.model, config.acoustic.mel.n_mels)


def test_a_voices_vocoder_computes_the_same_in_a_new_run(tiny_voice):
    model = WaveGlow(vocoder_run(tiny_voice).vocoder)
    told = begin(model, vocoder_run(tiny_voice), tiny_voice)
    assert told["fresh"] == [] and told["loaded"] == len(model.state_dict()) and told["differences"] == []
    file = tiny_voice / "vocoder.safetensors"
    assert told["sha256"] == {"vocoder.safetensors": hashlib.sha256(file.read_bytes()).hexdigest()}
    wave, mel = torch.randn(1, 4096) / 10, torch.randn(1, 80, 17) - 5
    expected = load_voice(tiny_voice).vocoder(wave, mel)
    for one, two in zip(model(wave, mel)[:1], expected[:1], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
    assert any("weight_g" in name for name in model.state_dict())


def test_known_speakers_keep_their_row_and_new_ones_begin_in_the_middle(tiny_voice):
    config = acoustic_run(tiny_voice, ("carl", "bob"))
    model = acoustic_model(config)
    told = begin(model, config, tiny_voice)
    table = load_voice(tiny_voice).acoustic.speaker.weight
    assert torch.equal(model.speaker.weight[1], table[1])
    torch.testing.assert_close(model.speaker.weight[0], table.mean(0))
    assert (told["speakers_known"], told["speakers_new"]) == (["bob"], ["carl"])
    assert told["differences"] == ['speakers (["ann", "bob"] then, ["carl", "bob"] now)']
    rest = {
        name: tensor for name, tensor in load_voice(tiny_voice).acoustic.state_dict().items() if "speaker" not in name
    }
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in rest.items())


def test_one_speaker_has_no_table_and_one_that_gets_company_sounds_as_before(tiny_voice, tmp_path):
    one = acoustic_run(tiny_voice, ("carl",))
    model = acoustic_model(one)
    assert begin(model, one, tiny_voice)["fresh"] == []
    assert "speaker.weight" not in model.state_dict()
    two = acoustic_run(tiny_voice, ("carl", "dora"))
    config = VoiceFile(name="carl", acoustic=one.acoustic)
    save_voice(StoredVoice(config, model), tmp_path / "carl")
    two_speakers = acoustic_model(two)
    told = begin(two_speakers, two, tmp_path / "carl")
    assert (told["speakers_known"], told["speakers_new"]) == (["carl"], ["dora"])
    ids, lengths = torch.tensor([[3, 4, 5]]), torch.tensor([3])
    for speaker in (0, 1):
        assert torch.equal(
            two_speakers.eval().encode(ids, lengths, torch.tensor([speaker])).values,
            model.eval().encode(ids, lengths).values,
        )


@pytest.mark.parametrize(("name", "row"), [("bob", lambda table: table[1]), ("carl", lambda table: table.mean(0))])
def test_who_is_left_alone_speaks_as_in_company(tiny_voice, name, row):
    config = acoustic_run(tiny_voice, (name,))
    model = acoustic_model(config)
    begin(model, config, tiny_voice)
    theirs = load_voice(tiny_voice).acoustic
    context = torch.randn(4, 16)
    heard = context + row(theirs.speaker.weight)
    for part, n_before in (("attention_rnn", 8), ("decoder_rnn", 16), ("projection", 16), ("stop", 16)):
        before = torch.randn(4, n_before)
        alone = getattr(model, part)(torch.cat((before, context), dim=1))
        among = getattr(theirs, part)(torch.cat((before, heard), dim=1))
        for one, two in zip(alone, among, strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.parametrize("prefix", ["embedding", "attention", "encoder.lstm"])
def test_what_is_reinitialized_stays_as_it_was_made_and_nothing_else(tiny_voice, prefix):
    part = f"{prefix}."  # And not attention_rnn.
    config = acoustic_run(tiny_voice, ("ann", "bob"))
    model = acoustic_model(config)
    made = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    told = begin(model, config, tiny_voice, [prefix])
    theirs = load_voice(tiny_voice).acoustic.state_dict()
    assert told["fresh"] and all(name.startswith(part) for name in told["fresh"])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, (made if name.startswith(part) else theirs)[name]), name


def test_what_does_not_fit_is_listed_and_can_be_reinitialized(tiny_voice):
    config = acoustic_run(tiny_voice, ("ann", "bob"))
    wider = replace(config.acoustic.model, n_symbols=200, postnet_channels=12)
    config = replace(config, acoustic=replace(config.acoustic, model=wider))
    with pytest.raises(InputError) as error:
        begin(acoustic_model(config), config, tiny_voice)
    said = str(error.value)
    assert "embedding.weight ((148, 16) there, (200, 16) here)" in said and "more; give the configuration" in said
    with pytest.raises(InputError, match=r"1 tensors do not fit: embedding\.weight"):
        begin(acoustic_model(config), config, tiny_voice, ["postnet"])
    told = begin(acoustic_model(config), config, tiny_voice, ["postnet", "embedding"])
    assert {name.split(".")[0] for name in told["fresh"]} == {"postnet", "embedding"}


def test_sources_that_cannot_be_are_refused(tiny_voice, tmp_path):
    config = acoustic_run(tiny_voice, ("ann", "bob"))
    model = acoustic_model(config)
    with pytest.raises(InputError, match=r"reinit embeding: .*did you mean 'embedding'"):
        begin(model, config, tiny_voice, ["embeding"])
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"is a file; make a voice folder of it first: glowtron import"):
        begin(model, config, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="give the folder of a training run"):
        begin(model, config, tmp_path)


def several(tiny_voice, tmp_path, grouped=False):
    """A voice whose vocoder knows ann, bob and carl."""
    kinds = {"analysis": GroupingConfig(), "early_size": 0} if grouped else {}
    config = replace(vocoder_run(tiny_voice).vocoder, speakers=("ann", "bob", "carl"), **kinds)
    torch.manual_seed(5)
    model = WaveGlow(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1) if not parameter.any() else None
    save_voice(StoredVoice(VoiceFile(name="three", vocoder=config), None, model), tmp_path / "three")
    return tmp_path / "three"


def begun(voice, speakers, reset=()):
    """A new vocoder of these speakers that begins with a voice's, and what was told."""
    config = replace(VOCODER, vocoder=replace(load_voice(voice).config.vocoder, speakers=speakers))
    torch.manual_seed(3)
    model = WaveGlow(config.vocoder)
    return model, begin(model, config, voice, reset)


SOUND = torch.randn(1, 4096, generator=torch.Generator().manual_seed(1)) / 10
MEL = torch.randn(1, 80, 17, generator=torch.Generator().manual_seed(2)) - 5


def test_a_vocoder_that_gets_speakers_sounds_as_before(tiny_voice):
    model, told = begun(tiny_voice, ("ann", "bob"))
    expected = load_voice(tiny_voice).vocoder(SOUND, MEL).z
    for speaker in (0, 1):
        torch.testing.assert_close(model(SOUND, MEL, torch.tensor([speaker])).z, expected, rtol=1e-4, atol=1e-4)
    assert (told["speakers_known"], told["speakers_new"], told["fresh"]) == ([], ["ann", "bob"], [])


def test_speakers_of_a_vocoder_are_known_by_name(tiny_voice, tmp_path):
    voice = several(tiny_voice, tmp_path)
    table = load_voice(voice).vocoder.speaker.weight
    model, told = begun(voice, ("dora", "carl", "ann"))
    torch.testing.assert_close(model.speaker.weight, torch.stack((table.mean(0), table[2], table[0])))
    assert (told["speakers_known"], told["speakers_new"]) == (["carl", "ann"], ["dora"])
    model, told = begun(voice, ("dora", "carl", "ann"), ["speaker"])
    assert told["fresh"] == ["speaker.weight"]
    assert not torch.isclose(model.speaker.weight, table).any()


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize(("speakers", "row"), [(("bob",), 1), (("dora",), None), ((), None)])
def test_a_vocoder_without_speakers_hears_one_as_it_was_heard(tiny_voice, tmp_path, grouped, speakers, row):
    voice = several(tiny_voice, tmp_path, grouped)
    model, _ = begun(voice, speakers)
    assert "speaker.weight" not in model.state_dict()
    theirs = load_voice(voice).vocoder
    with torch.no_grad():
        if row is None:
            theirs.speaker.weight[0] = theirs.speaker.weight.mean(0)
        among = theirs(SOUND, MEL, torch.tensor([row or 0])).z
        alone = model(SOUND, MEL).z
    if not grouped:  # Beyond the ends of a sound nothing can be added to the scale, and the layers look some way.
        among, alone = among[..., 7:-7], alone[..., 7:-7]
        assert among.shape[2] > 1
    torch.testing.assert_close(alone, among, rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def vocoder(kept_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")

    def run(name, **given):
        changes = given.pop("changes", {})
        config = replace(
            VOCODER, training=replace(VOCODER.training, **{"max_steps": 2, "validate_every": 2, **changes})
        )
        data, cache = [("a", kept_corpus)], folder / "cache"
        run_training(config, data, folder / name, cache=cache, device="cpu", quiet=True, **given)
        return folder / name

    return run


@pytest.fixture(scope="module")
def first(vocoder):
    return vocoder("first")


def test_a_run_goes_on_where_another_was_best_and_says_so(vocoder, first):
    second = vocoder("second", init_from=first, changes={"seed": 7})
    told = json.loads((second / "data.json").read_text())["from"]
    assert told["source"] == str(first) and told["fresh"] == []
    assert told["sha256"].keys() == {"step-0000002/model.safetensors", "step-0000002/average.safetensors"}
    # The first step's loss is that of the averaged weights it began with, not that of new ones.
    nothing = vocoder("nothing", changes={"seed": 7})
    losses = [json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["loss"] for run in (second, nothing)]
    assert losses[0] < losses[1]
    with pytest.raises(InputError, match="is a run of kind 'vocoder'"):
        begin(acoustic_model(ACOUSTIC), ACOUSTIC, first)


def test_a_run_that_is_gone_on_with_has_its_own_weights(vocoder, first, tmp_path):
    source = shutil.copytree(first, tmp_path / "source")
    changes = {"changes": {"seed": 7}, "init_from": source}
    begun = vocoder("third", **changes)
    before = (begun / "data.json").read_bytes()
    shutil.rmtree(source)
    assert vocoder("third", **changes) == begun  # Its source is gone, which nobody asks for any more.
    assert vocoder("third", changes={"seed": 7}) == begun
    assert (begun / "data.json").read_bytes() == before
    assert load_run(begun).step == 2 and checkpoints.steps(begun) == [2]
