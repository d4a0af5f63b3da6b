"""What a study comes to, in sentences, tables and a paper that are made from its results alone."""
