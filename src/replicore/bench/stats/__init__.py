"""From records to numbers: latencies, rates, windows, intervals."""
