"""What the cores of this machine can do: memory bandwidth, arithmetic, collectives."""
