//! Progress on the terminal. Silent when the error output is not one.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// A bar that disappears when dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Something that takes a while, of unknown length.
    pub fn spinner(what: impl Into<String>) -> Progress {
        let bar = visible(ProgressBar::new_spinner());
        bar.set_message(what.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// `total` steps of something.
    pub fn steps(what: impl Into<String>, total: u64) -> Progress {
        let bar = visible(ProgressBar::new(total));
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
            bar.set_style(style);
        }
        bar.set_message(what.into());
        Progress(bar)
    }

    /// Prints something else without mixing it with the bar.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.0.suspend(print)
    }

    /// One step further, and what to say now.
    pub fn advance(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn visible(bar: ProgressBar) -> ProgressBar {
    if std::io::stderr().is_terminal() { bar } else { ProgressBar::hidden() }
}
