"""Arch -> Plan."""

from archdsl.compiler.plan import CONVENTIONS, Plan, arch_of, compile, plan_of

__all__ = ["CONVENTIONS", "Plan", "arch_of", "compile", "plan_of"]
