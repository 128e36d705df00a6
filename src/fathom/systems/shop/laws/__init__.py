"""What must stay true when computers are slow and do fail."""
