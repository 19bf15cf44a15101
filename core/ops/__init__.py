"""One function = one numbered equation of one paper. No state, no dropout, any number of leading batch axes."""
