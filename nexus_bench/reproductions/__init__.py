"""Results that others published, trained again: what they claim against what is measured."""
