"""Progress of a run: a bar in a terminal, lines elsewhere. Only the first process prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from archdsl.report.figures import metric_text


def print_warning(console: Console, what: str, fix: str) -> None:
    """Print a warning and its fix."""
    console.print(f"warning: {what}\n  fix     {fix}", markup=False, soft_wrap=True)


class Progress:
    """A bar with loss, clips per second, data waiting time and model FLOP utilisation."""

    def __init__(self, name: str, steps: int, *, quiet: bool) -> None:
        self.console = Console(stderr=True, highlight=False, quiet=quiet)
        self.bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.name = name
        self.steps = steps
        self.task = self.bar.add_task(name, total=steps, speed="")

    def advance(self, step: int) -> None:
        """Set the steps done."""
        self.bar.update(self.task, completed=step)

    def log(self, step: int, loss: float, rate: float, speed: Mapping[str, float]) -> None:
        """Print an entry of the log."""
        speed_text = f"{speed['clips_per_s']:.1f} clips/s, waiting {speed['waiting']:.0%}, MFU {speed['mfu']:.1%}"
        self.bar.update(self.task, description=f"{self.name}, loss {loss:.3f}", speed=speed_text)
        if not self.console.is_terminal:
            self.say(f"step {step} of {self.steps}  loss {loss:.4f}  rate {rate:.4g}  {speed_text}")

    def tested(self, step: int, figures: Mapping[str, float]) -> None:
        """Print the metrics of an evaluation."""
        self.say(f"step {step}  " + "  ".join(f"{name} {metric_text(name, value)}" for name, value in figures.items()))

    def warn(self, what: str, fix: str) -> None:
        """Print a warning and its fix."""
        print_warning(self.console, what, fix)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, markup=False, soft_wrap=True)
