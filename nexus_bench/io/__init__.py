"""What is read and written: YAML, columns of tables, files that are whole or absent."""
