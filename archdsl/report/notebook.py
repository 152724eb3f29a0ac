"""What a notebook shows of an arch or a plan: its drawing and its table."""

from __future__ import annotations

from html import escape

from archdsl.compiler import Plan, plan_of
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.report.drawing.formats import draw
from archdsl.report.drawing.page import unique_ids
from archdsl.report.table.markup import TABLE_STYLE, html_table
from archdsl.report.table.stages import table_of


def notebook_html(thing: Arch | Plan) -> str:
    """An arch or a plan as HTML; of an arch that cannot be, its faults."""
    try:
        plan = plan_of(thing)
    except SpecError as error:
        return f"<pre>{escape(str(error))}</pre>"
    picture = unique_ids(draw(plan), escape(plan.name))
    return (
        f'<style>{TABLE_STYLE}</style><div style="max-width:100%;max-height:48rem;overflow:auto">{picture}</div>'
        f'<div style="max-width:100%;overflow:auto">{html_table(table_of(plan))}</div>'
    )


__all__ = ["notebook_html"]
