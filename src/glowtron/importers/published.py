"""What a published checkpoint holds, whichever of the known layouts it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from glowtron.errors import InputError
from glowtron.importers.pickles import Global, Instance, Storage, View
from glowtron.importers.torch_files import TorchFile

MAX_TENSORS = 20_000
"""The largest published layout has 1,190."""

Kind = Literal["tacotron2", "waveglow", "waveglow_old"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a published checkpoint holds."""

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
    views: dict[str, View] = {}
    if isinstance(model, Instance):
        _collect(model, "", views, set(), path)
        extras["attributes"] = _attributes(model)
    else:
        views = {name: view for name, view in model.items() if isinstance(view, View)}
    if views and all(name.startswith("module.") for name in views):
        views = {name.removeprefix("module."): view for name, view in views.items()}
    kind = _kind(model, views, path)
    state = {name: file.tensor(view, name) for name, view in views.items()}
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    return Published(kind=kind, state=state, extras=extras)


def _model(content: Any, path: Path) -> tuple[Instance | dict[str, Any], dict[str, Any]]:
    """The model in a checkpoint's content, a pickled object or a state dict, and the plain values beside it."""
    if isinstance(content, Instance):
        return content, {}
    if isinstance(content, dict):
        extras = {str(name): value for name, value in content.items() if name != "optimizer" and _is_plain(value)}
        for name in ("state_dict", "model"):
            if isinstance(content.get(name), Instance | dict):
                return content[name], extras
        if any(isinstance(value, View) for value in content.values()):
            return content, extras
    raise InputError(f"{path}: holds no model: neither 'state_dict' nor 'model' is in it")


def _member(module: Instance, name: str) -> Instance | None:
    """The module of this name inside `module`."""
    modules = module.state.get("_modules")
    member = modules.get(name) if isinstance(modules, dict) else None
    return member if isinstance(member, Instance) else None


def _collect(module: Instance, prefix: str, views: dict[str, View], seen: set[int], path: Path) -> None:
    """The state dict of a pickled module, as torch would make it."""
    if id(module) in seen or len(seen) > MAX_TENSORS or len(prefix) > 200:
        raise InputError(f"{path}: module '{prefix[:100]}' contains itself or is in two places; the file is damaged")
    seen.add(id(module))
    for group in ("_parameters", "_buffers", "_modules"):
        members = module.state.get(group, {})
        for name, member in members.items() if isinstance(members, dict) else ():
            if isinstance(member, View):
                views[f"{prefix}{name}"] = member
            elif isinstance(member, Instance):
                _collect(member, f"{prefix}{name}.", views, seen, path)


def _kind(model: Instance | dict[str, Any], views: dict[str, View], path: Path) -> Kind:
    if isinstance(model, Instance) and model.name.startswith("glow_old."):
        return "waveglow_old"
    if "upsample.weight" in views:
        return "waveglow"
    if "embedding.weight" in views and "decoder.attention_rnn.weight_ih" in views:
        return "tacotron2"
    first = ", ".join(list(views)[:3])
    raise InputError(f"{path}: holds neither a Tacotron 2 nor a WaveGlow (its tensors begin {first or 'nowhere'})")


def _is_plain(value: Any) -> bool:
    """Whether a value is made of numbers, strings, lists and dictionaries only, ten thousand at most."""
    pending = [value]
    for _ in range(10_000):  # a bound on the walk too: shared parts can make a small file endless to walk
        if not pending:
            return True
        part = pending.pop()
        if isinstance(part, dict):
            pending += [*part, *part.values()]
        elif isinstance(part, list | tuple) and not isinstance(part, View | Global | Storage):
            pending += part
        elif not isinstance(part, str | int | float | bool | None):
            return False
    return False


def _attributes(model: Instance) -> dict[str, Any]:
    """The plain attributes of a pickled model, and how many samples its upsampling makes of a frame."""
    plain = {name: value for name, value in model.state.items() if not name.startswith("_") and _is_plain(value)}
    match _member(model, "upsample"):
        case Instance(state={"stride": (int() as stride,)}):
            plain["upsample.stride"] = stride
    return plain
