"""What is read and written: YAML, columns of tables, and files that are whole or absent."""
