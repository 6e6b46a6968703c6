//! What kernels printed and asserted, read back from the debug buffer (see [`girih_base::debug`]).

use girih_base::debug::{ASSERTIONS, CAPACITY, CURSOR, Instances, LOST, MANY, NONE, RECORD, Site};
use girih_base::print::{self, Piece};
use girih_base::{Bindings, DebugInfo, Diag, Dim, Loc, Result};
use girih_plan::KernelCode;
use std::sync::Arc;

/// Bytes of a debug buffer, if the device does not choose another size.
pub const DEBUG_BYTES: u64 = 4 << 20;

/// The code of an assertion that failed.
pub const ASSERTION_FAILED: &str = "X013";

/// Records a device keeps until somebody takes them; later ones are lost.
const MOST_KEPT: usize = 1 << 20;

/// A printed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// The line, formatted; as in C, it ends in a newline only if its text does.
    pub text: String,
    /// Name of the kernel.
    pub kernel: Arc<str>,
    /// Which launch of a printing kernel, counted from 0 on this device.
    pub launch: u64,
    /// Workgroup (block, program instance) by number.
    pub group: u32,
    /// Thread of the workgroup by number; 0 where a program prints as one.
    pub thread: u32,
    /// Where the program prints.
    pub loc: Loc,
}

/// Printed lines: by launch, in each by workgroup, in each by thread in the order they were printed. Lines of programs on
/// blocks of values come in the program's order instead of by thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prints {
    /// The lines.
    pub lines: Vec<Printed>,
    /// Lines that found no room in the debug buffer.
    pub lost: u64,
}

/// What a device keeps of the launches of kernels that print or assert: it empties its debug buffer into this after each one.
#[derive(Debug, Default)]
pub struct DebugLog {
    prints: Prints,
    failure: Option<Box<Diag>>,
    launches: u64,
}

impl DebugLog {
    /// The first words of a debug buffer of `bytes` before a launch.
    pub fn header(info: &DebugInfo, bytes: u64) -> Vec<u32> {
        let mut words = vec![NONE; info.header() as usize];
        words[..ASSERTIONS as usize].fill(0);
        words[CAPACITY as usize] = u32::try_from(bytes / 4).unwrap_or(u32::MAX / 2).saturating_sub(info.header());
        words
    }

    /// Number of words to read after a launch, given the header read back.
    pub fn used(info: &DebugInfo, header: &[u32]) -> usize {
        let at = |i: u32| header.get(i as usize).copied().unwrap_or(0);
        info.header() as usize + at(CURSOR).min(at(CAPACITY)) as usize
    }

    /// Takes in what a launch left in the buffer: the header and the records.
    pub fn collect(&mut self, code: &KernelCode, words: &[u32], bindings: &Bindings) {
        let Some(info) = &code.debug else { return };
        let launch = self.launches;
        self.launches += 1;
        let (header, records) = words.split_at((info.header() as usize).min(words.len()));
        self.failed(&code.name, info, header, bindings);
        self.prints.lost += header.get(LOST as usize).copied().unwrap_or(0) as u64;
        let pieces: Vec<Vec<Piece>> = info.sites.iter().map(|s| print::parse(&s.text).unwrap_or_default()).collect();
        let kernel: Arc<str> = code.name.as_str().into();
        let mut lines = Vec::new();
        let mut rest = records;
        while let Some((start, after)) = rest.split_at_checked(RECORD as usize)
            && let Some(site) = info.sites.get(start[0] as usize)
            && let Some((args, after)) = after.split_at_checked(site.words() as usize)
        {
            rest = after;
            let (text, keys) = print::line(&pieces[start[0] as usize], &site.values(args));
            let (group, thread) = (start[1], if keys.is_empty() { start[2] } else { 0 });
            let line = Printed { text, kernel: kernel.clone(), launch, group, thread, loc: site.loc() };
            lines.push((group, if keys.is_empty() { vec![thread] } else { keys }, line));
        }
        // A thread's records are in order already.
        lines.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let room = MOST_KEPT.saturating_sub(self.prints.lines.len());
        self.prints.lost += lines.len().saturating_sub(room) as u64;
        self.prints.lines.extend(lines.into_iter().take(room).map(|(.., line)| line));
    }

    /// The first assertion that failed in a launch, by thread, then by place.
    fn failed(&mut self, name: &str, info: &DebugInfo, header: &[u32], bindings: &Bindings) {
        let word = |s: &Site| s.assertion.and_then(|at| header.get(at as usize)).copied().filter(|w| *w != NONE);
        let first = info.sites.iter().filter_map(|s| Some((word(s)?, s))).min_by_key(|(thread, _)| *thread);
        if let (Some((thread, site)), None) = (first, &self.failure) {
            let instance = instance(&info.instances, thread, bindings);
            let text = if site.text.is_empty() { "an assertion" } else { &site.text };
            self.failure = Some(
                Diag::error(ASSERTION_FAILED, format!("assertion failed in kernel `{name}`: {text}"))
                    .at(&site.loc(), "this does not hold")
                    .note(instance),
            );
        }
    }

    /// The printed lines so far, which are forgotten.
    pub fn take(&mut self) -> Prints {
        std::mem::take(&mut self.prints)
    }

    /// Tells once that an assertion failed.
    ///
    /// # Errors
    /// `X013`.
    pub fn check(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// `block (1, 0, 0), thread (3, 0, 0)` of a thread's number, or `program (1, 0)`.
fn instance(instances: &Instances, number: u32, bindings: &Bindings) -> String {
    if number == MANY {
        return "in an instance whose number does not fit 32 bits".into();
    }
    let split = |mut n: u32, extents: &[Option<u32>]| {
        let parts: Vec<String> = extents
            .iter()
            .enumerate()
            .map(|(i, e)| {
                let e = e.unwrap_or(u32::MAX).max(1);
                let part = if i + 1 == extents.len() { n } else { n % e };
                n /= e;
                part.to_string()
            })
            .collect();
        parts
    };
    let sizes = |dims: &[Dim]| -> Vec<Option<u32>> {
        dims.iter().map(|d| d.eval(bindings).ok().and_then(|n| u32::try_from(n).ok())).collect()
    };
    match instances {
        Instances::Threads { grid, block } => {
            let threads = block.iter().product::<u32>().max(1);
            let block = split(number % threads, &block.map(Some)).join(", ");
            let group = split(number / threads, &sizes(grid)).join(", ");
            format!("in block ({group}), thread ({block})")
        }
        Instances::Programs(grid) => format!("in program ({})", split(number, &sizes(grid)).join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use girih_base::DType;
    use girih_plan::Format;

    fn code(sites: Vec<Site>, instances: Instances) -> KernelCode {
        KernelCode {
            name: "k".into(),
            format: Format::Simt,
            text: "".into(),
            args: Vec::new(),
            uniforms: Vec::new(),
            grid: Vec::new(),
            flops: Dim::ZERO,
            traffic: Dim::ZERO,
            debug: Some(DebugInfo { sites, instances }),
        }
    }

    fn print(text: &str, args: Vec<(DType, u8)>) -> Site {
        Site::new(text.into(), args, None, &Loc::new("k.cu", 4, 1))
    }

    #[test]
    fn lines_come_by_workgroup_and_thread() {
        let grid = vec![Dim::from(2)];
        let sites = vec![print("a{%d}", vec![(DType::I32, 1)]), print("b", vec![])];
        let code = code(sites, Instances::Threads { grid, block: [4, 1, 1] });
        let mut log = DebugLog::default();
        let words = [14, 100, 3, 0, 1, 2, 7, 0, 0, 3, 8, 1, 0, 3, 99];
        log.collect(&code, &words, &Bindings::new());
        let prints = log.take();
        let texts: Vec<&str> = prints.lines.iter().map(|l| &*l.text).collect();
        assert_eq!((&texts[..], prints.lost), (&["a8", "b", "a7"][..], 3));
        assert_eq!(prints.lines[0].loc.to_string(), "k.cu:4:1");
        assert!(log.check().is_ok() && log.take().lines.is_empty());
    }

    #[test]
    fn keys_order_lines_of_programs() {
        let code = code(vec![print("{#}{#}x", vec![(DType::U32, 1), (DType::U32, 1)])], Instances::Programs(vec![]));
        let mut log = DebugLog::default();
        // Thread 5 printed element 0 after thread 1 printed element 9, and then something of the next statement.
        let words = [15, 100, 0, 0, 0, 1, 0, 9, 0, 0, 5, 0, 0, 0, 0, 5, 1, 2];
        log.collect(&code, &words, &Bindings::new());
        assert_eq!(log.take().lines.iter().map(|l| l.thread).collect::<Vec<_>>(), [0, 0, 0]);
    }

    #[test]
    fn the_first_failed_assertion_is_told_once() {
        let site = |text: &str, word| Site::new(text.into(), vec![], Some(word), &Loc::new("k.cu", 9, 3));
        let grid = vec![Dim::from(3), Dim::symbol("h", 1, 9)];
        let code = code(vec![site("late", 3), site("early", 4)], Instances::Threads { grid, block: [2, 2, 1] });
        let mut log = DebugLog::default();
        let bindings = Bindings::from([("h".into(), 5)]);
        log.collect(&code, &[0, 0, 0, NONE, NONE], &bindings);
        assert!(log.check().is_ok());
        log.collect(&code, &[0, 0, 0, 40, 4 * 4 + 3], &bindings);
        let told = log.check().unwrap_err();
        assert_eq!(
            told.to_string(),
            "error[X013]: assertion failed in kernel `k`: early\n  --> k.cu:9:3: this does not hold\n  = note: in block (1, 1), \
             thread (1, 1, 0)"
        );
        assert!(log.check().is_ok());
    }

    #[test]
    fn programs_are_numbered_by_their_grid() {
        let grid = vec![Dim::from(3), Dim::from(2), Dim::from(7)];
        assert_eq!(instance(&Instances::Programs(grid), 11, &Bindings::new()), "in program (2, 1, 1)");
        assert!(instance(&Instances::Programs(vec![]), MANY, &Bindings::new()).contains("32 bits"));
    }

    #[test]
    fn headers_hold_the_room_for_records() {
        let site = Site::new("".into(), vec![], Some(3), &Loc::unknown());
        let code = code(vec![site], Instances::Programs(vec![]));
        let info = code.debug.as_ref().unwrap();
        assert_eq!(DebugLog::header(info, 64), [0, 12, 0, NONE]);
        assert_eq!(DebugLog::used(info, &[5, 12, 0, NONE]), 9);
        assert_eq!(DebugLog::used(info, &[500, 12, 9, NONE]), 16);
        // Words that are no records, as a broken device might leave them.
        DebugLog::default().collect(&code, &[9, 9, 0], &Bindings::new());
        DebugLog::default().collect(&code, &[9, 9, 0, NONE, 7, 7, 7, 7], &Bindings::new());
    }
}
