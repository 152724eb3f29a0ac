"""Names that people choose: plain letters, and what Python, torch and addresses leave free.

A clip's name is only looked up; a pathway's, stage's or step's is an attribute of a torch module, so that weights bear
it. Emitted code avoids every other meeting of names by itself.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Container
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

OF_MODULES = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
    ]
)
"""What every torch module has already. A test compares them with torch's."""
CASTS = frozenset(["bfloat16", "cpu", "cuda", "double", "float", "half", "ipu", "mtia", "type", "xpu"])
"""Those of them that torch calls on whole networks only: parts within one may have such a name."""
OF_NETWORKS = frozenset(["edges", "head"])
"""Where the weights of edges and of the head lie."""

NAME = r"^[a-z][a-z0-9_]*$"
ARCH_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"


def spelt(name: Any) -> Any:
    """A name of plain letters, or ValueError that says so in words."""
    if isinstance(name, str) and not re.fullmatch(NAME, name):
        raise ValueError("lowercase letters, digits and underscores, starting with a letter")
    return name


def arch_spelt(name: Any) -> Any:
    """A network's name of plain letters, or ValueError that says so in words."""
    if isinstance(name, str) and not re.fullmatch(ARCH_NAME, name):
        raise ValueError("letters, digits and underscores, starting with a letter")
    return name


def other_than(taken: Container[str], why: str) -> Callable[[str], str]:
    """Gives a name itself, or ValueError where it is taken."""

    def checked(name: str) -> str:
        if name in taken:
            raise ValueError(f"another name: {why.format(name=name)}")
        return name

    return checked


ClipName = Annotated[
    str,
    Field(pattern=NAME, max_length=64),
    BeforeValidator(spelt),
    AfterValidator(other_than(keyword.kwlist, "{name!r} is a Python keyword")),
    AfterValidator(other_than(OF_NETWORKS, "every network has a part {name!r}")),
]
"""A clip: lowercase letters, digits and underscores, starting with a letter."""

Name = Annotated[
    str,
    Field(pattern=NAME, max_length=64),
    BeforeValidator(spelt),
    AfterValidator(other_than(keyword.kwlist, "{name!r} is a Python keyword")),
    AfterValidator(other_than(OF_MODULES - CASTS, "every torch module has an attribute {name!r}")),
]
"""A stage, edge, branch, block or step: lowercase letters, digits and underscores, starting with a letter."""

PathwayName = Annotated[
    Name,
    AfterValidator(other_than(CASTS, "every torch module has an attribute {name!r}")),
    AfterValidator(other_than(OF_NETWORKS, "every network has a part {name!r}")),
]
"""A pathway: the same."""

ArchName = Annotated[str, Field(pattern=ARCH_NAME, max_length=100), BeforeValidator(arch_spelt)]
"""A network: letters, digits and underscores, starting with a letter."""
