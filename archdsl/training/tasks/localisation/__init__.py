"""Temporal localisation: where along time something starts and ends; a file for each way in which networks say it."""
