"""What is wrong with a file, in the order of the file."""
