"""HTTP close to the wire: for what is asked so often that a client's comforts cost more than the work itself."""
