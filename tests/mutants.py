"""`make mutants`: change every equation and every experiment a little, and see that a test notices.

mutmut plants the bugs. It works on a copy of the tree, since it has two blind spots that the copy takes away: it leaves
functions with a decorator alone, and results that were remembered before the bug was planted would hide it. So in the copy
nothing is remembered. `make mutants ONLY=masking` looks at one lesson. Survivors are listed with their difference;
docs/mutants.md says of each known one why it may live.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPY = ROOT / ".mutants"
# What each bug is tried against: the tests of equations, experiments and proofs, not those of pages, drawings and trainings.
TESTS = "test_(ops|norms|masking|positions|parameters|pre_post_norm|scaling|course).py"
CONFIG = """
[tool.mutmut]
source_paths = ["core"]
only_mutate = {only}
also_copy = ["ui", "pages", "assets", "app.py", ".streamlit"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=--import-mode=importlib", "-W", "default"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
track_dependencies = false
"""


def prepare(only: list[str]) -> None:
    """A copy in which nothing is remembered, with mutmut's settings."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(
        ROOT, COPY, ignore=shutil.ignore_patterns(".git", ".venv", ".mutants", ".*_cache", "__pycache__", "screenshots")
    )
    for path in (COPY / "core").rglob("*.py"):
        path.write_text(re.sub(r"^@remember\n", "", path.read_text("utf-8"), flags=re.M), "utf-8")
    tests = sorted(f"tests/{p.name}" for p in (ROOT / "tests").glob("test_*.py") if re.fullmatch(TESTS, p.name))
    with (COPY / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(CONFIG.format(only=only, tests=tests))


def mutmut(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "only", nargs="*", help="lessons, rooms or files: masking, ops, ops/positions; without any, all"
    )
    parser.add_argument("--processes", type=int, default=2, help="how many bugs are tried side by side")
    arguments = parser.parse_args()
    chosen = arguments.only
    paths = ["core/ops/*", "core/experiments/*"]
    if chosen:
        every = [*(ROOT / "core" / "ops").glob("*.py"), *(ROOT / "core" / "experiments").glob("*.py")]
        paths = [
            str(p.relative_to(ROOT)) for p in every if {p.stem, p.parent.name, f"{p.parent.name}/{p.stem}"} & {*chosen}
        ]
    prepare(paths)
    log = mutmut("run", "--max-children", str(arguments.processes))
    counts = re.findall(r"🎉 (\d+) 🫥 (\d+)  ⏰ (\d+)  🤔 (\d+)  🙁 (\d+)", log)
    if not counts:
        print(log[-3000:])
        return 1
    killed, untested, late, odd, alive = map(int, counts[-1])
    total = killed + untested + late + odd + alive
    for line in mutmut("results").splitlines():
        name, _, status = line.strip().partition(": ")
        if status in ("survived", "no tests", "suspicious"):
            print(f"\n{status}: {name}")
            print("\n".join(row for row in mutmut("show", name).splitlines() if re.match(r"[-+](?![-+])", row)))
    print(
        f"\n{killed + late} of {total} planted bugs were noticed, {(killed + late) / total:.1%}; {alive + odd} survived, {untested} met no test."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
