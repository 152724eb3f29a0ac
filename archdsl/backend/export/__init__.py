"""Networks as files: programs of torch and ONNX, folders as Hugging Face users expect."""
