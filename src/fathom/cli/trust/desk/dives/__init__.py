"""What the desk is dived into for."""
