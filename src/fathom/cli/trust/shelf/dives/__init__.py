"""What the shelf is dived into for."""
