//! `docs/rules.md` is generated from the rules; `UPDATE=1` rewrites it.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_rewrite::rules::all;
use std::path::Path;

const HEAD: &str = "# Rewrite rules\n\n\
    Generated from `compiler/rewrite/src/rules`; edit those, then run `UPDATE=1 cargo test -p girih-tests --test rules_page`.\n\n\
    Where the left side matches, the right side is equal. *Exact* rules keep every bit (on floats: up to the sign of zero and the \
    choice of NaN), *reassoc* rules round elsewhere, *approx* rules are off unless asked for. *Simplify* rules always apply, \
    *algebra* rules give alternatives among which the cost model chooses, *composite* rules recognise named operations. A right \
    side that is not text is built by code, which may refuse. Every rule is tested by random instances per dtype against the \
    evaluator.\n\n\
    | rule | class | phase | from | to |\n|---|---|---|---|---|\n";

fn page() -> String {
    let code = |text: &str| format!("`{}`", text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"));
    let rows = all().iter().map(|r| {
        let (class, phase) = (format!("{:?}", r.class).to_lowercase(), format!("{:?}", r.phase).to_lowercase());
        let to = r.rhs_text().map_or("code".to_string(), code);
        format!("| {} | {class} | {phase} | {} | {to} |\n", r.name, code(r.lhs))
    });
    HEAD.to_string() + &rows.collect::<String>()
}

#[test]
fn the_page_lists_the_rules_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    if std::env::var("UPDATE").is_ok_and(|v| v == "1") {
        std::fs::write(&path, page()).unwrap();
    }
    let page = page();
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/rules.md is out of date: run with UPDATE=1"
    );
    assert!(page.lines().count() > 50);
}
