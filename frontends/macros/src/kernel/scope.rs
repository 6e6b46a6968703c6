//! Which variable a name means: in Rust every block has variables of its own, in the tile language a function has one of each
//! name. Variables of inner blocks whose names are taken get names of their own.

use std::collections::{BTreeMap, BTreeSet};

/// Words that are no variables in the tile language, or that the translation uses itself.
const TAKEN: &[&str] = &[
    "False", "None", "True", "and", "assert", "class", "def", "del", "elif", "except", "finally", "float", "from",
    "global", "import", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "range", "tl", "triton", "with",
];

/// The variables at one place of a function.
pub struct Scopes {
    /// By the name in Rust the name in the translation; the innermost block is last.
    blocks: Vec<BTreeMap<String, String>>,
    /// All names that were given.
    given: BTreeSet<String>,
}

impl Scopes {
    /// A function with these parameters.
    pub fn new(parameters: impl Iterator<Item = String>) -> Scopes {
        let own: BTreeMap<String, String> = parameters.map(|p| (p.clone(), p)).collect();
        let given = TAKEN.iter().map(|t| t.to_string()).chain(own.keys().cloned()).collect();
        Scopes { blocks: vec![own], given }
    }

    pub fn enter(&mut self) {
        self.blocks.push(BTreeMap::new());
    }

    pub fn leave(&mut self) {
        self.blocks.pop();
    }

    /// The variable that a name means here, if there is one.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.blocks.iter().rev().find_map(|b| b.get(name)).map(String::as_str)
    }

    /// The name of a variable that is declared here; [`Scopes::declare`] makes it known, after the value it begins with.
    pub fn fresh(&mut self, name: &str) -> String {
        // A second `let` in one block is an assignment: nobody sees the first variable any more.
        if let Some(known) = self.blocks.last().and_then(|b| b.get(name)) {
            return known.clone();
        }
        let mut unique = name.to_string();
        let mut n = 1;
        while self.given.contains(&unique) {
            n += 1;
            unique = format!("{name}_{n}");
        }
        self.given.insert(unique.clone());
        unique
    }

    pub fn declare(&mut self, name: String, variable: String) {
        if let Some(block) = self.blocks.last_mut() {
            block.insert(name, variable);
        }
    }
}
