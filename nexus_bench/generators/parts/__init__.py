"""Pieces that several task families share."""
