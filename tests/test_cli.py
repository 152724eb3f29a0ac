"""The command line: what it prints, how it fails, what it does not import."""

from __future__ import annotations

import copy
import json
import os
import platform
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

import archdsl
from archdsl.cli import LARGE_PAGES, main
from archdsl.cli import overrides as given
from archdsl.cli.arguments.commands import COMMANDS
from archdsl.cli.arguments.parser import parser
from archdsl.errors import SpecError, printable
from archdsl.spec.numbers import views_of

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
MINE = str(DATA / "my_slowfast.yaml")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in this process; give (exit code, stdout, stderr)."""

    def run_it(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def process(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "archdsl", *argv], cwd=ROOT, capture_output=True, text=True, timeout=60, **options
    )


# count


def test_count_is_exact_at_256(run: Any) -> None:
    code, out, err = run("count", "slowfast_4x16_r50", "slowfast_8x8_r50", "slow_4x16_r50", "--size", "256", "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [(r["name"], r["params"], r["macs"], r["fvcore"]) for r in rows] == [
        ("slowfast_4x16_r50", 34_480_216, 36_101_963_776, 36_338_417_664),
        ("slowfast_8x8_r50", 34_566_488, 65_711_652_864, 66_068_430_848),
        ("slow_4x16_r50", 32_454_096, 27_262_058_496, 27_378_188_288),
    ]
    assert rows[0]["input"] == {"clip": [3, 64, 256, 256]}
    assert rows[0]["outputs"] == {"scores": [400]}
    assert {"figure", "published", "ours", "input", "source"} <= set(rows[0]["reported"][0])


def test_views_and_batch_multiply_costs_and_not_params(run: Any) -> None:
    one = json.loads(run("count", "slowfast_tiny", "--json")[1])[0]
    many = json.loads(run("count", "slowfast_tiny", "--json", "--views", "10x3", "--batch", "2")[1])[0]
    assert (many["views"], many["batch"], many["params"]) == (30, 2, one["params"])
    for convention in ("macs", "fvcore", "flops", "ptv-zoo"):
        assert many[convention] == 60 * one[convention]
        assert many["per_clip"][convention] == one[convention]
    assert " × 2 × 30" in run("count", "slowfast_tiny", "--views", "10x3", "--batch", "2")[1]


def test_a_figure_stands_beside_its_input_and_convention(run: Any) -> None:
    out = run("count", "slowfast_4x16_r50", "--size", "256", "--convention", "flops")[1]
    assert "3×64×256²" in out
    assert "72,203,927,552" in out
    assert "flops: 2 per multiply-add" in out
    assert "36.1G" in out  # published at just this input
    assert "36.1G" not in run("count", "slowfast_4x16_r50")[1]


@pytest.mark.parametrize("form", ["md", "csv", "html", "latex", "json", "text"])
def test_count_has_every_format(run: Any, form: str) -> None:
    code, out, _ = run("count", "slowfast_tiny", MINE, "--format", form)
    assert code == 0
    assert "my" in out


def test_claims_are_recounted_at_their_own_input(run: Any) -> None:
    rows = json.loads(run("count", "slowfast_8x8_r50", "--claims", "--json", "--frames", "32")[1])
    macs = next(row for row in rows if row["figure"] == "macs")
    assert (macs["published"], macs["ours"], macs["input"], macs["agrees"]) == (
        "65.7G",
        65_711_652_864,
        {"clip": [3, 64, 256, 256]},
        True,
    )
    assert next(row for row in rows if row["figure"] == "top1")["ours"] is None


def test_a_claim_that_ours_does_not_round_to_is_told(tmp_path: Path, run: Any) -> None:
    text = (DATA / "my_slowfast.yaml").read_text()
    claims = "{figure: macs, value: 27.6G, source: a}, {figure: params, value: 40M, source: b, why: a slip}"
    (tmp_path / "claims.yaml").write_text(f"{text}reference: {{paper: none, title: t, claims: [{claims}]}}\n")
    rows = json.loads(run("count", str(tmp_path / "claims.yaml"), "--claims", "--json")[1])
    assert [(row["agrees"], row["why"]) for row in rows] == [(True, None), (False, "a slip")]
    assert "-13.80%" in run("count", str(tmp_path / "claims.yaml"), "--claims")[1]


def test_accuracies_stand_apart_and_are_not_recounted(run: Any) -> None:
    some = ("slowfast_4x16_r50", "slowfast_8x8_r101_nl_ava", "x3d_m", "tsm_r50", "tsn_r50", "resnet50", "lrcn_caffenet")
    rows = json.loads(run("count", *some, "--claims", "--json")[1])
    trained = [row["figure"] in ("top1", "top5") for row in rows]
    assert trained == sorted(trained), "costs first, then accuracies"
    for row, accuracy in zip(rows, trained):
        assert (row["ours"] is None) == accuracy
        assert accuracy or row["agrees"] or row["why"], (
            f"{row['name']} {row['figure']} {row['published']} differs unexplained"
        )
    heading = "Accuracies: they take training, nothing is recounted"
    text = run("count", "slowfast_4x16_r50", "--claims", "--format", "md")[1]
    costs, accuracies = text.split(heading)
    assert "36.1G" in costs
    assert "top1" in accuracies
    assert "top1" not in costs
    assert "macs: 1 per multiply-add" in text


@pytest.mark.parametrize("form", ["md", "csv", "html", "latex", "json", "text"])
def test_claims_have_every_format(run: Any, form: str) -> None:
    code, out, _ = run("count", "slowfast_4x16_r50", "resnet50", "--claims", "--format", form)
    assert code == 0
    assert "36.1G" in out
    assert "1812.03982" in out


def test_the_list_of_the_zoo_is_not_stale(run: Any) -> None:
    written = (ROOT / "zoo" / "README.md").read_text(encoding="utf-8")
    assert run("count", "--all", "--format", "md")[1] == written, "zoo/README.md is stale: make zoo/README.md"


# check, show, list, table, draw, emit, diff, admits, schema


def test_check_tells_good_from_bad(run: Any, tmp_path: Path) -> None:
    assert run("check", MINE)[1] == "ok  my_slowfast  3×64×224² → 400  34,480,216 params  27.64G macs\n"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(Path(MINE).read_text().replace("every: 16", "evry: 16").replace("window: 7", "windw: 7"))
    code, out, err = run("check", str(wrong), MINE)
    assert code == 2
    assert out.startswith("ok  my_slowfast")
    assert "wrong.yaml:6" in err
    assert "fix     every" in err
    assert "unknown field 'windw'" in err
    assert err.startswith(f"{wrong}: 2 faults")


def test_check_as_data(run: Any) -> None:
    code, out, _ = run("check", "slowfast_tiny", MINE, "--frames", "60", "--json")
    tiny, mine = json.loads(out)
    assert code == 2
    assert (tiny["ok"], tiny["macs"] > 0, tiny["input"]) == (True, True, {"clip": [3, 60, 64, 64]})
    assert mine["ok"] is False
    assert mine["faults"][0]["want"] == "a multiple of 16"


@pytest.mark.slow
def test_the_whole_zoo_checks(run: Any) -> None:
    code, out, err = run("check", "--all")
    assert code == 0, err
    assert len(out.splitlines()) == len(json.loads(run("list", "--json")[1]))


def test_show_gives_what_loads_back(run: Any, tmp_path: Path) -> None:
    (tmp_path / "again.yaml").write_text(run("show", "slowfast_4x16_r50", "--classes", "174")[1])
    (tmp_path / "again.json").write_text(run("show", "slowfast_4x16_r50", "--classes", "174", "--json")[1])
    for name in ("again.yaml", "again.json"):
        rows = json.loads(run("count", str(tmp_path / name), "--json")[1])
        assert rows[0]["outputs"] == {"scores": [174]}


def test_list_finds_by_word(run: Any) -> None:
    names = [row["name"] for row in json.loads(run("list", "beta", "--json")[1])]
    assert "slowfast_4x16_r50_beta4" in names
    assert "slowfast_tiny" not in names
    assert "slowfast_tiny" in run("list")[1]


def test_table_draw_and_emit_write_files(run: Any, tmp_path: Path) -> None:
    assert "fast → slow" in run("table", "slowfast_tiny")[1]
    assert json.loads(run("table", "slowfast_tiny", "--json")[1])[0]["name"] == "slowfast_tiny"
    for name, start in (("a.svg", "<svg"), ("a.dot", "digraph")):
        code, out, err = run("draw", "slowfast_tiny", "-o", str(tmp_path / name))
        assert (code, out, err) == (0, "", f"wrote {tmp_path / name}\n")
        assert (tmp_path / name).read_text().startswith(start)
    assert run("draw", "slowfast_tiny")[1].startswith("<svg")
    run("emit", "slowfast_tiny", "-o", str(tmp_path / "net.py"))
    compile((tmp_path / "net.py").read_text(), "net.py", "exec")


def test_diff_of_two_and_of_a_change(run: Any) -> None:
    assert "  - edges.stem.fast_to_slow" in run("diff", "slowfast_4x16_r50", "slowfast_4x16_r50_no_lateral")[1]
    out = run("diff", "slowfast_4x16_r50", "--set", "pathways.fast.width_ratio=1/16", "--json")[1]
    other = json.loads(run("count", "slowfast_4x16_r50_beta16", "--json")[1])[0]
    assert json.loads(out)["params"] == [34_480_216, other["params"]]
    code, _, err = run("diff", "slowfast_tiny")
    assert (code, err.splitlines()[0]) == (2, "nothing to compare with")


def test_admits(run: Any) -> None:
    assert run("admits", "slowfast_tiny")[1].startswith("frames: multiples of 4 from 4 (tried 1 to 32)\n")
    assert json.loads(run("admits", "slowfast_tiny", "--json")[1])[0]["axes"][0]["axis"] == "frames"


def test_schema(run: Any) -> None:
    assert "Stage" in json.loads(run("schema")[1])["$defs"]


# overrides


def test_family_parameters_and_paths(run: Any) -> None:
    rows = json.loads(run("count", "slowfast_tiny", "--param", "alpha=8", "--set", "head.classes=3", "--json")[1])
    assert rows[0]["outputs"] == {"scores": [3]}
    assert (
        rows[0]["macs"] != json.loads(run("count", "slowfast_tiny", "--set", "head.classes=3", "--json")[1])[0]["macs"]
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("1/16", "1/16"),
        ("same", "same"),
        ("[1, 3, 3]", [1, 3, 3]),
        ("{bottleneck: {channels: 64}, repeat: 2}", {"bottleneck": {"channels": 64}, "repeat": 2}),
    ],
)
def test_values_are_read_as_yaml_reads_them(text: str, value: object) -> None:
    assert given.parse_value(text) == value


def test_a_stage_can_be_set_whole(run: Any) -> None:
    code, out, _ = run("show", MINE, "--set", "pathways.slow.stages.res2={bottleneck: {channels: 64}, repeat: 2}")
    assert code == 0
    assert "res2: {bottleneck: {channels: 64}, repeat: 2}" in out


# failing


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["check", "nope"], "no model 'nope'"),
        (["check", "slowfast_4x16_r5"], "fix     slowfast_4x16_r50"),
        (["count", "nope.yaml"], "cannot read nope.yaml"),
        (["count", str(DATA)], "neither a spec file nor the folder of a run"),
        (["count", "nope.py"], "cannot read nope.py"),
        (["count"], "no model named"),
        (["count", "slowfast_tiny", "--views", "10by3"], "invalid views"),
        (["count", "slowfast_tiny", "--convention", "mac"], "fix     macs"),
        (["count", "slowfast_tiny", "--format", "xml"], "no format 'xml'"),
        (["count", "slowfast_tiny", "--frames", "0"], "argument --frames: '0' is not a whole number"),
        (["count", "slowfast_tiny", "--frames", "9" * 5000], "is not a whole number from 1 to 1000000"),
        (["count", "slowfast_tiny", "--fps", "1/0"], "argument --fps: '1/0' is not a frame rate"),
        (["count", "slowfast_tiny", "--set", "head.classes"], "not a setting"),
        (["count", "slowfast_tiny", "--set", "head.clases=3"], "fix     classes"),
        (["count", "slowfast_tiny", "--set", "head.classes={"], "invalid value"),
        (["count", "slowfast_tiny", "--param", "beta=3"], "has no parameter 'beta'"),
        (["table", "slowfast_tiny", "--level", "blocks"], "fix     block"),
        (["draw", "slowfast_tiny", "-o", "x.docx"], "no drawing of that format"),
        (["emit", "slowfast_tiny", "-o", "/nowhere/x.py"], "cannot write /nowhere/x.py"),
        (["emit", "slowfast_tiny", "-o", str(DATA)], "cannot write"),
        (["draw", "slowfast_tiny", "-o", "/nowhere/x.svg"], "cannot write /nowhere/x.svg"),
        (["predict", "nope", "nope.mp4", "-o", "/nowhere/x.json"], "cannot write /nowhere/x.json"),
        (["chek"], "fix     archdsl check"),
        (["check", "--al"], "unrecognized arguments: --al\n  fix     --all\n"),
        (["check", "--nothing-like-it"], "fix     archdsl check --help"),
        (["list", "slowfast", "tiny"], "fix     archdsl list --help"),
        (["train", "slowfast_tiny", "--lower", "fusion"], "fix     --set recipe.lower=fusion"),
        (["train", "slowfast_tiny", "--smoothing=0.1"], "fix     --set recipe.smoothing=0.1"),
        (["evaluate", "runs/x", "--epoch", "8"], "unrecognized arguments: --epoch 8"),
    ],
)
def test_what_a_person_wrote_wrongly(run: Any, argv: list[str], what: str) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert what in err
    assert "Traceback" not in err


ODD = (None, 3, -1, 0.5, "x", "", [], {}, [[1]], {"a": 1}, True, [None], {"conv": None}, 10**30)


def places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    """Every path into a file's data."""
    if at:
        yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*at, key))


def fate(path: Path) -> str:
    """What becomes of a spec. Anything but SpecError goes through."""
    try:
        archdsl.compile(archdsl.load(path))
    except SpecError:
        return "refused"
    return "made"


@pytest.mark.parametrize("name", ["my_slowfast", "extended", "drawn"])
def test_no_odd_value_anywhere_ends_in_a_traceback(name: str, tmp_path: Path) -> None:
    whole = yaml.safe_load((DATA / f"{name}.yaml").read_text())
    (tmp_path / "my_slowfast.yaml").write_text(Path(MINE).read_text())
    fates = []
    for path, odd in [*product(places(whole), ODD)][::3]:  # three does not divide len(ODD): each in every third place
        data = copy.deepcopy(whole)
        place = data
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = odd
        (tmp_path / "odd.json").write_text(json.dumps(data))
        fates.append(fate(tmp_path / "odd.json"))
    assert fates.count("refused") > len(fates) / 2


def test_a_terminal_is_not_obeyed(run: Any) -> None:
    assert "\x1b" not in run("check", "\x1b[2Jnope")[2]
    assert printable("a\x1b[2Jb\n\udce9") == r"a\x1b[2Jb" + "\n" + r"\xe9"


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m archdsl table slowfast_8x8_r101 --level op | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("141", "0")  # 0: all was written before `head` left


def test_a_full_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "archdsl", "show", "slowfast_tiny"],
            cwd=ROOT,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_without_unicode() -> None:
    done = process("table", "slowfast_tiny", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "16?64" in done.stdout


# the door


def test_help_teaches(run: Any) -> None:
    code, out, _ = run()
    assert code == 0
    assert "examples:" in out
    for command in COMMANDS:
        assert command.name in out
        with pytest.raises(SystemExit) as left:
            main([command.name, "--help"])
        assert left.value.code == 0


EXAMPLES = [
    e.partition("  ")[0] for c in COMMANDS for e in c.examples if "archdsl " in e and "my_net" not in e and ">" not in e
]
MINUTES = ("train", "evaluate", "predict", "features", "data", "bench", "weights", "export", "lsp", "live", "visualize")
"""Commands whose examples need data, files, minutes or a client; tests of their own run them."""
RUN_ELSEWHERE = ("archdsl check --all", "archdsl admits slowfast_4x16_r50")
"""Examples that another test runs: the one above of the whole zoo, that of the README."""


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.split("archdsl ")[1].split()[0] in MINUTES])
def test_examples_are_understood(example: str) -> None:
    assert parser().parse_args(shlex.split(example.split("archdsl ")[1])).run


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.split("archdsl ")[1].split()[0] not in MINUTES and e not in RUN_ELSEWHERE]
)
def test_examples_run(run: Any, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*example.split()[1:])
    assert code == (2 if "--frames 60" in example else 0), err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_check_is_cold_and_small() -> None:
    """At most 80 MB, and none of what is slow to import."""
    script = (
        "import sys; from archdsl.cli import main; main(['check', 'slowfast_8x8_r50']);"
        "heavy = [m for m in ('torch', 'numpy', 'rich', 'yaml', 'wasmtime') if m in sys.modules];"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'));"
        "print(heavy, int(peak.split()[1]) < 80 * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[] True", done.stdout + done.stderr


@pytest.mark.parametrize(
    "argv", [["table", "slowfast_tiny"], ["draw", "slowfast_tiny"], ["diff", "slowfast_tiny", "slow_4x16_r50"]]
)
def test_reports_leave_torch_alone(argv: list[str]) -> None:
    script = f"import sys; from archdsl.cli import main; main({argv!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=60).returncode == 0


def test_views() -> None:
    assert (views_of("10x3"), views_of("1"), views_of("30")) == ((10, 3), (1, 1), (30, 1))
    for text in (
        "0",
        "10x",
        "x3",
        "10x0",
        "1e9",
        "-1",
        "",
        "010x3",
        "10x03",
        "10X3",
        "10x3x1",
        " 10x3",
        "1٣",
        "9" * 30,
    ):
        with pytest.raises(SpecError):
            views_of(text)


@pytest.mark.parametrize("own", ["", "0"])
def test_torch_is_asked_for_large_pages_unless_the_user_has_a_say(
    own: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {LARGE_PAGES: own} if own else {})
    run("list", "--json")
    assert os.environ == {LARGE_PAGES: own or "1"}


FAULTS = """
import resource
from archdsl.cli import keep_freed_memory
keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"1" * 2**26
before = faults()
b"1" * 2**26
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is told to keep what is freed")
def test_freed_memory_is_kept_unless_the_user_has_a_say() -> None:
    """Page faults of 64 MiB that were had and freed before."""

    def second(**own: str) -> int:
        words = [sys.executable, "-c", FAULTS]
        return int(subprocess.run(words, env=os.environ | own, capture_output=True, text=True, check=True).stdout)

    kept, given_back = second(), second(MALLOC_TRIM_THRESHOLD_="131072")
    assert kept < 10 < given_back


@pytest.mark.parametrize(("words", "kept"), [(["evaluate", "no_such_arch"], True), (["list", "--json"], False)])
def test_which_commands_keep_freed_memory(
    words: list[str], kept: bool, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[bool] = []
    monkeypatch.setattr("archdsl.cli.keep_freed_memory", lambda: called.append(True))
    run(*words)
    assert bool(called) is kept


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["check", "--all", "nope"], "--all and names together"),
        (["count", "--all", "slowfast_tiny"], "--all and names together"),
        (["count", "slowfast_tiny", "--claims", "--views", "10x3"], "--claims and --views together"),
        (["count", "slowfast_tiny", "--claims", "--convention", "flops"], "--claims and --convention together"),
        (["count", "slowfast_tiny", "--verify", "--batch", "2"], "--verify and --batch together"),
        (["count", "slowfast_tiny", "--memory", "--views", "3"], "--memory and --views together"),
        (["count", "slowfast_tiny", "--json", "--format", "csv"], "not allowed with argument --json"),
        (["show", "slowfast_tiny", "--json", "--python"], "--json and --python together"),
    ],
)
def test_nothing_is_accepted_that_is_not_read(run: Any, argv: list[str], told: str) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert told in err


CLAIMED = r"""
name: a
clip: {frames: 4, size: 16}
pathways: {p: {stages: {s: {conv: {channels: 8}}}}}
head: {classifier: {classes: 3}}
reference:
  {paper: "p\x1b[31m", title: t, claims: [{figure: params, value: "1", source: "s\x1b[31m\r=1", why: "\x1b]0;w\x07"}]}
"""


@pytest.mark.parametrize("form", ["text", "csv", "md", "html", "latex", "json"])
def test_no_format_of_claims_hands_on_control_characters(run: Any, tmp_path: Path, form: str) -> None:
    (tmp_path / "a.yaml").write_text(CLAIMED, encoding="utf-8")
    code, out, _ = run("count", str(tmp_path / "a.yaml"), "--claims", "--format", form)
    assert code == 0
    assert "params" in out
    assert not set(out) & set("\x1b\x07\r")


def test_titles_of_counts_say_by_what_costs_are_multiplied(run: Any) -> None:
    said = {
        arguments: run("count", "slowfast_tiny", "--format", "md", *arguments)[1]
        for arguments in ((), ("--batch", "2"), ("--views", "2x1"), ("--batch", "2", "--views", "3x1"))
    }
    found = [(" × 2 clips" in text, " × 2 views" in text, " × 3 views" in text) for text in said.values()]
    assert found == [(False, False, False), (True, False, False), (False, True, False), (True, False, True)]
