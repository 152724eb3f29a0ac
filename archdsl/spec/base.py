"""The pydantic base of everything a person writes: frozen, forbids unknown fields, knows the line that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator
from pydantic.fields import FieldInfo

from archdsl.errors import Fault, SpecError, did_you_mean
from archdsl.spec.faults import spec_error
from archdsl.spec.fixes import flow_yaml
from archdsl.spec.lines import Lines, line_outside


class Written(BaseModel):
    """Base of the language's models. Equal when all fields are equal, wherever they were written."""

    # defer_build: a spec pays for the blocks it uses, not for all there are
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    _written: str | None = PrivateAttr(default=None)

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise spec_error(error, type(self), data).placed(written=line_outside()) from None
        self._written = line_outside()

    # pydantic then fills nested models without calling __init__, so that their faults keep the lines of the file
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="wrap")
    @classmethod
    def _keep_line(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        made = handler(data)
        if isinstance(data, Lines):
            made._written = data.written
        return made

    @property
    def written(self) -> str | None:
        """`file:line` where this was written, or None."""
        return self._written

    def but(self, **changes: Any) -> Any:
        """A copy with some fields changed, checked again; None gives a field its default back."""
        known = type(self).model_fields
        for name in changes:
            if name not in known:
                near = did_you_mean(name, known)
                raise SpecError(
                    f"{type(self).__name__} has no field {name!r}",
                    written=self._written,
                    got=name,
                    want=", ".join(known),
                    fix=near,
                )
        fields = {name: getattr(self, name) for name in self.model_fields_set} | changes
        fields = {name: value for name, value in fields.items() if value is not None or takes_none(known[name])}
        try:
            made = type(self)(**fields)
        except SpecError as error:
            raise SpecError(Fault(**{**vars(f), "written": self._written or f.written}) for f in error.faults) from None
        made._written = self._written
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Written) or type(self) is not type(other):
            return False
        return self.values_of_fields() == other.values_of_fields()

    def __hash__(self) -> int:
        return hash((type(self), *map(str, self.values_of_fields())))

    def values_of_fields(self) -> list[Any]:
        """The value of every field; a cached property lies beside them in `__dict__`."""
        return [getattr(self, name) for name in type(self).model_fields]


def takes_none(field: FieldInfo) -> bool:
    """Whether None is a value of a field, or the field has no default that None could stand for."""
    default = field.get_default()
    return field.is_required() or default is None or type(None) in get_args(field.annotation)


def check_kind_reads(model: Any, readers: Mapping[str, tuple[str, ...]]) -> None:
    """Raise SpecError for fields that were written although the model's kind does not read them.

    `readers` has the kinds that read a field.
    """
    unread = [n for n, kinds in readers.items() if n in model.model_fields_set and model.kind not in kinds]
    if unread:
        kinds = readers[unread[0]]
        raise SpecError(
            f"{', '.join(f'`{name}`' for name in unread)} not read with `kind: {model.kind}`",
            got=", ".join(f"{name}: {flow_yaml(getattr(model, name))}" for name in ("kind", *unread)),
            want=f"kind: {' or '.join(kinds)}, or no {' and no '.join(unread)}; in `set`, null leaves a field out",
            fix=f"kind: {kinds[0]}",
        )


W = TypeVar("W", bound=Written)


def read_model(kind: type[W], data: Any) -> W:
    """Data (a mapping from a file) as a model, or every fault of it as SpecError."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise spec_error(error, kind, data) from None
