import numpy as np
import pytest

from glowtron.errors import InputError
from glowtron.importers.statistics import read_statistics

joblib = pytest.importorskip("joblib")
preprocessing = pytest.importorskip("sklearn.preprocessing")


@pytest.fixture
def scaler():
    data = np.random.default_rng(0).normal(3, 2, (50, 8))
    return preprocessing.StandardScaler().fit(data)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_scaler_that_joblib_wrote_is_read_as_data(tmp_path, scaler, protocol):
    path = tmp_path / "meanvar.joblib"
    joblib.dump(scaler, path, protocol=protocol)
    mean, scale = read_statistics(path)
    assert mean.tolist() == scaler.mean_.tolist()
    assert scale.tolist() == scaler.scale_.tolist()


def test_arrays_are_read_too(tmp_path, scaler):
    np.savez(tmp_path / "meanvar.npz", mean=scaler.mean_, scale=scaler.scale_)
    mean, scale = read_statistics(tmp_path / "meanvar.npz")
    assert mean.tolist() == scaler.mean_.tolist()
    assert scale.tolist() == scaler.scale_.tolist()


class Hostile:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (Hostile(), "asks for '(__builtin__|builtins).print'"),
        (np.zeros(8), "no StandardScaler"),
        (preprocessing.StandardScaler(), "never fitted"),
        (preprocessing.StandardScaler(with_std=False).fit(np.zeros((3, 8))), "never fitted"),
    ],
)
def test_other_things_are_refused(tmp_path, capsys, what, told):
    path = tmp_path / "meanvar.joblib"
    joblib.dump(what, path)
    with pytest.raises(InputError, match=told):
        read_statistics(path)
    assert "run" not in capsys.readouterr().out


def test_every_cut_of_a_file_is_an_error(tmp_path, scaler):
    whole = tmp_path / "meanvar.joblib"
    joblib.dump(scaler, whole)
    data = whole.read_bytes()
    cut = tmp_path / "cut.joblib"
    for length in range(0, len(data) - 1, 7):
        cut.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut\.joblib"):
            read_statistics(cut)


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"x\x9c123", b"\0" * 100])
def test_what_is_no_such_file_is_an_error(tmp_path, data):
    path = tmp_path / "meanvar.joblib"
    path.write_bytes(data)
    with pytest.raises(InputError, match="meanvar"):
        read_statistics(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_statistics(tmp_path / "none")
