# not a model
#   written python_with_something_else.py
#   got     42
#   want    Arch or Model

models = (42,)
