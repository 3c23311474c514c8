"""What becomes of a softmax model that is trained on its own samples."""
