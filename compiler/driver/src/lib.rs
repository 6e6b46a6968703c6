//! The pass pipeline: from a graph to an executable plan.
