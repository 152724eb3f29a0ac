# unknown field 'momentun'
#   at      momentun
#   written python_with_a_wrong_field.py:13
#   got     momentun: 0.9
#   want    kind, rate, rate_batch, momentum, nesterov, betas, square_decay, eps, weight_decay, decay_norms, groups, layer_decay, clip, accumulate
#   fix     momentum
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.recipes.optimizer import Optimizer

recipe = Recipe(
    steps=100,
    batch=8,
    optimizer=Optimizer(rate=0.1, momentun=0.9),
)
