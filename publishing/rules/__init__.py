"""What the networks want, and whether a post keeps to it."""
