"""What trained attention points at: does the nest walk the chain?"""
