"""How a spec is written and read: the base that knows its lines, YAML and JSON, numbers, files, budgets."""
