"""What long commands say of themselves."""

WEIGHTS = """\
whose a file of weights is and which network it fits; the same weights under a network's addresses

`--weights` of train, evaluate and predict reads the same files, whatever their names: those of torchvision,
PyTorchVideo, PySlowFast and others (zoo/weights/ has the rules). No file is executed: of a pickle tensors and plain
data are read, nothing else."""

EXPORT = """\
a run, or a network with weights, as a file for others; what the file gives is compared with the network

the suffix of -o says what is written
  .onnx         a program for onnxruntime and devices, run there once (pip install 'archdsl[export]')
  .pt2          a program of torch.export, for torch.export.load(FILE).module() and AOTInductor
  .safetensors  the weights, under addresses, or with --to under another source's names (docs/weights.md)
  no suffix     a folder as Hugging Face users expect: config.json, model.safetensors, README.md (the card), network.py,
                and where --recipe or the weights say what pixels they expect preprocessor_config.json; with a run's
                recipe.yaml `predict` and `evaluate` take it as a run, and archdsl.load(FOLDER),
                archdsl.build(..., weights=FOLDER) always
Programs take any number of clips at once where torch can trace that, else one; the report says why. They choose frames
themselves and take pixels that are normalised: mean, std, sizes and classes lie beside the program as JSON, `archdsl`
in the metadata of ONNX, extra_files of torch.export.
--int8 DATA rounds weights and maps to 8 bits by torch.ao (2.13 has no other without the package torchao), their ranges
observed on the test videos of DATA, and prints the figures before and after. Engines join the rounding with the layers;
the file keeps weights in 32 bits."""

LSP = """\
a language server: faults while typing, completion, hovers, definitions and quick fixes in an editor

An editor starts it by itself and speaks with it over standard input and output (docs/editors.md has the settings of
VS Code, Neovim, Helix and Emacs). It looks at YAML and JSON documents that have keys of a spec or of a recipe, or that
the editor calls `archdsl`. Nothing of them is executed."""

LIVE = """\
a page in the browser that follows a YAML spec: faults and fixes in the text, drawing, table, what it changes

The text is the file: what is typed there is written to it, what an editor writes to it is shown there. The page is
served to this machine only, to whoever has the token in the address that is printed; nothing but the compiler runs."""

READ = """\
any torch module: what it costs and sees, what differs from a network of ours, its weights under our addresses

FILE.py:NAME is a function without arguments that gives a module. The file is executed, as Python specs are: read only
files you trust. torch.export traces the module on clips of zeros of the sizes of --clip, written without the batch,
in the order in which the module takes them (several: as one list).
Ops that we know are counted; others keep their shapes, cost nothing and are named.
--vs compares step by step and by no name: convolutions, products, norms, sums and functions, what they read, what they
cost. Where steps match, weights follow; where all do, both networks run once with the same weights, and the largest
difference is printed. Exit code 1 where anything differs. What only moves numbers (views, windows, shifts of frames) is
no step: the outputs tell whether it is the same.
-o NET.yaml writes a spec: `extends` where it is a network of the zoo (of all, or of --vs alone, which is quicker), else
stages of blocks named after its modules. What no known block is is drawn of ops. The spec is read back and compared in
the same way; exit code 1 where anything differs. Steps that no op of ours is are named, and nothing is written."""

TEST = """\
what must hold of any network, asked of yours in small and of its legal neighbours (loads torch)

Properties, by name:
  plan         shapes at every address, parameters and fvcore's count are those of torch
  gradients    a gradient reaches every weight
  batch        clips of a batch do not see each other
  stream       frame by frame it gives what it gives for the whole clip, where it can
  lowered      lowered and frozen it gives what the literal network gives
  written      YAML and Python read back as the same network
  memory       no more is kept for backward than is predicted
  admits       frames and sizes that are said to be accepted are just those that run
  export       the program of torch.export gives the same

Neighbours have other frames, sizes, widths, depths, blocks, transforms, edges. A failure is shrunk to the smallest spec
that shows it, and told with the command that repeats it. Exit code 1."""
