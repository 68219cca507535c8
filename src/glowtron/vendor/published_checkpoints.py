"""Checkpoints in the published programs' layouts, with the optimizer: written for their users, read to go on from."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glowtron.config import AcousticRun, GroupingConfig, VocoderRun, WaveGlowConfig
from glowtron.errors import InputError
from glowtron.files import unwritable, write_atomic
from glowtron.importers.pickles import View
from glowtron.importers.published import Published, read_published
from glowtron.importers.torch_files import TorchFile
from glowtron.models import published_tacotron2, published_waveglow
from glowtron.models.waveglow import schedule
from glowtron.train.checkpoints import optimizer_tensors
from glowtron.train.state import TrainState

MOMENTS = ("exp_avg", "exp_avg_sq")
"""Adam's state of each parameter beside its count of steps."""

Config = AcousticRun | VocoderRun


class PublishedCheckpoint(NamedTuple):
    """A published checkpoint in our own terms."""

    step: int
    """Steps done."""
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    """As `checkpoints.optimizer_tensors` names it; empty if the file has none."""
    learning_rate: float | None


def to_published(
    tensors: Mapping[str, Tensor], config: Config, *, condition_by_layer: bool = False
) -> dict[str, Tensor]:
    """A model's tensors, or others shaped alike, as the published programs name and shape them."""
    if isinstance(config, AcousticRun):
        return published_tacotron2.to_published(tensors, config.acoustic.tacotron2, config.acoustic.mel.n_mels)
    return published_waveglow.to_published(tensors, config.vocoder, condition_by_layer=condition_by_layer)


def model_state(state: TrainState, config: Config, *, condition_by_layer: bool = False) -> dict[str, Tensor]:
    """The weights as the published programs save them, on the CPU."""
    model = state.model.module if hasattr(state.model, "module") else state.model
    assert isinstance(model, nn.Module)
    ours = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    return to_published(ours, config, condition_by_layer=condition_by_layer)


def optimizer_state(state: TrainState, config: Config, *, condition_by_layer: bool = False) -> dict[str, Any]:
    """State as `Adam.state_dict` of the published program would hold it: its parameters numbered in its order."""
    flat = optimizer_tensors(state.optimizer, state.parameter_names)
    group = state.optimizer.state_dict()["param_groups"][0]
    moments: dict[str, dict[str, Tensor]] = {}
    for moment in MOMENTS:
        ours = {name: flat[key].cpu() for name in state.parameter_names if (key := f"{name}/{moment}") in flat}
        moments[moment] = to_published(ours, config, condition_by_layer=condition_by_layer) if ours else {}
    names = list(moments[MOMENTS[0]])
    step = next((value for key, value in flat.items() if key.endswith("/step")), torch.tensor(0.0)).cpu()
    return {
        "state": {
            place: {"step": step.clone(), **{moment: moments[moment][name] for moment in MOMENTS}}
            for place, name in enumerate(names)
        },
        # As the published programs' Adam has it: `fused` is ours.
        "param_groups": [{**group, "fused": None, "params": list(range(len(names)))}],
    }


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint by `torch.save`, whole or not at all."""
    try:
        with write_atomic(path) as partial:
            torch.save(dict(content), partial)
    except OSError as error:
        raise unwritable(path, error) from error


def read(path: Path, config: Config) -> PublishedCheckpoint:
    """Read a checkpoint as data, and check that it is of this network.

    The steps done are `iteration` + 1, or 0 where a file tells none. Raises InputError for files that are damaged,
    hostile or of another network.
    """
    published = read_published(path)
    kind, wanted = published.kind, "tacotron2" if isinstance(config, AcousticRun) else "waveglow"
    if kind != wanted:
        raise InputError(f"{path}: holds a {kind}; this command trains a {wanted}")
    _check_sizes(path, published, config)
    iteration, rate = published.extras.get("iteration"), published.extras.get("learning_rate")
    return PublishedCheckpoint(
        iteration + 1 if isinstance(iteration, int) else 0,
        _from_published(published.state, config),
        _optimizer(path, published, config),
        float(rate) if isinstance(rate, int | float) else None,
    )


def epoch_of(path: Path) -> int:
    """The epoch that a checkpoint of DeepLearningExamples was saved after."""
    epoch = read_published(path).extras.get("epoch")
    if not isinstance(epoch, int):
        raise InputError(f"{path}: tells no epoch; give a checkpoint that this command has written")
    return epoch


def _check_sizes(path: Path, published: Published, config: Config) -> None:
    theirs: dict[str, Any]
    ours: dict[str, Any]
    if isinstance(config, AcousticRun):
        sizes = published_tacotron2.config_from_published(published.state)
        trained = [name for name in vars(sizes) if not name.endswith("dropout") and name != "mask_padding"]
        theirs, ours = ({name: getattr(one, name) for name in trained} for one in (sizes, config.acoustic.tacotron2))
    else:
        hop_length = config.vocoder.mel.hop_length
        flow = published_waveglow.config_from_published(published.state, hop_length=hop_length)
        theirs, ours = (
            {"channels": schedule(one)[1], "wavenet": one.wavenet, "analysis": one.analysis}
            for one in (flow, config.vocoder)
        )
    for name, value in theirs.items():
        if value != ours[name]:
            raise InputError(f"{path}: has {name} {value}, the settings say {ours[name]}")


def _from_published(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    if isinstance(config, AcousticRun):
        return published_tacotron2.from_published(state)
    return published_waveglow.from_published(state, hop_length=config.vocoder.mel.hop_length)


def _optimizer(path: Path, published: Published, config: Config) -> dict[str, Tensor]:
    """The moments in a checkpoint, under our names. The n-th parameter's are those of the n-th trained tensor."""
    file = TorchFile(path)
    content = file.content.get("optimizer") if isinstance(file.content, dict) else None
    stored = content.get("state") if isinstance(content, dict) else None
    if not isinstance(stored, dict) or not stored:
        return {}
    buffers = {name: value for name, value in published.state.items() if _is_buffer(name)}
    trained = [name for name in published.state if name not in buffers]
    if len(stored) != len(trained):
        raise InputError(f"{path}: its optimizer has {len(stored)} parameters, its model {len(trained)}; start warm")
    flat: dict[str, Tensor] = {}
    for moment in MOMENTS:
        views = [one.get(moment) if isinstance(one, dict) else None for one in stored.values()]
        if not all(isinstance(view, View) for view in views):
            raise InputError(f"{path}: its optimizer is not Adam's; start warm")
        theirs = {
            name: file.tensor(view, f"{name}/{moment}").float()
            for name, view in zip(trained, views, strict=True)
            if isinstance(view, View)
        }
        for name, tensor in theirs.items():
            if tensor.shape != published.state[name].shape:
                raise InputError(f"{path}: {moment} of {name} has another shape; fetch the file again")
        ours = _from_published({**buffers, **theirs}, config)
        flat |= {f"{name}/{moment}": value for name, value in ours.items() if not _is_buffer(name)}
    step = torch.tensor(max(_count(file, one) for one in stored.values()))
    first = f"/{MOMENTS[0]}"
    return flat | {key.removesuffix(first) + "/step": step.clone() for key in flat if key.endswith(first)}


def _count(file: TorchFile, one: Mapping[str, Any]) -> float:
    step = one.get("step")
    return float(file.tensor(step, "step").item()) if isinstance(step, View) else float(step or 0)


def _is_buffer(name: str) -> bool:
    return name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")


def pickled_waveglow(state: Mapping[str, Tensor], config: WaveGlowConfig) -> nn.Module:
    """The object that NVIDIA's waveglow saves: modules of its classes, by name alone, with these weights."""
    analysis, wavenet = config.analysis, config.wavenet
    assert isinstance(analysis, GroupingConfig)
    n_mels, hop_length = config.mel.n_mels, config.mel.hop_length
    glow = _glow()
    whole: Any = glow.WaveGlow()
    whole.upsample = nn.ConvTranspose1d(n_mels, n_mels, analysis.upsample_kernel, hop_length)
    whole.n_flows, whole.n_group = config.n_flows, analysis.group_size
    whole.n_early_every, whole.n_early_size = config.early_every, config.early_size
    whole.WN, whole.convinv = nn.ModuleList(), nn.ModuleList()
    channels = analysis.group_size
    for k in range(config.n_flows):
        if k and k % config.early_every == 0:
            channels -= config.early_size
        mixing: Any = glow.Invertible1x1Conv()
        mixing.conv = nn.Conv1d(channels, channels, 1, bias=False)
        whole.convinv.append(mixing)
        net: Any = glow.WN()
        net.n_layers, net.n_channels = wavenet.n_layers, wavenet.n_channels
        net.in_layers, net.res_skip_layers = nn.ModuleList(), nn.ModuleList()
        width = wavenet.n_channels
        for i in range(wavenet.n_layers):
            dilation = 2**i
            padding = dilation * (wavenet.kernel_size - 1) // 2
            net.in_layers.append(_normed(width, 2 * width, wavenet.kernel_size, dilation=dilation, padding=padding))
            net.res_skip_layers.append(_normed(width, 2 * width if i < wavenet.n_layers - 1 else width, 1))
        net.start = _normed(channels // 2, width, 1)
        net.end = nn.Conv1d(width, channels, 1)
        net.cond_layer = _normed(n_mels * analysis.group_size, 2 * width * wavenet.n_layers, 1)
        whole.WN.append(net)
    whole.n_remaining_channels = channels
    whole.load_state_dict(state)
    return whole  # type: ignore[no-any-return]


def _normed(*sizes: int, **options: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # The published programs' weight norm is the older one.
        return torch.nn.utils.weight_norm(nn.Conv1d(*sizes, **options))  # type: ignore[arg-type]


def _glow() -> Any:
    """A stand-in for the module `glow`: classes without a method, which a pickle mentions by name."""
    glow = types.ModuleType("glow")
    for name in ("WaveGlow", "WN", "Invertible1x1Conv"):
        setattr(glow, name, type(name, (nn.Module,), {"__module__": "glow"}))
    return glow


@contextmanager
def importable_glow(model: nn.Module) -> Iterator[None]:
    """Inside, `glow` is the stand-in that `model` was made of: pickling looks every class up by its name."""
    glow, before = types.ModuleType("glow"), sys.modules.get("glow")
    for part in model.modules():
        if type(part).__module__ == "glow":
            setattr(glow, type(part).__name__, type(part))
    sys.modules["glow"] = glow
    try:
        yield
    finally:
        if before is None:
            del sys.modules["glow"]
        else:
            sys.modules["glow"] = before
