"""New rules on old readings: the production engine over history, before anyone is paged."""
