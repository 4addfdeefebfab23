"""Many runs of one study: planned, carried out somewhere, and gathered in the order of the plan."""
