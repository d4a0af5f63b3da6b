"""Tables from names to classes, and what such classes promise."""
