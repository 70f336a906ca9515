"""The scenarios of the demo, each a class with steps; `demo.py` runs them in order."""
