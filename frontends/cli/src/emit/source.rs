//! Where a program comes from: a text, a model file, an example.

use super::{examples, wrong_size};
use crate::output::{Done, read_text};
use girih_driver::specialize;
use girih_gguf::{Gguf, Model, Options};
use girih_graph::Graph;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Reads the program named on the command line, its sizes narrowed.
///
/// # Errors
/// `C003` when it cannot be read, `C004` for a name that is neither a file nor an example, `G301` for wrong text, `M` codes for models.
pub fn load(input: &str, sizes: &[String]) -> Done<Graph> {
    let mut ranges = sizes.iter().map(|s| range(s)).collect::<Done<BTreeMap<Arc<str>, (i64, i64)>>>()?;
    let path = Path::new(input);
    let graph = match path.extension().and_then(|e| e.to_str()) {
        Some("gguf") => {
            let file = Gguf::open(path)?;
            let own = file
                .meta()
                .str("general.architecture")
                .and_then(|a| file.meta().uint(&format!("{a}.context_length")))?;
            let options =
                Options { context: Some(usize::try_from(own).unwrap_or(2048).min(2048)), ..Options::default() };
            // One token, as in decoding, unless the user wants another length.
            ranges.entry("seq".into()).or_insert((1, 1));
            Model::new(&file, &options)?.graph
        }
        Some("girih") => {
            let graph = girih_graph::text::parse(&read_text(path)?, input)?;
            graph.verify()?;
            graph
        }
        _ => examples::find(input)?,
    };
    Ok(if ranges.is_empty() { graph } else { specialize(&graph, &ranges)? })
}

fn range(text: &str) -> Done<(Arc<str>, (i64, i64))> {
    let parse = || {
        let (name, range) = text.split_once('=')?;
        let (low, high) = range.split_once("..").unwrap_or((range, range));
        let (low, high) = (low.parse().ok()?, high.trim_start_matches('=').parse().ok()?);
        (low <= high && !name.is_empty()).then(|| (Arc::from(name), (low, high)))
    };
    parse().ok_or_else(|| wrong_size(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_are_numbers_or_ranges() {
        let ok = |s: &str| range(s).map(|(_, r)| r).ok();
        assert_eq!(ok("seq=4"), Some((4, 4)));
        assert_eq!(ok("seq=1..64"), Some((1, 64)));
        assert_eq!(ok("seq=1..=64"), Some((1, 64)));
        for bad in ["seq", "=4", "seq=", "seq=5..4", "seq=a"] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }
}
