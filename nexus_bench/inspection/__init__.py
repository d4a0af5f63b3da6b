"""What trained models do: attention maps, ablations, other hops and sizes, predictions."""
