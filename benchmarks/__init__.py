"""What codexapi costs, measured: ratios within one run, never asserted by a test."""
