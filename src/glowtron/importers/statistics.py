"""Mean and scale of mel bands, from the file that scikit-learn's StandardScaler makes with joblib, read as data."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glowtron.errors import InputError, reason
from glowtron.importers import pickles
from glowtron.importers.pickles import Instance

MAX_FILE = 2**22
"""Bytes; statistics of 80 bands take some 2 KiB."""


def read_statistics(path: Path) -> tuple[Tensor, Tensor]:
    """Mean and scale of each band, float64, from `meanvar.joblib` or an .npz with `mean` and `scale`.

    Nothing in the file is run. Raises InputError, naming the file, for anything else.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_FILE else b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    if not data:
        raise InputError(f"{path}: holds no statistics of mel bands; give meanvar.joblib or an .npz of mean and scale")
    found = _of_npz(path) if data.startswith(b"PK") else _of_joblib(data, path)
    mean, scale = (np.asarray(values) for values in found)
    if mean.ndim != 1 or mean.shape != scale.shape or mean.dtype.kind != "f" or scale.dtype.kind != "f":
        raise InputError(f"{path}: its mean and scale are not one number for each mel band; fetch the file again")
    return torch.from_numpy(mean.astype(np.float64)), torch.from_numpy(scale.astype(np.float64))


def _of_npz(path: Path) -> tuple[object, object]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["mean"], arrays["scale"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: has no arrays 'mean' and 'scale': {reason(error)}") from error


def _of_joblib(data: bytes, path: Path) -> tuple[object, object]:
    if data[:2] in (b"x\x9c", b"x\xda", b"\x1f\x8b"):
        raise InputError(f"{path}: is compressed; save it again with joblib.dump(scaler, path, compress=0)")
    scaler = pickles.read(data, str(path)).value
    if not isinstance(scaler, Instance) or not scaler.name.endswith(".StandardScaler"):
        raise InputError(f"{path}: holds no StandardScaler; give the meanvar.joblib of the weights' dump")
    if "mean_" not in scaler.state or scaler.state.get("scale_") is None:
        raise InputError(f"{path}: its StandardScaler was never fitted; give the meanvar.joblib of the weights' dump")
    return scaler.state["mean_"], scaler.state["scale_"]
