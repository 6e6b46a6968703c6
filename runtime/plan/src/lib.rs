//! The plan: what a Girih runtime allocates, copies, dispatches.
