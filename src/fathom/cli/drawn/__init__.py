"""What is drawn of a block: a file of the block's name, with one Drawing in it."""
