"""Contents of a published checkpoint, in any of the known layouts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from glowtron.errors import InputError
from glowtron.importers.other_models import KNOWN, other_model
from glowtron.importers.pickles import Global, Instance, Storage, View
from glowtron.importers.torch_files import TorchFile

MAX_MEMBERS = 100_000
"""Parameters, buffers and modules in all modules together; the largest published layout has some 3,000."""

_HOLDERS = ("generator", "model_state", "model_state_dict", "model_g", "net", "net_g", "weights", "params", "ema")
"""Keys under which other programs keep a model's tensors."""

Kind = Literal["tacotron2", "waveglow", "waveglow_old", "wavenet"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """Contents of a published checkpoint."""

    kind: Kind
    """`waveglow_old` is the function published before WaveGlow's first release."""
    state: dict[str, Tensor]
    """Weights under their published names, without `module.`; float32, counters int64."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Plain values beside the weights: iteration, epoch, config; under `attributes` those of a pickled model."""


def read_published(path: Path | str) -> Published:
    """Read a checkpoint of NVIDIA's waveglow, tacotron2 or DeepLearningExamples, whichever way it was saved.

    Raises InputError, naming the file, for anything else; how it reads is told in `torch_files` and `pickles`.
    """
    path = Path(path)
    file = TorchFile(path)
    model, extras = _model(file.content, path)
    if isinstance(model, Instance) and model.name.startswith("torch.nn.parallel."):
        model = _member(model, "module") or model
    if isinstance(model, Instance):
        views = _collect(model, path)
        extras["attributes"] = _attributes(model)
    else:
        views = {name: view for name, view in model.items() if isinstance(view, View) and isinstance(name, str)}
    if views and all(name.startswith("module.") for name in views):
        views = {name.removeprefix("module."): view for name, view in views.items()}
    _check_names(views, path)
    kind = _kind(model, views, path)
    state = {name: file.tensor(view, name) for name, view in views.items()}
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    return Published(kind=kind, state=state, extras=extras)


def _model(content: Any, path: Path) -> tuple[Instance | dict[str, Any], dict[str, Any]]:
    """The model in a checkpoint's content, a pickled object or a state dict, and the plain values beside it."""
    if isinstance(content, Instance):
        return content, {}
    if isinstance(content, dict):
        extras = _plain({name: value for name, value in content.items() if name not in ("optimizer", "attributes")})
        for name in ("state_dict", "model"):
            if isinstance(content.get(name), Instance | dict):
                return content[name], extras
        if any(isinstance(value, View) for value in content.values()):
            return content, extras
    names = _tensor_names(content)
    if other := other_model(names):
        raise InputError(f"{path}: is {other}; what can be read is {KNOWN}")
    if names and all(name.startswith(("optimizer", "optim")) for name in names):
        raise InputError(f"{path}: holds an optimizer's state and no model; give the checkpoint that has the weights")
    keys = ", ".join(str(key)[:30] for key in list(content)[:5]) if isinstance(content, dict) else ""
    raise InputError(f"{path}: holds no model: neither 'state_dict' nor 'model' is in it{keys and f' (but {keys})'}")


def _tensor_names(content: Any, depth: int = 3) -> list[str]:
    """Names of the tensors in dictionaries within dictionaries, each behind those that it lies in, if not a model's."""
    names: list[str] = []
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, View):
            names.append(str(key))
        elif depth and isinstance(value, dict):
            inside = _tensor_names(value, depth - 1)
            shown = "" if key in _HOLDERS else f"{key}."
            names += [f"{shown}{name}".removeprefix("module.") for name in inside]
    return names[:MAX_MEMBERS]


def _member(module: Instance, name: str) -> Instance | None:
    """The module of this name inside `module`."""
    modules = module.state.get("_modules")
    member = modules.get(name) if isinstance(modules, dict) else None
    return member if isinstance(member, Instance) else None


def _collect(model: Instance, path: Path) -> dict[str, View]:
    """The state dict of a pickled model, as torch would make it."""
    views: dict[str, View] = {}
    walked = 0
    pending = [("", model)]
    while pending:
        prefix, module = pending.pop()
        groups = [module.state.get(group) for group in ("_parameters", "_buffers", "_modules")]
        inside: list[tuple[str, Instance]] = []
        for members in groups:
            walked += len(members) if isinstance(members, dict) else 0
            # A module that contains itself has no end; one that contains the same ones over and over, none in sight.
            if walked > MAX_MEMBERS or len(prefix) > 200:
                raise InputError(f"{path}: the modules in it contain each other without end; the file is damaged")
            for name, member in members.items() if isinstance(members, dict) else ():
                if isinstance(member, View):
                    views[f"{prefix}{name}"] = member
                elif isinstance(member, Instance):
                    inside.append((f"{prefix}{name}.", member))
        pending += reversed(inside)
    return views


def _check_names(views: dict[str, View], path: Path) -> None:
    """Raise InputError for a layer numbered higher than there are tensors, which those who count layers rely on."""
    for name in views:
        numbers = [part for part in name.split(".") if part.isdecimal()]
        if any(len(number) > 6 or int(number) > len(views) for number in numbers):
            raise InputError(f"{path}: tensor {name[:100]!r} has a number that no layer has; the file is damaged")


def _kind(model: Instance | dict[str, Any], views: dict[str, View], path: Path) -> Kind:
    if isinstance(model, Instance) and model.name.startswith("glow_old."):
        return "waveglow_old"
    if "upsample.weight" in views:
        return "waveglow"
    if "first_conv.bias" in views and any(name.startswith("conv_layers.0.conv1x1c.") for name in views):
        return "wavenet"
    if "embedding.weight" in views and "decoder.attention_rnn.weight_ih" in views:
        return "tacotron2"
    if other := other_model(views):
        raise InputError(f"{path}: is {other}; what can be read is {KNOWN}")
    first = ", ".join(list(views)[:3])
    raise InputError(
        f"{path}: holds neither a Tacotron 2 nor a WaveGlow or WaveNet (its tensors begin {first or 'nowhere'})"
    )


def _plain(values: dict[Any, Any]) -> dict[str, Any]:
    """Those of `values` that are made of numbers, strings, lists and dictionaries only."""
    # A bound on the walk through all of them together, since shared parts can make a small file endless to walk.
    steps = iter(range(100_000))

    def is_plain(value: Any) -> bool:
        pending = [value]
        for _ in steps:
            if not pending:
                return True
            part = pending.pop()
            if isinstance(part, dict | list | tuple) and len(part) > 1000:
                return False
            if isinstance(part, dict):
                pending += [*part, *part.values()]
            elif isinstance(part, list | tuple) and not isinstance(part, View | Global | Storage):
                pending += part
            elif not isinstance(part, str | int | float | bool | None):
                return False
        return False

    return {name: value for name, value in values.items() if isinstance(name, str) and is_plain(value)}


def _attributes(model: Instance) -> dict[str, Any]:
    """The plain attributes of a pickled model, and how many samples its upsampling makes of a frame."""
    plain = _plain({name: value for name, value in model.state.items() if not name.startswith("_")})
    match _member(model, "upsample"):
        case Instance(state={"stride": (int() as stride,)}):
            plain["upsample.stride"] = stride
    return plain
