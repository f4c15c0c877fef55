"""Turns the text files under ``sources`` into the binary sample documents."""
