"""The SAE for SmolLM2 that comes with the package: how its text is gathered and how it is trained."""
