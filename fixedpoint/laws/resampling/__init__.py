"""Resampling: each generation is refitted to finitely many of its own samples."""
