"""What is stored, by kind; freeing what can be made again; how much a brand may keep."""
