"""Charts of a report: what each shows, how they look, and how they become files."""
