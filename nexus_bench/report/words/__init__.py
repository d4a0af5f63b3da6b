"""What a report says in words: titles, findings, notes, and the short names of models."""
