"""Words that a shell offers: ``mixnet completion bash`` and what its script asks back.

The script knows no name. At each key it calls ``mixnet completion words …``, so that suites,
methods and datasets of one's own are offered as soon as they are there.
"""

from __future__ import annotations

import argparse

from benchmarks import registry

BASH = """\
_mixnet() {
    local IFS=$'\\n'
    COMPREPLY=($(mixnet completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _mixnet mixnet
"""
SCRIPTS = {
    "bash": BASH,
    "zsh": "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n" + BASH,
}
ABOUT = """\
# For this shell only:  eval "$(mixnet completion bash)"
# For all to come:      mixnet completion bash >> ~/.bashrc
#                       mixnet completion zsh >> ~/.zshrc
"""


def show(args: argparse.Namespace, top: argparse.ArgumentParser) -> int:
    """Print the script of a shell, or the words that may stand where the last one is typed."""
    if args.shell in SCRIPTS:
        print(ABOUT + SCRIPTS[args.shell], end="")
        return 0
    print("\n".join(offered(top, args.words or [""])))
    return 0


def commands_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name, of two words where it has two."""
    return next(action.choices for action in top._actions if action.dest == "command")


def options_of(command: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """The options of a command, long and short, by name."""
    return {name: action for action in command._actions for name in action.option_strings}


def offered(top: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """What may stand for the last of `words`; none where a shell's own file names should be.

    Parameters
    ----------
    top : argparse.ArgumentParser
        The command line, as `benchmarks.cli.arguments.parser` has it.
    words : list of str
        Those after ``mixnet``, the last one as far as it is typed.

    Returns
    -------
    list of str
        Whole words, in order; after a comma with the names before it.
    """
    commands, typed = commands_of(top), words[-1]
    if len(words) == 1:
        return _begin({name.split()[0] for name in commands}, typed)
    pair = " ".join(words[:2])
    name = pair if pair in commands and len(words) > 2 else words[0]
    if name not in commands:
        return []
    options = options_of(commands[name])
    before = options.get(words[-2])
    if before is not None and before.nargs != 0:  # a value of the option before
        return _values(before, typed)
    if typed.startswith("-"):
        return _begin(options, typed)
    found = {second for first, _, second in (n.partition(" ") for n in commands) if first == name}
    for action in commands[name]._actions:
        if not action.option_strings:
            found |= set(_names(action.dest, name) or action.choices or ())
    return _begin(found - {""} if len(words) == len(name.split()) + 1 else (), typed)


def _names(what: str, command: str = "") -> set[str]:
    """Names of the registry that an argument takes."""
    if what == "suite":
        return {*registry.suites(), *({"claims"} if command == "table" else ())}
    if what == "datasets" or (what == "name" and command == "data"):
        return set(registry.datasets())
    if what == "methods":
        return {name for name, stanza in registry.methods().items() if "design" not in stanza}
    return set()


def _values(option: argparse.Action, typed: str) -> list[str]:
    """Values of an option; of a list of names the one after the last comma."""
    if names := _names(option.dest):
        before, comma, last = typed.rpartition(",")
        given = set(before.split(","))
        return [f"{before}{comma}{name}" for name in _begin(names - given, last)]
    return _begin({"cpu", "cuda"} if option.dest == "device" else option.choices or (), typed)


def _begin(words, typed: str) -> list[str]:
    return sorted(word for word in words if word.startswith(typed))
