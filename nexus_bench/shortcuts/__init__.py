"""What can be guessed without reasoning, and what a family declares of it."""
