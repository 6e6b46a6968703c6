//! E-graph optimisation of Girih graphs.
