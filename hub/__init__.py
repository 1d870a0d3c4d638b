"""The staff web app: where people look at what was learned, decide, and see that it helped."""
