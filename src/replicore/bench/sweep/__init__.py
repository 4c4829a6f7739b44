"""Several layouts of one spec, deployed and measured in turn, and which of them is best."""
