"""What is to go where and when, with which words; nothing is written here but sets of words."""
