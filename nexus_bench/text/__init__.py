"""Examples in English: sentence templates, rendering, and reading back."""
