//! Text with a table of where each part of it comes from.

use proc_macro2::Span;

/// The text of a kernel under construction.
#[derive(Default)]
pub struct Writer {
    pub text: String,
    /// Byte offset in the text, line and column in the Rust file: what starts at the offset was written there.
    pub places: Vec<(u32, u32, u32)>,
    depth: usize,
}

impl Writer {
    /// Starts a line of a statement that was written at `span`.
    pub fn line(&mut self, span: Span) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&"    ".repeat(self.depth));
        self.mark(span);
    }

    /// What follows was written at `span`.
    pub fn mark(&mut self, span: Span) {
        let at = span.unwrap().start();
        self.places.push((self.text.len() as u32, at.line() as u32, at.column() as u32));
    }

    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Goes levels deeper, or back.
    pub fn depth(&mut self, by: isize) {
        self.depth = self.depth.saturating_add_signed(by);
    }
}
