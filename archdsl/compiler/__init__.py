"""Arch -> Plan."""

from archdsl.compiler.plan import CONVENTIONS, Plan, compile

__all__ = ["CONVENTIONS", "Plan", "compile"]
