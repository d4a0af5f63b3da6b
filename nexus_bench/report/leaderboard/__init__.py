"""Many runs in one table: mechanisms by families, as a page and as Markdown."""
