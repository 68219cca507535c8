import io
import json

import numpy as np
import pytest

from glowtron.audio import Audio
from glowtron.train.log import Log, Picture, ValidationSamples, draw

VALUES = {"loss": 0.125, "steps_per_s": 2.0}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_where_there_is_no_terminal_a_line_tells_loss_and_time_left(tmp_path):
    stream = io.StringIO()
    with Log(tmp_path, 0, 250, stream=stream, every_s=0) as log:
        log.metrics(10, "train", VALUES)
    assert stream.getvalue() == "step 10 of 250, 2 min left: loss 0.125, steps_per_s 2\n"
    assert written(tmp_path) == [{"step": 10, "split": "train", **VALUES}]


def test_on_a_terminal_a_bar_is_drawn_and_lines_of_progress_are_not(tmp_path):
    stream = Terminal()
    with Log(tmp_path, 5, 20, stream=stream, every_s=0) as log:
        log.step(12)
        log.metrics(12, "train", VALUES)
        log.metrics(12, "validation", {"loss": 0.5})
    assert "12/20" in stream.getvalue()
    assert "step 12, validation: loss 0.5\n" in stream.getvalue()
    assert "min left" not in stream.getvalue()


def test_quiet_writes_everything_and_says_nothing(tmp_path):
    stream = Terminal()
    with Log(tmp_path, 0, 20, quiet=True, stream=stream, every_s=0) as log:
        log.step(1)
        log.metrics(1, "train", VALUES)
        log.say("a word")
    assert stream.getvalue() == "" and len(written(tmp_path)) == 1


def test_another_process_than_the_first_leaves_no_trace(tmp_path):
    with Log(tmp_path, 0, 20, enabled=False, stream=io.StringIO(), every_s=0) as log:
        log.step(1)
        log.metrics(1, "train", VALUES)
        log.samples(1, ValidationSamples({"a": Audio(np.zeros(9, np.float32), 22_050)}, {}, {}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["", '{"step": 4, "spl', "\n\n", "null\n", '{"split": "train"}\n'])
def test_lines_after_the_checkpoint_and_broken_ones_are_dropped(tmp_path, end):
    lines = [{"step": step, "split": "train", "loss": step / 3} for step in (2, 4, 4, 6)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + end)
    with Log(tmp_path, 4, 20, quiet=True) as log:
        log.metrics(5, "train", VALUES)
    assert written(tmp_path) == [*lines[:3], {"step": 5, "split": "train", **VALUES}]


def test_a_picture_has_its_first_row_at_the_bottom():
    values = np.zeros((4, 6))
    values[0] = 1
    pixels = draw(Picture(values, "frame", "band"))
    assert pixels.dtype == np.uint8 and pixels.shape == (350, 800, 3)
    column = pixels[:, 300].astype(int)
    yellow = np.flatnonzero((column[:, 0] > 200) & (column[:, 1] > 200) & (column[:, 2] < 100))
    assert len(yellow) > 30 and yellow.min() > 175


def test_samples_louder_than_full_scale_are_clipped_not_wrapped(tmp_path):
    loud = Audio(np.array([0.0, 2.0, -2.0], np.float32), 22_050)
    with Log(tmp_path, 0, 20, quiet=True) as log:
        log.samples(7, ValidationSamples({"a": loud}, {"p": Picture(np.eye(3), "x", "y")}, {}))
    folder = tmp_path / "samples" / "step-0000007"
    assert sorted(path.name for path in folder.iterdir()) == ["a.wav", "p.png"]
    data = (folder / "a.wav").read_bytes()[-6:]
    assert np.frombuffer(data, "<i2").tolist() == [0, 32767, -32768]
