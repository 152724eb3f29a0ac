"""The command line's parser, and its --help."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter, _SubParsersAction
from typing import Any, NoReturn

from archdsl.cli.arguments.commands import COMMANDS
from archdsl.errors import SpecError, did_you_mean
from archdsl.language.recipes.recipe import Recipe

EXAMPLES = """\
examples:
  archdsl list                                            what there is
  archdsl check my_net.yaml                               can it exist? every fault at once
  archdsl table slowfast_4x16_r50                         Table 1 of the paper
  archdsl count slowfast_4x16_r50 my_net.yaml --size 256  params and costs, exact
  archdsl draw slowfast_4x16_r50 -o slowfast.svg          one lane for each pathway
  archdsl emit slowfast_4x16_r50 -o net.py                readable torch code
  archdsl diff slowfast_4x16_r50 --set pathways.fast.width_ratio=1/16

A network is a name from `archdsl list` or a path ending in .py, .yaml or .json (file.py:name for one of several).
Python files are executed: use only files you trust. See also `archdsl COMMAND --help`.
"""


class Parser(ArgumentParser):
    """ArgumentParser whose errors are SpecErrors."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    @property
    def option_names(self) -> list[str]:
        """Every option that it takes."""
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Optional positionals may stand behind options too: argparse (3.11) looks for them once, before these."""
        found, rest = super().parse_known_args(args, namespace)
        late = next((one for one in self._actions if one.nargs == "*" and not one.option_strings), None)
        if late and rest and not any(text.startswith("-") for text in rest):
            setattr(found, late.dest, [*getattr(found, late.dest), *rest])
            rest = []
        return found, rest

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Of what the command does not know the nearest that it does is told."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            raise SpecError(f"unrecognized arguments: {' '.join(rest)}", fix=fix_of_option(found.command, rest))
        return found

    def error(self, message: str) -> NoReturn:
        """Raise SpecError instead of leaving."""
        unknown = re.match(r"argument COMMAND: invalid choice: '(.*?)'", message)
        if not unknown:
            raise SpecError(message, fix=f"{self.prog} --help")
        known = [command.name for command in COMMANDS]
        near = did_you_mean(unknown[1], known)
        raise SpecError(
            f"no command {unknown[1]!r}", got=unknown[1], want=", ".join(known), fix=f"{self.prog} {near or '--help'}"
        )


def fix_of_option(name: str | None, rest: list[str]) -> str:
    """The recipe's field of that name, where the command takes such; the nearest option; the help of the command."""
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        return "archdsl --help"
    word = Parser()
    for option in command.options:
        option(word)
    written, _, value = rest[0].partition("=")
    field = written.removeprefix("--").replace("-", "_")
    if field in Recipe.model_fields and "--set recipe." in f"{command.summary} {command.examples}":
        return f"--set recipe.{field}={value or next(iter(rest[1:]), 'VALUE')}"
    near = did_you_mean(written, word.option_names) if written.startswith("-") else None
    return near or f"archdsl {name} --help"


def parser() -> Parser:
    """The whole command line."""
    from archdsl import __version__

    top = Parser(
        prog="archdsl", description="A language for video architectures and a compiler for it.", epilog=EXAMPLES
    )
    top.add_argument("--version", action="version", version=f"archdsl {__version__}")
    words: _SubParsersAction[Parser] = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        epilog = "\n".join(["examples:", *(f"  {example}" for example in command.examples)])
        word = words.add_parser(
            command.name, help=command.summary.partition("\n")[0], description=command.summary, epilog=epilog
        )
        for option in command.options:
            option(word)
        word.set_defaults(run=command.run)
    top.set_defaults(run=lambda given: help_of(top))
    return top


def help_of(top: Parser) -> int:
    """The output of `archdsl` alone."""
    top.print_help(sys.stdout)
    return 0
