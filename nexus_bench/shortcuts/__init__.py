"""What can be guessed without reasoning: rules, fitted guesses, and the audit of ceilings."""
