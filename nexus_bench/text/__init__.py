"""Examples in English: grammars in the tasks' YAML, rendering, and reading back."""
