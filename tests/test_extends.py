"""What a file extends: a chain with an end, through the door that files go through; what is no spec is not repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl import SpecError, load
from archdsl.recipes import recipe
from archdsl.spec.budget import MOST_EXTENDS
from tests.test_files import STRANGE, folder

__all__ = ["folder"]
SECRET = "hunter2"
NO_SPECS = {
    "passwd": "root:x:0:0:hunter2:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n",
    "keys": "password: hunter2\nname: hunter2\n",
    "list": "- hunter2\n",
    "tag": "password: !hunter2 x\n",
    "number": "password: !!int hunter2\n",
    "twice": "hunter2: 1\nhunter2: 2\n",
    "alias": "password: *hunter2\n",
    "broken": "password: [hunter2\n",
    "text": "hunter2",
}
KINDS = pytest.mark.parametrize("read", [load, recipe], ids=["spec", "recipe"])


@KINDS
@pytest.mark.parametrize("name", NO_SPECS)
def test_what_is_no_spec_is_not_repeated(tmp_path: Path, read: Any, name: str) -> None:
    (tmp_path / "other.yaml").write_text(NO_SPECS[name], encoding="utf-8")
    (tmp_path / "spec.yaml").write_text("extends: other.yaml\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        read(tmp_path / "spec.yaml")
    assert SECRET not in str(caught.value)
    (fault,) = caught.value.faults
    assert fault.at == "extends"
    assert fault.want or fault.got or fault.written


@KINDS
@pytest.mark.parametrize("name", STRANGE)
def test_what_is_extended_goes_through_the_same_door(folder: Path, tmp_path: Path, read: Any, name: str) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"extends": f"{folder}/{name}.yaml"}), encoding="utf-8")
    with pytest.raises(SpecError, match="cannot read") as caught:
        read(spec)
    assert [(fault.at, fault.written) for fault in caught.value.faults] == [("extends", "spec.json:1")]


@KINDS
def test_a_chain_of_files_has_an_end(tmp_path: Path, read: Any) -> None:
    zoo = "slowfast_tiny" if read is load else "smoke"
    for i in range(300):
        (tmp_path / f"{i}.yaml").write_text(f"extends: {f'{i - 1}.yaml' if i else zoo}\n", encoding="utf-8")
    assert read(tmp_path / f"{MOST_EXTENDS}.yaml") == read(zoo)
    for last in (MOST_EXTENDS + 1, 299):
        with pytest.raises(SpecError, match=f"at most {MOST_EXTENDS} files"):
            read(tmp_path / f"{last}.yaml")


@KINDS
@pytest.mark.parametrize(
    "base", ["5", "[a]", "{a: b}", "null", "true", "", '"spec.yaml:spec"', '"a\\0b.yaml"', "spec.py:x"]
)
def test_extends_names_a_file_or_a_model(tmp_path: Path, monkeypatch: Any, read: Any, base: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(f"extends: {base}\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        read("spec.yaml")
    assert [(fault.at, fault.written) for fault in caught.value.faults] == [("extends", "spec.yaml:1")]
