"""Count what a reader of the package has to hold in mind. Run it in a checkout: `python scripts/structure.py`.

The decision on the shape of the house (docs/adr/0016) quotes these counts before and after.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
RIDDLE = re.compile(r"(What|How|Who|Where|Whether)\b")
SAY = """
import json, sys
from glowtron import Voice
Voice.load().say("Hello.")
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "glowtron")))
"""


def main(source: Path) -> None:
    """Print the counts of the package under `source`."""
    files = sorted((source / "glowtron").rglob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    documented = [node for node in nodes if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    docstrings = [text for node in documented if (text := ast.get_docstring(node))]
    loaded = subprocess.run(
        [sys.executable, "-c", SAY], capture_output=True, check=True, text=True, env={"PYTHONPATH": str(source)}
    )
    modules = json.loads(loaded.stdout)
    counts = {
        "Python files": len(files),
        "lines": sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "functions": sum(isinstance(node, ast.FunctionDef) for node in nodes),
        "modules loaded to say a sentence": len(modules),
        "their lines": sum(lines_of(source, module) for module in modules),
        "docstrings": len(docstrings),
        "docstrings that begin with What, How, Who, Where or Whether": sum(map(bool, map(RIDDLE.match, docstrings))),
    }
    for name, count in counts.items():
        print(f"{count:7,}  {name}")


def lines_of(source: Path, module: str) -> int:
    """Lines of the file that holds `module`."""
    path = source / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return len(path.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE)
