"""Names that people choose. They become identifiers in emitted code, DOT and HTML, so they are kept plain."""

from __future__ import annotations

import keyword
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

TAKEN = frozenset(
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
        "self",
        "torch",
        "nn",
        "functional",
        "math",
        "edges",
        "head",
        "input",
        "network",
        "frames",
        "clips",
        "super",
        "tuple",
        "dict",
        "int",
        "bool",
    ]
)
"""Names of torch's Module (a test compares them) and of emitted code."""


NAME = r"^[a-z][a-z0-9_]*$"
ARCH_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"


def spelt(name: Any) -> Any:
    """A name of plain letters, or ValueError that says so in words."""
    if isinstance(name, str) and not re.fullmatch(NAME, name):
        raise ValueError("small letters, digits and underscores, a letter first")
    return name


def arch_spelt(name: Any) -> Any:
    """A network's name of plain letters, or ValueError that says so in words."""
    if isinstance(name, str) and not re.fullmatch(ARCH_NAME, name):
        raise ValueError("letters, digits and underscores, a letter first")
    return name


def plain(name: str) -> str:
    """The name itself, or ValueError."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in TAKEN:
        raise ValueError(f"another name: {name!r} has a meaning in the emitted code")
    return name


Name = Annotated[str, Field(pattern=NAME, max_length=64), BeforeValidator(spelt), AfterValidator(plain)]
"""A clip, pathway, stage or block: small letters, digits and underscores, a letter first."""

ArchName = Annotated[str, Field(pattern=ARCH_NAME, max_length=100), BeforeValidator(arch_spelt)]
"""A network: letters, digits and underscores, a letter first."""
