"""All examples, one after the other: `python -m examples`. The exit status is 1 if one failed."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

HERE = Path(__file__).parent


def run(example: Path) -> str:
    """What went wrong; nothing if it ran to its end."""
    done = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, timeout=300
    )
    return "" if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"


def main() -> int:
    console = Console()
    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        examples = sorted(HERE.glob("[0-9]*.py"))
        task = progress.add_task("", total=len(examples))
        for example in examples:
            progress.update(task, description=example.stem)
            problem = run(example)
            failed += bool(problem)
            progress.console.print(f"{'failed' if problem else 'ran'}  {example.name}")
            if problem:
                progress.console.print(problem, markup=False)
            progress.advance(task)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
