"""The small models that lessons train. `python -m core.training <slug>` rebuilds `assets/trained/<slug>.*`."""
