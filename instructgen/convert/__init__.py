"""Existing datasets into samples: template bank, task types, sources, mixing, chat cleaning."""
