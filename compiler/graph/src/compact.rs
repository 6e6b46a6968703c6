//! Dead code and common subexpressions removed.

use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use girih_base::{Diag, Result};
use std::collections::HashMap;

impl Graph {
    /// The same graph without nodes that no output needs, and with equal operations on equal operands done once. All
    /// parameters stay. Bodies of calls and loops are left as they are: they are shared.
    pub fn compact(&self) -> Result<Graph> {
        let live = self.live();
        let mut out = Graph::new(self.name.clone());
        out.composites = self.composites.clone();
        let mut map: Vec<Option<NodeId>> = vec![None; self.len()];
        for p in self.params() {
            let node = self.node(*p);
            let Op::Param(param) = &node.op else { continue };
            let name = node.name.as_deref().unwrap_or_default();
            map[p.0 as usize] = Some(out.param(name, node.ty.clone(), param.kind, node.loc.clone()));
        }
        // Only looked up, never walked, so its order cannot matter.
        let mut seen: HashMap<(Op, Vec<NodeId>), NodeId> = HashMap::new();
        for id in self.ids() {
            let at = id.0 as usize;
            if map[at].is_some() || !live[at] {
                continue;
            }
            let node = self.node(id);
            let operands: Vec<NodeId> = self.operands(id).iter().filter_map(|o| map[o.0 as usize]).collect();
            let key = (node.op.clone(), operands);
            let new = match seen.get(&key) {
                Some(known) => *known,
                None => {
                    let new = out.add(key.0.clone(), &key.1, node.loc.clone())?;
                    seen.insert(key, new);
                    new
                }
            };
            if let (Some(name), None) = (&node.name, &out.node(new).name) {
                out.set_name(new, name);
            }
            map[at] = Some(new);
        }
        let outputs = self.outputs().iter().map(|o| map[o.0 as usize]).collect::<Option<Vec<_>>>();
        out.set_outputs(outputs.ok_or_else(|| Diag::error("G003", "an output is not a node of the graph"))?);
        Ok(out)
    }
}
