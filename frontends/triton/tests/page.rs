//! The page of names is made from the table; `UPDATE=1` writes it.
#![allow(clippy::unwrap_used, clippy::panic)]

#[test]
fn the_page_of_names_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/triton.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let marker = "<!-- the table of names, generated -->\n";
    let (head, _) = text.split_once(marker).unwrap();
    let now = format!("{head}{marker}\n{}", girih_triton::markdown());
    if std::env::var("UPDATE").is_ok_and(|v| v == "1") {
        std::fs::write(&path, now).unwrap();
    } else {
        assert!(text == now, "run `UPDATE=1 cargo test -p girih-triton --test page`");
    }
}
