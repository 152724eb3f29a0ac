"""The whole network as a person writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from archdsl.blocks import Block, Drawing
from archdsl.blocks.names import ArchName, ClipName, Name, PathwayName
from archdsl.blocks.yaml_block import Definitions, defined
from archdsl.errors import Fault, SpecError
from archdsl.errors.extras import import_with_extras
from archdsl.language.clip import Clip
from archdsl.language.drawn_blocks import faults_of_drawings, faults_of_drawn
from archdsl.language.edge import Edge
from archdsl.language.head import Head, HeadField
from archdsl.language.likes import with_likes
from archdsl.language.lora import Lora
from archdsl.language.name_faults import unknown_name, valid_parts
from archdsl.language.pathway import BLOCKS_BY_KEY, Pathway
from archdsl.language.pyramid import with_pyramid
from archdsl.language.writers.indentation import reindented
from archdsl.spec.base import Written
from archdsl.spec.budget import MOST_CLIPS, MOST_EDGES, MOST_PATHWAYS
from archdsl.spec.faults import spec_error
from archdsl.spec.lines import Lines, check_count


class Arch(Written):
    """A video architecture: clips, pathways, edges that fuse them, a head.

    One clip may be written as `clip=`; it is then named `clip`. A `pyramid` stands for its pathways and edges.
    """

    name: ArchName = Field(description="name of the network")
    clips: dict[ClipName, Clip] = Field(min_length=1, description="inputs by name")
    blocks: dict[Name, Drawing] = Field({}, description="blocks drawn here, by name")
    pathways: dict[PathwayName, Pathway] = Field(min_length=1, description="pathways by name")
    edges: tuple[Edge, ...] = Field((), description="lateral fusions")
    head: HeadField = Field(description="what reads the pathways' ends")
    lora: Lora | None = Field(None, description="low-rank terms that learn beside linear layers")
    causal: bool = Field(False, description="no frame sees a later one; scores are those after the last")

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, data: Any) -> Any:
        return expanded_shorthand(data)

    @field_validator("pathways", "edges")
    @classmethod
    def _define(cls, value: Any, info: ValidationInfo) -> Any:
        """Every drawn block gets its definition."""
        drawings = info.data.get("blocks")
        return defined(value, Definitions(drawings=drawings)) if drawings else value

    @model_validator(mode="after")
    def _names_meet(self) -> Arch:
        if faults := self._faults_of_names():
            raise SpecError(faults)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _every_fault(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """Where some parts have faults, names are looked up among the others, so that all faults come at once."""
        data, misplaced = reindented(data)
        try:
            made = handler(data)
        except ValidationError as error:
            faults = spec_error(error, cls, data).faults
            whole = any(found["loc"] == () for found in error.errors())
            rest = () if whole else cls._faults_of_rest(data)
            raise SpecError(dict.fromkeys([*misplaced, *faults, *rest])) from None
        if misplaced:
            raise SpecError(misplaced)
        return made

    @classmethod
    def _faults_of_rest(cls, data: Any) -> list[Fault]:
        """Faults of names in the parts of a spec that stand; names of the parts that do not are taken as known."""
        if not isinstance(data, Mapping):
            return []
        raw = expanded_shorthand(data)
        kinds: dict[str, type[Written]] = {"clips": Clip, "blocks": Drawing, "pathways": Pathway}
        parts: dict[str, Any] = {field: valid_parts(kind, raw.get(field)) for field, kind in kinds.items()}
        definitions = Definitions(drawings=parts["blocks"])
        parts["pathways"] = defined(parts["pathways"], definitions)
        edges = raw.get("edges") if isinstance(raw.get("edges"), list | tuple) else ()
        edges = tuple(valid_parts(Edge, dict(enumerate(edges))).values())
        head = valid_parts(Head, {"head": raw["head"]}) if "head" in raw else {}
        arch = cls.model_construct(name="", edges=defined(edges, definitions), head=head.get("head", Head()), **parts)
        broken = {str(name) for field in kinds if isinstance(data.get(field), Mapping) for name in data[field]}
        broken -= {name for field in kinds for name in parts[field]}
        return [fault for fault in arch._faults_of_names() if fault.got not in broken]

    def _faults_of_names(self) -> list[Fault]:
        """Names that nothing has, and parts that do not go together."""
        return [
            *self._faults_of_drawn(),
            *self._faults_of_pathways(),
            *self._faults_of_edges(),
            *self._faults_of_head(),
        ]

    def _faults_of_drawn(self) -> list[Fault]:
        """Names that are no block, or already one, and parameters that a drawn block lacks."""
        taken = [(name, drawing) for name, drawing in self.blocks.items() if name in BLOCKS_BY_KEY]
        return [
            *(
                Fault(
                    what=f"a drawn block has the name of a built-in block, {name!r}",
                    at=f"blocks.{name}",
                    written=d.written,
                    got=name,
                )
                for name, d in taken
            ),
            *faults_of_drawings(self.blocks),
            *faults_of_drawn(self.pathways, self.edges, self.blocks),
        ]

    def _faults_of_pathways(self) -> list[Fault]:
        faults = []
        for name, pathway in self.pathways.items():
            at = f"pathways.{name}"
            for field, known in (("clip", self.clips), ("tied_to", self.pathways)):
                value = getattr(pathway, field)
                if value is not None and value not in known:
                    faults.append(unknown_name(field, value, known, at, pathway.written))
            if pathway.after is not None:
                source, _, stage = pathway.after.partition(".")
                if source not in self.pathways:
                    faults.append(unknown_name("after", source, self.pathways, at, pathway.written))
                elif stage and stage not in self.pathways[source].stages:
                    stages = self.pathways[source].stages
                    faults.append(unknown_name("after", stage, stages, at, pathway.written, of=f" in pathway {source}"))
            elif pathway.clip is None and len(self.clips) > 1:
                faults.append(
                    Fault(
                        what=f"pathway {name} does not name its clip",
                        at=f"{at}.clip",
                        written=pathway.written,
                        got="no clip",
                        want=f"one of {', '.join(self.clips)}",
                    )
                )
        for name in set(self.clips) & set(self.pathways):
            faults.append(
                Fault(
                    what=f"a clip and a pathway with the same name {name!r}",
                    at=f"clips.{name}",
                    written=self.clips[name].written,
                    got=name,
                    want="different names",
                    fix=f"{name}_clip",
                )
            )
        return faults

    def _faults_of_edges(self) -> list[Fault]:
        if (places := sum(len(edge.after) for edge in self.edges)) > MOST_EDGES:
            return [
                Fault(what="too many edges", at="edges", got=f"after {places} stages", want=f"at most {MOST_EDGES}")
            ]
        faults, seen = [], set()
        for edge in self.edges:
            at = f"edges.{edge.label}"
            sources, targets = zip(*edge.places)
            for field, name, stages in (("source", edge.source, sources), ("target", edge.target, targets)):
                if name not in self.pathways:
                    faults.append(unknown_name(field, name, self.pathways, at, edge.written))
                    continue
                known = self.pathways[name].stages
                which = "after" if field == "source" else "into"
                for stage, _, block in (place.partition(".") for place in stages):
                    if stage not in known:
                        faults.append(unknown_name(which, stage, known, at, edge.written, of=f" in pathway {name}"))
                    elif block and int(block) >= (count := len(known[stage].blocks)):
                        what, want = f"no block {block} in stage {stage} of pathway {name}", f"0 to {count - 1}"
                        faults.append(Fault(what=what, at=f"{at}.after", written=edge.written, got=block, want=want))
            if edge.merge == "interleave" and edge.source in self.pathways and edge.target in self.pathways:
                faults += self._faults_of_intervals(edge)
            for place in edge.places:
                if (edge.label, place[1]) in seen:
                    faults.append(
                        Fault(
                            what=f"two edges with the same name into {edge.target}.{place[1]}",
                            at=at,
                            written=edge.written,
                            want="a `name` for one of them",
                            fix=f"name: {edge.label}_2",
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
                what="key frames and the frames between have different intervals",
                at=f"edges.{edge.label}.merge",
                written=between.written,
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
        reads = self.head.pathways or ()
        return [
            unknown_name("reads", name, self.pathways, "head", self.head.written)
            for name in reads
            if name not in self.pathways
        ]

    def all_blocks(self) -> Any:
        """(pathway, stage, index, block) of every block."""
        for p, pathway in self.pathways.items():
            for s, stage in pathway.stages.items():
                for i, block in enumerate(stage.blocks):
                    yield p, s, i, block

    def _repr_html_(self) -> str:
        """What a notebook shows of an arch: its drawing and its table."""
        return str(import_with_extras("archdsl.report.notebook").notebook_html(self))

    def block_at(self, address: str) -> Block | None:
        """The block that an op at or below `pathway.stage.i` comes from, its i-th; None where there is none."""
        pathway, stage, i, *_ = (*address.split("."), "", "")
        stages = self.pathways[pathway].stages if pathway in self.pathways else {}
        return stages[stage].blocks[int(i)] if stage in stages and i.isdigit() else None

    @property
    def ends(self) -> tuple[str, ...]:
        """The pathways that the head reads: those it names, by default all whose end no other pathway reads."""
        read_on = {pathway.after for pathway in self.pathways.values()}
        return self.head.pathways or tuple(name for name in self.pathways if name not in read_on)

    @property
    def classes(self) -> int | None:
        """How many classes the head tells apart, where it does."""
        classes: int | None = getattr(self.head, "classes", None)
        return classes


def expanded_shorthand(data: Any) -> Any:
    """`clip` becomes the one of `clips`; a pathway written `like` another, and the levels of a `pyramid`, are made."""
    if not isinstance(data, Mapping):
        return data
    rest = dict(data)
    for noun, most in (("clips", MOST_CLIPS), ("pathways", MOST_PATHWAYS), ("edges", MOST_EDGES)):
        check_count(noun, data.get(noun), most)
    if "clip" in data:
        if "clips" in data:
            raise SpecError("both `clip` and `clips`", got="clip and clips", want="one of them")
        rest["clips"] = {"clip": rest.pop("clip")}
    if isinstance(data.get("pathways"), Mapping):
        rest["pathways"] = with_likes(data["pathways"])
    rest = with_pyramid(rest) if "pyramid" in rest else rest
    return Lines(rest, data.written, data.keys_written) if isinstance(data, Lines) else rest


__all__ = ["Arch", "Head"]
