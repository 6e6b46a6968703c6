//! Repeated parts of a flat graph become calls of one body.

use girih_base::Result;
use girih_graph::Graph;

/// The graph with repeated segments as shared callees.
pub fn outline(graph: &Graph) -> Result<Graph> {
    Ok(graph.clone())
}
