"""HTTP/1.1 on asyncio transports: the layer under gateway, bench, simulator and probes."""
