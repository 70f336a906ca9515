"""The story of a deployment in parts, each a class with steps; `demo.py` tells them in order."""
