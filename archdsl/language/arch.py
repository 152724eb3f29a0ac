"""The whole network as a person writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from archdsl.blocks import Drawing, Drawn
from archdsl.blocks.branches import nested
from archdsl.blocks.names import ArchName, Name
from archdsl.errors import Fault, SpecError, did_you_mean, listed
from archdsl.language.clip import Clip
from archdsl.language.edge import Edge, Through
from archdsl.language.head import (
    Classifier,
    Consensus,
    Dense,
    Detector,
    Head,
    HeadField,
    Relation,
    Roi,
    SegmentDetector,
    Several,
)
from archdsl.language.paths import change_all
from archdsl.language.pathway import BLOCKS_BY_KEY, Pathway
from archdsl.written import Lines, Written, read


class Arch(Written):
    """A video architecture: clips, pathways, edges that fuse them, a head.

    One clip may be written as `clip=`; it is then named `clip`.
    """

    name: ArchName = Field(description="name of the network")
    clips: dict[Name, Clip] = Field(min_length=1, description="inputs by name")
    blocks: dict[Name, Drawing] = Field({}, description="blocks drawn here, by name")
    pathways: dict[Name, Pathway] = Field(min_length=1, description="pathways by name")
    edges: tuple[Edge, ...] = Field((), description="lateral fusions")
    head: HeadField = Field(description="what reads the pathways' ends")
    causal: bool = Field(False, description="no frame sees a later one; scores are those after the last")

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, data: Any) -> Any:
        """`clip` becomes the one of `clips`, and a pathway written `like` another is made."""
        if not isinstance(data, Mapping):
            return data
        rest = dict(data)
        if "clip" in data:
            if "clips" in data:
                raise SpecError("clips written twice", got="clip and clips", want="one of them")
            rest["clips"] = {"clip": rest.pop("clip")}
        if isinstance(data.get("pathways"), Mapping):
            rest["pathways"] = with_likes(data["pathways"])
        return Lines(rest, data.written, data.keys_written) if isinstance(data, Lines) else rest

    @model_validator(mode="after")
    def _names_meet(self) -> Arch:
        faults = [
            *self._faults_of_drawn(),
            *self._faults_of_pathways(),
            *self._faults_of_edges(),
            *self._faults_of_head(),
        ]
        if faults:
            raise SpecError(faults)
        return self

    def _faults_of_drawn(self) -> list[Fault]:
        """Give every drawn block its drawing; tell of names that are no block, or already one."""
        faults = [
            Fault(what=f"a block drawn under a known name {name!r}", at=f"blocks.{name}", written=d.written, got=name)
            for name, d in self.blocks.items()
            if name in BLOCKS_BY_KEY
        ]
        inner = [(f"pathways.{p}.stages.{s}.{i}", b) for p, s, i, block in self.all_blocks() for b in nested(block)]
        through = [(f"edges.{e.label}", t) for e in self.edges for t in e.transform if isinstance(t, Through)]
        inner += [(at, b) for at, transform in through for block in transform.blocks for b in nested(block)]
        for at, block in ((at, block) for at, block in inner if isinstance(block, Drawn)):
            drawing = self.blocks.get(block.name) or block.drawing
            if drawing is None:
                known = [*BLOCKS_BY_KEY, *self.blocks]
                near = did_you_mean(block.name, known)
                what = f"no block {block.name!r}"
                faults.append(
                    Fault(what=what, at=at, written=block.written, got=block.name, want=listed(known), fix=near)
                )
            else:
                block.__dict__["drawing"] = drawing
        return faults

    def _faults_of_pathways(self) -> list[Fault]:
        faults = []
        for name, pathway in self.pathways.items():
            at = f"pathways.{name}"
            for field, known in (("clip", self.clips), ("tied_to", self.pathways)):
                value = getattr(pathway, field)
                if value is not None and value not in known:
                    faults.append(unknown(field, value, known, at, pathway.written))
            if pathway.after is not None:
                source, _, stage = pathway.after.partition(".")
                if source not in self.pathways:
                    faults.append(unknown("after", source, self.pathways, at, pathway.written))
                elif stage and stage not in self.pathways[source].stages:
                    stages = self.pathways[source].stages
                    faults.append(unknown("after", stage, stages, at, pathway.written, of=f" in pathway {source}"))
            elif pathway.clip is None and len(self.clips) > 1:
                faults.append(
                    Fault(
                        what=f"pathway {name} could read any of several clips",
                        at=f"{at}.clip",
                        written=pathway.written,
                        got="no clip",
                        want=f"one of {', '.join(self.clips)}",
                    )
                )
        for name in set(self.clips) & set(self.pathways):
            faults.append(
                Fault(
                    what=f"a clip and a pathway of one name {name!r}",
                    at=f"clips.{name}",
                    written=self.clips[name].written,
                    fix="another name",
                )
            )
        return faults

    def _faults_of_edges(self) -> list[Fault]:
        faults, seen = [], set()
        for edge in self.edges:
            at = f"edges.{edge.label}"
            ends = [
                ("source", edge.source, [a for a, _ in edge.places]),
                ("target", edge.target, [b for _, b in edge.places]),
            ]
            for field, name, stages in ends:
                if name not in self.pathways:
                    faults.append(unknown(field, name, self.pathways, at, edge.written))
                    continue
                known = self.pathways[name].stages
                faults += [
                    unknown(
                        "after" if field == "source" else "into", s, known, at, edge.written, of=f" in pathway {name}"
                    )
                    for s in stages
                    if s not in known
                ]
            if edge.merge == "interleave" and edge.source in self.pathways and edge.target in self.pathways:
                faults += self._faults_of_intervals(edge)
            for place in edge.places:
                if (edge.label, place[1]) in seen:
                    faults.append(
                        Fault(
                            what=f"two edges of one name into {edge.target}.{place[1]}",
                            at=at,
                            written=edge.written,
                            fix="give one of them a `name`",
                        )
                    )
                seen.add((edge.label, place[1]))
        return faults

    def _faults_of_intervals(self, edge: Edge) -> list[Fault]:
        """Frames are put in order where key frames and the frames between were chosen by one interval."""
        keys, between = (self._first(name) for name in (edge.target, edge.source))
        if keys.every is not None and keys.every == between.pairs and keys.start == 0:
            return []
        return [
            Fault(
                what="key frames and frames between of different intervals",
                at=f"edges.{edge.label}.merge",
                written=edge.written,
                got=f"every {keys.every} from {keys.start} for {edge.target}, pairs {between.pairs} for {edge.source}",
                want="`every` of the target equal to `pairs` of the source, from 0",
                fix=f"pairs: {keys.every}" if keys.every else None,
            )
        ]

    def _first(self, name: str) -> Pathway:
        """The pathway that chooses the frames of this one."""
        for _ in self.pathways:  # pathways in a ring are told of elsewhere
            after = (self.pathways[name].after or "").partition(".")[0]
            name = after if after in self.pathways else name
        return self.pathways[name]

    def _faults_of_head(self) -> list[Fault]:
        reads = self.head.reads or ()
        return [
            unknown("reads", name, self.pathways, "head", self.head.written)
            for name in reads
            if name not in self.pathways
        ]

    def all_blocks(self) -> Any:
        """(pathway, stage, index, block) of every block."""
        for p, pathway in self.pathways.items():
            for s, stage in pathway.stages.items():
                for i, block in enumerate(stage.blocks):
                    yield p, s, i, block

    @property
    def classes(self) -> int | None:
        """How many classes the head tells apart, where it does."""
        telling = Classifier | Consensus | Relation | Several | Roi | SegmentDetector | Dense | Detector
        return self.head.classes if isinstance(self.head, telling) else None


def with_likes(pathways: Mapping[str, Any]) -> Mapping[str, Any]:
    """`{like: slow, every: 2, set: {stages.res2.kernel_t: 3}}` as the pathway it means."""
    made = dict(pathways)
    for name, data in pathways.items():
        if not isinstance(data, Mapping) or "like" not in data:
            continue
        at, line = f"pathways.{name}", getattr(data, "written", None)
        other = data["like"]
        if not isinstance(other, str) or other not in pathways or other == name:
            known = [known for known in pathways if known != name]
            raise SpecError(
                f"no pathway {other!r} before this one",
                at=f"{at}.like",
                written=line,
                got=str(other),
                want=", ".join(known),
            )
        if other not in made:
            del made[name]  # what it is like was left out below, with its own faults told
            continue
        changes = {} if data.get("set") is None else data["set"]
        if not isinstance(changes, Mapping):
            raise SpecError(
                "set without paths", at=f"{at}.set", written=line, got=repr(changes), want="set: {path: value}"
            )
        try:
            pathway = made[other] if isinstance(made[other], Pathway) else read(Pathway, made[other])
        except SpecError:
            del made[name]  # the other one's faults are told where it stands, once
            continue
        try:
            own = [(key, value) for key, value in data.items() if key not in ("like", "set")]
            lines = {**getattr(data, "keys_written", {}), **getattr(changes, "keys_written", {})}
            pathway = change_all(pathway, [*own, *changes.items()], lines).model_copy()
        except SpecError as error:
            raise SpecError(fault.under(at).placed(None, line) for fault in error.faults) from None
        pathway._written = line
        made[name] = pathway
    return Lines(made, pathways.written, pathways.keys_written) if isinstance(pathways, Lines) else made


def unknown(field: str, name: str, known: Any, at: str, written: str | None, of: str = "") -> Fault:
    """The fault of a name that nothing has."""
    noun = {"clip": "clip", "after": "stage" if of else "pathway", "into": "stage"}.get(field, "pathway")
    return Fault(
        what=f"no {noun} {name!r}{of}",
        at=f"{at}.{field}",
        written=written,
        got=name,
        want=listed(known),
        fix=did_you_mean(name, known),
    )


__all__ = ["Arch", "Head"]
