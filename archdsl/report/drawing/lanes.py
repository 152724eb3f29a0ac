"""Draws lanes, boxes, laterals and the head at the places of a grid."""

from __future__ import annotations

from archdsl.report.drawing.grid import Layout
from archdsl.report.drawing.labels import shape_label
from archdsl.report.drawing.legend import draw_legend
from archdsl.report.drawing.links import LinkPainter
from archdsl.report.drawing.parts import DrawingBox, DrawingParts, LineGroup
from archdsl.report.drawing.sizes import (
    FRAMES_HEIGHT,
    HEADER_HEIGHT,
    LINE_HEIGHT,
    MARGIN,
    NAME_FONT,
    PANEL_PADDING,
    SMALL_FONT,
    TEXT_FONT,
    cost_figures,
)
from archdsl.report.drawing.svg import Canvas, coord, cut_to_width, elided_name, heat_class, text_width
from archdsl.report.number_format import share_text

PIXELS_PER_UNIT = 1.5
"""Pixels per unit where a viewer does not choose."""


def svg_drawing(parts: DrawingParts) -> str:
    """The drawing as SVG text."""
    grid, canvas = Layout(parts), Canvas()
    LanePainter(grid, canvas).draw()
    bottom = draw_legend(grid, canvas, grid.lanes_bottom + 12)
    return canvas.document(grid.width, bottom + MARGIN, f"{parts.title[0]}: {parts.title[1]}", PIXELS_PER_UNIT)


class LanePainter:
    """Draws one grid on one canvas."""

    def __init__(self, grid: Layout, canvas: Canvas) -> None:
        self.grid, self.canvas, self.parts = grid, canvas, grid.parts

    def draw(self) -> None:
        self.title()
        self.panels()
        LinkPainter(self.grid, self.canvas).draw()
        self.clips()
        for item in self.grid.items.values():
            grid = self.grid
            left = grid.middle(item.key) - grid.box_width / 2
            self.box(item, left, grid.tops[grid.rows[item.key]], grid.boxes[grid.rows[item.key]])
        self.head()

    def title(self) -> None:
        name, _ = self.parts.title
        room = self.grid.width - 2 * MARGIN
        font = min(12.5, max(8.0, 12.5 * room / text_width(name, 12.5, bold=True)))
        self.canvas.text(MARGIN, MARGIN + 9, cut_to_width(name, font, room, bold=True), font, "d-name")
        for i, line in enumerate(self.grid.title_lines):
            self.canvas.text(MARGIN, MARGIN + 21 + LINE_HEIGHT * i, line, TEXT_FONT, "d-soft")

    def panels(self) -> None:
        """The ground of each lane, from its first box to its last."""
        for k, lane in enumerate(self.parts.lanes):
            for band, rows in enumerate(self.grid.bands):
                mine = [self.grid.rows[item.key] for item in lane.items if self.grid.rows[item.key] in rows]
                if mine:
                    top = self.grid.tops[min(mine)] - PANEL_PADDING
                    end = self.grid.tops[max(mine)] + self.grid.boxes[max(mine)] + PANEL_PADDING
                    self.canvas.rect(self.grid.lane_left(k, band), top, self.grid.lane_width, end - top, "d-panel", 5)

    def clips(self) -> None:
        """Every clip above the lanes that see it."""
        grid, plan = self.grid, self.parts.plan
        for name, clip in plan.arch.clips.items():
            lanes = [k for k, lane in enumerate(self.parts.lanes) if lane.clip == name and not lane.after]
            if not lanes:
                continue
            left, right = grid.lane_left(lanes[0], 0), grid.lane_left(lanes[-1], 0) + grid.lane_width
            top, room = grid.clips_top, right - left - 14
            seconds = f", {float(clip.frames / clip.fps):.3g} s" if clip.fps else ""
            noun = "token" if clip.ids else "frame"
            frames = f"{clip.frames} {noun}{'s' * (clip.frames > 1)}{seconds}"
            self.canvas.open("d-clip", name, f"{name}: {clip.modality} clip, {frames}")
            self.canvas.rect(left, top, right - left, 42, "d-box d-h0")
            self.canvas.text(
                left + 7, top + 11.5, cut_to_width(name, NAME_FONT, room * 0.6, bold=True), NAME_FONT, "d-name"
            )
            used = text_width(name, NAME_FONT, bold=True) + 6
            told = clip.modality if clip.modality != name and room > used + 60 else ""
            self.canvas.text(left + 7 + used, top + 11.5, told, SMALL_FONT, "d-soft")
            self.canvas.text(right - 7, top + 11.5, shape_label(clip.shape), SMALL_FONT, "", "end")
            self.canvas.text(left + 7, top + 22.5, frames, SMALL_FONT, "d-soft")
            places = tuple((i + 0.5) / clip.frames for i in range(clip.frames))
            self.frames(places, left + 7, top + 39, room, 11)
            self.canvas.close()
            for k in lanes:
                first = self.parts.lanes[k].items[0].key
                self.canvas.route(
                    [(grid.middle(first), top + 42), (grid.middle(first), grid.tops[0] - 0.5)], "d-flow", "flow"
                )

    def frames(self, places: tuple[float, ...], x: float, y: float, w: float, tall: float) -> None:
        """A bar per frame at its place in the clip, standing on a line that is the whole clip."""
        pitch = w / max(len(places), 1)
        self.canvas.path(f"M{coord(x)} {coord(y)}h{coord(w)}", "d-axis")
        if pitch < 1.1:
            first, last = min(places), max(places)
            self.canvas.rect(x + first * w, y - tall, max(last - first, 0.01) * w, tall, "d-solid", 0)
            return
        data = "".join(f"M{coord(x + place * w)} {coord(y)}v-{coord(tall)}" for place in places)
        self.canvas.path(data, "d-frames", width=min(2.2, pitch * 0.5))

    def box(self, item: DrawingBox, left: float, top: float, tall: float, style: str = "d-item") -> None:
        """One stage or block: name, cost, kernels, frames."""
        width = self.grid.box_width
        self.canvas.open(style, item.address, self.hint(item))
        self.canvas.rect(left, top, width, tall, f"d-box d-h{0 if item.entry else heat_class(item.share)}")
        right = f"{share_text(item.share)} of macs" if item.entry else cost_figures(item)
        room = width - 16 - text_width(right, SMALL_FONT)
        name = elided_name(item.name, NAME_FONT, room)
        self.canvas.text(left + 6, top + 11.5, name, NAME_FONT, "d-name")
        note_at = text_width(name, NAME_FONT, bold=True) + 4
        if item.note and note_at + text_width(item.note, SMALL_FONT) <= room + 4:
            self.canvas.text(left + 6 + note_at, top + 11.5, item.note, SMALL_FONT, "d-figure")
        self.canvas.text(left + width - 6, top + 11.5, right, SMALL_FONT, "d-figure", "end")
        y = top + HEADER_HEIGHT
        for group in item.groups:
            y = self.group(group, left + 7, y, width - 14) + 3
        side = max(item.shape.h, 1)
        whole = max(shape[2] for shape in self.parts.plan.inputs.values())
        self.frames(
            item.frames,
            left + 7,
            top + tall - 4,
            width - 14,
            4 + (FRAMES_HEIGHT - 5) * min(side / max(whole, 1), 1) ** 0.5,
        )
        self.canvas.close()

    def group(self, group: LineGroup, x: float, y: float, room: float) -> float:
        """Lines, in brackets where they stand for several blocks."""
        tall = LINE_HEIGHT * len(group.lines)
        inset = 4.0 if group.times > 1 else 0.0
        space = room - (inset + 22 if group.times > 1 else 0)
        texts = [cut_to_width(line, TEXT_FONT, space) for line in group.lines]
        for i, line in enumerate(texts):
            self.canvas.text(x + inset, y + LINE_HEIGHT * i + 8, line, TEXT_FONT)
        if group.times > 1:
            right = x + min(max(text_width(line, TEXT_FONT) for line in texts), space) + inset + 5
            for edge, turn in ((x, 2.5), (right, -2.5)):
                d = f"M{coord(edge + turn)} {coord(y + 0.5)}h{coord(-turn)}v{coord(tall)}h{coord(turn)}"
                self.canvas.path(d, "d-bracket")
            self.canvas.text(right + 3, y + tall / 2 + 3.5, f"×{group.times}", TEXT_FONT)
        return y + tall

    def hint(self, item: DrawingBox) -> str:
        """What the pointer reads on a box."""
        cost = item.cost
        return (
            f"{item.address}\noutput {item.shape}\n{cost.params:,} params\n"
            f"{cost.macs:,} macs ({share_text(item.share)})\n{len(item.frames)} frame{'s' * (len(item.frames) > 1)}"
        )

    def head(self) -> None:
        """The head under all lanes, and what leaves it."""
        grid, item, last = self.grid, self.parts.head, len(self.grid.bands) - 1
        left, top = grid.lane_left(0, last), grid.head_top
        width = grid.head_width
        self.canvas.open("d-item", item.address, self.hint(item))
        self.canvas.rect(left, top, width, grid.head_height, f"d-box d-h{heat_class(item.share)}")
        self.canvas.text(left + 6, top + 11.5, item.name, NAME_FONT, "d-name")
        self.canvas.text(left + width - 6, top + 11.5, cost_figures(item), SMALL_FONT, "d-figure", "end")
        for i, line in enumerate(grid.head_lines):
            self.canvas.text(left + 7, top + HEADER_HEIGHT + 8 + LINE_HEIGHT * i, line, TEXT_FONT)
        self.canvas.close()
        out = "; ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in self.parts.plan.outputs.items())
        x, y = left + width / 2, top + grid.head_height
        self.canvas.route([(x, y), (x, y + 20)], "d-flow", "flow")
        self.canvas.text(x + 5, y + 14, cut_to_width(out, SMALL_FONT, width / 2 - 6), SMALL_FONT, "d-soft")
