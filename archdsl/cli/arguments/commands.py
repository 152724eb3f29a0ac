"""The commands: name, summary, options, examples."""

from __future__ import annotations

from archdsl.cli import (
    bench,
    drawings,
    editor,
    expand,
    explain,
    export,
    lowerings,
    property_tests,
    read,
    reports,
    specs,
    weights,
)
from archdsl.cli.arguments import file_options as f
from archdsl.cli.arguments import options as o
from archdsl.cli.arguments import run_options as r
from archdsl.cli.arguments.command import Command
from archdsl.cli.arguments.help_texts import EXPORT, LIVE, LSP, READ, TEST, WEIGHTS
from archdsl.cli.arguments.run_commands import RUN_COMMANDS

COMMANDS = (
    Command(
        "list",
        specs.list_command,
        "the models of the zoo",
        (o.add_pattern, o.add_published_weights, o.add_json),
        ("archdsl list", "archdsl list slowfast --json", "archdsl list --weights slowfast"),
    ),
    Command(
        "show",
        specs.show_command,
        "a spec as YAML, JSON or Python after overrides; or its receptive fields in time",
        (o.add_name, o.add_overrides, o.add_spec_format),
        (
            "archdsl show slowfast_4x16_r50",
            "archdsl show my_net.py --classes 174 > my_net.yaml",
            "archdsl show slowfast_4x16_r50 --python",
            "archdsl show slowfast_4x16_r50 --span",
        ),
    ),
    Command(
        "check",
        specs.check_command,
        "can it exist? one line for each that can, every fault of each that cannot",
        (o.add_names_or_all, o.add_overrides, o.add_json),
        ("archdsl check my_net.yaml", "archdsl check --all", "archdsl check slowfast_8x8_r50 --frames 60"),
    ),
    Command(
        "count",
        reports.count_command,
        "params and costs, exact, beside what was published",
        (o.add_names_or_all, o.add_overrides, o.add_costs, o.add_latency, o.add_memory, o.add_table_format),
        (
            "archdsl count slowfast_4x16_r50 slow_4x16_r50 --size 256 --json",
            "archdsl count slowfast_8x8_r50 --size 256 --views 10x3 --convention flops",
            "archdsl count slowfast_8x8_r50 --claims",
            "archdsl count slowfast_8x8_r50 --verify",
            "archdsl count slowfast_8x8_r50 x3d_m --latency",
            "archdsl count slowfast_8x8_r50 --memory --train --precision bf16 --batch 8 --fits 80GB",
        ),
    ),
    Command(
        "table",
        reports.table_command,
        "the paper's Table 1: layers, shapes, costs, spans",
        (o.add_names, o.add_overrides, o.add_table_level, o.add_table_format),
        (
            "archdsl table slowfast_4x16_r50",
            "archdsl table my_net.yaml --level block",
            "archdsl table slowfast_4x16_r50 --format latex > table.tex",
        ),
    ),
    Command(
        "draw",
        drawings.draw_command,
        "a picture: one lane for each pathway, lateral edges between them",
        (o.add_name, o.add_overrides, o.add_picture_level, o.add_output),
        (
            "archdsl draw slowfast_4x16_r50 -o slowfast.svg",
            "archdsl draw my_net.yaml --level block -o my_net.svg",
            "archdsl draw my_net.yaml --level op -o my_net.dot",
        ),
    ),
    Command(
        "plot",
        drawings.plot_command,
        "published accuracy against cost, a point for each network",
        (o.add_names_or_all, o.add_plot_axes, o.add_plot_output),
        (
            "archdsl plot slow_4x16_r50 slowfast_4x16_r50 slowfast_8x8_r50 x3d_m -o tradeoff.svg",
            "archdsl plot --all --source torchvision --against params -o torchvision.svg",
        ),
    ),
    Command(
        "emit",
        drawings.emit_command,
        "readable torch code that needs torch only",
        (o.add_name, o.add_overrides, o.add_lower, o.add_output),
        ("archdsl emit slowfast_4x16_r50 -o net.py", "archdsl emit slowfast_4x16_r50 --lower auto -o quick.py"),
    ),
    Command(
        "test",
        property_tests.test_command,
        TEST,
        (o.add_names, o.add_overrides, r.add_property_tests, o.add_json),
        (
            "archdsl test my_net.yaml",
            "archdsl test my_net.yaml --examples 100 --seed 1",
            "archdsl test x3d_m --only plan",
        ),
    ),
    Command(
        "lowerings",
        lowerings.lowerings_command,
        "passes that make a network faster without changing its results, and when each pays",
        (o.add_json,),
        ("archdsl lowerings", "archdsl lowerings --json"),
    ),
    Command(
        "diff",
        reports.diff_command,
        "what differs between two networks, by address, and what it costs",
        (o.add_two_names, o.add_overrides, o.add_json),
        (
            "archdsl diff slowfast_4x16_r50 slowfast_8x8_r50",
            "archdsl diff slowfast_4x16_r50 --set pathways.fast.width_ratio=1/16",
        ),
    ),
    Command(
        "admits",
        reports.admits_command,
        "which frames and sizes it accepts, exactly",
        (o.add_names, o.add_overrides, o.add_json),
        ("archdsl admits slowfast_4x16_r50",),
    ),
    Command(
        "explain",
        explain.explain_command,
        "what a word of the language means: its fields, its costs, an example, who uses it",
        (o.add_word, o.add_json),
        (
            "archdsl explain",
            "archdsl explain bottleneck",
            "archdsl explain pathway.tied_to",
            "archdsl explain conv --json",
        ),
    ),
    Command(
        "expand",
        expand.expand_command,
        "grow a small network one axis at a time up to a cost (X3D); a model's axes are in its zoo file",
        (o.add_name, o.add_budget, o.add_table_format, o.add_output),
        ("archdsl expand x2d --macs 4.7e9", "archdsl expand x2d --macs 1e9 --order b,tau,s,d,t,w -o grown.yaml"),
    ),
    *RUN_COMMANDS,
    Command(
        "weights",
        weights.weights_command,
        WEIGHTS,
        (f.add_weights_action, o.add_overrides, o.add_json),
        (
            "archdsl weights show SLOWFAST_8x8_R50.pyth",
            "archdsl weights convert SLOWFAST_8x8_R50.pyth slowfast_8x8_r50 -o slowfast.safetensors",
            "archdsl weights convert resnet50-11ad3fa6.pth i3d_8x8_r50 -o inflated.safetensors --inflate centre",
            "archdsl predict slowfast_8x8_r50 holiday.mp4 --recipe slowfast_k400 --weights SLOWFAST_8x8_R50.pyth",
        ),
    ),
    Command(
        "export",
        export.export_command,
        EXPORT,
        (o.add_name, o.add_overrides, f.add_export, o.add_json),
        (
            "archdsl export runs/slowfast_tiny -o digits.onnx",
            "archdsl export runs/slowfast_tiny -o digits.pt2 --lower fusion --frozen",
            "archdsl export x3d_s --weights X3D_S.pyth -o x3d_s",
            "archdsl export runs/slow_r50 -o slow.safetensors --to pytorchvideo/slow",
        ),
    ),
    Command(
        "read",
        read.read_command,
        READ,
        (f.add_reading, o.add_json),
        (
            "archdsl read my_nets.py:make_model --clip 3x32x224x224 --table stage",
            "archdsl read my_nets.py:slowfast --clip 3x8x256x256 --clip 3x32x256x256 --vs slowfast_8x8_r50",
            "archdsl read my_nets.py:make_model --clip 3x32x224x224 -o my_net.yaml",
            "archdsl read my_nets.py:trained_r50 --clip 3x8x256x256 --vs slow_8x8_r50 -o slow.safetensors",
        ),
    ),
    Command(
        "bench",
        bench.bench_command,
        "time and memory on this machine: lowered beside literal, or ours beside a peer's (loads torch)",
        (o.add_names_or_all, o.add_overrides, r.add_bench, o.add_table_format, o.add_output),
        (
            "archdsl bench my_net.yaml",
            "archdsl bench my_net.yaml --train --batch 2 --json",
            "archdsl bench slowfast_8x8_r50 my_net.yaml -o my_net.md",
            "archdsl bench my_net.yaml --vs my_peers.py:make_model",
            "archdsl bench --calibrate",
        ),
    ),
    Command(
        "schema",
        specs.schema_command,
        "JSON Schema of spec files or recipes, for editors",
        (r.add_recipe_schema, o.add_output),
        (
            "archdsl schema -o archdsl.schema.json",
            "archdsl schema --recipe -o recipe.schema.json",
            "and as the first line of a spec: # yaml-language-server: $schema=archdsl.schema.json",
        ),
    ),
    Command(
        "lsp",
        editor.lsp_command,
        LSP,
        (o.add_python_files,),
        ("archdsl lsp", "archdsl lsp --python"),
    ),
    Command(
        "live",
        editor.live_command,
        LIVE,
        (o.add_live,),
        ("archdsl live my_net.yaml", "archdsl live my_net.yaml --no-browser --port 8000"),
    ),
)
