# no recipe in the file
#   written python_without_a_recipe.py
#   got     None
#   want    recipe = Recipe(...)
settings = {"rate": 0.1}
