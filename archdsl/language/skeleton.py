"""Skeletons as data: how many joints a person has, and which bones join them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from archdsl.errors import SpecError, did_you_mean
from archdsl.spec.base import Written
from archdsl.spec.budget import LARGEST_AXIS
from archdsl.spec.scalars import Count, Whole

Joint = tuple[Whole, Whole]


class Skeleton(Written):
    """Joints numbered from 0, bones between two of them, the joint that distances are counted from."""

    joints: Annotated[Count, Field(le=LARGEST_AXIS)] = Field(description="joints of a person")
    bones: tuple[Joint, ...] = Field(min_length=1, description="pairs of joints, that nearer to the centre second")
    centre: Whole = Field(0, description="the joint that distances are counted from")

    def model_post_init(self, context: object, /) -> None:
        odd = [bone for bone in (*self.bones, (self.centre,)) if max(bone) >= self.joints]
        if odd:
            what, want = "a joint that the skeleton does not have", f"0 to {self.joints - 1}"
            fix = f"joints: {max(max(bone) for bone in (*self.bones, (self.centre,))) + 1}"
            raise SpecError(what, written=self.written, got=f"{max(odd[0])} of {self.joints}", want=want, fix=fix)


def bones_of(text: str) -> tuple[Joint, ...]:
    """Bones written as `15-13 13-11`."""
    pairs = (bone.split("-") for bone in text.split())
    return tuple((int(far), int(near)) for far, near in pairs)


SKELETONS = {
    "coco": Skeleton(
        joints=17, bones=bones_of("15-13 13-11 16-14 14-12 11-5 12-6 9-7 7-5 10-8 8-6 5-0 6-0 1-0 3-1 2-0 4-2")
    ),
    "openpose": Skeleton(
        joints=18,
        bones=bones_of("4-3 3-2 7-6 6-5 13-12 12-11 10-9 9-8 11-5 8-2 5-1 2-1 0-1 15-0 14-0 17-15 16-14"),
        centre=1,
    ),
    "ntu": Skeleton(
        joints=25,
        bones=bones_of(
            "0-1 1-20 2-20 3-2 4-20 5-4 6-5 7-6 8-20 9-8 10-9 11-10 12-0 13-12 14-13 15-14 16-0 17-16 18-17 19-18"
            " 21-22 22-7 23-24 24-11"
        ),
        centre=20,
    ),
}
"""Those of COCO and OpenPose (2-D key points, MMAction2's bones) and of NTU RGB+D (CTR-GCN's)."""
SkeletonName = Literal["coco", "openpose", "ntu"]


def named_skeleton(value: Any) -> Any:
    """A skeleton by its name."""
    if isinstance(value, str) and value not in SKELETONS:
        want = f"{', '.join(SKELETONS)}, or {{joints: 3, bones: [[1, 0], [2, 0]]}}"
        raise SpecError("an unknown skeleton", got=value, want=want, fix=did_you_mean(value, SKELETONS))
    return SKELETONS[value] if isinstance(value, str) else value


def skeleton_shown(skeleton: Skeleton | None) -> Any:
    """Its name where it has one."""
    for name, known in SKELETONS.items():
        if skeleton == known:
            return name
    return skeleton.model_dump(mode="json", exclude_defaults=True) if skeleton else None


SkeletonField = Annotated[
    Skeleton,
    BeforeValidator(named_skeleton, json_schema_input_type=SkeletonName | Skeleton),
    PlainSerializer(skeleton_shown),
]
