//! Plans kept on disk, so that a program compiles once.
//!
//! A file is named by the hash of everything its plan was made from: the graph's text, the target, the options and the build of the
//! compiler. Whatever cannot be read as exactly that plan is compiled again; it is never guessed at.

use crate::{Options, Target, compile};
use girih_base::{Diag, Result};
use girih_graph::Graph;
use girih_plan::{Plan, file};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

/// Most plans a folder holds; the oldest go first. Every build of the compiler leaves its own.
const MOST_PLANS: usize = 128;

/// Plan files larger than this are not read.
const LARGEST: u64 = 1 << 30;

/// A folder of plans.
#[derive(Clone, Debug)]
pub struct PlanCache {
    folder: PathBuf,
}

/// A plan and where it came from.
#[derive(Debug)]
pub struct Cached {
    /// The plan.
    pub plan: Plan,
    /// Whether it was on disk.
    pub hit: bool,
    /// What the user should know: a file that was refused, a folder that cannot be written.
    pub notes: Vec<String>,
}

impl PlanCache {
    /// Plans in this folder, which is made when the first plan is kept.
    pub fn new(folder: impl Into<PathBuf>) -> PlanCache {
        PlanCache { folder: folder.into() }
    }

    /// Plans where this platform keeps caches: `$GIRIH_CACHE` if set, else `girih` in the user's cache folder. Nothing when there
    /// is no such folder.
    pub fn standard() -> Option<PlanCache> {
        folder().map(|f| PlanCache::new(f.join("plans")))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plan of a graph: from disk, or compiled and then kept.
    ///
    /// # Errors
    /// Those of [`compile`]. What is wrong with the cache itself is only noted.
    pub fn compile(&self, graph: &Graph, target: &dyn Target, options: &Options) -> Result<Cached> {
        let key = key(graph, target, options);
        let path = self.folder.join(format!("{key:032x}.plan"));
        let mut notes = Vec::new();
        match read(&path, &target.identity(), key) {
            Ok(Some(plan)) => return Ok(Cached { plan, hit: true, notes }),
            Ok(None) => {}
            Err(why) => notes.push(format!("compiled again, since `{}` was refused: {}", path.display(), why.message)),
        }
        let plan = compile(graph, target, options)?.plan;
        match file::write(&plan, key).and_then(|bytes| keep(&path, &bytes)) {
            Ok(()) => self.prune(),
            Err(why) => notes.push(why.message),
        }
        Ok(Cached { plan, hit: false, notes })
    }
}

impl PlanCache {
    /// Removes the oldest plans beyond [`MOST_PLANS`]. What cannot be removed stays.
    fn prune(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let plan = |e: &std::fs::DirEntry| e.path().extension().is_some_and(|x| x == "plan");
        let aged = |e: std::fs::DirEntry| Some((e.metadata().ok()?.modified().ok()?, e.path()));
        let mut plans: Vec<_> = entries.filter(plan).filter_map(aged).collect();
        plans.sort();
        let extra = plans.len().saturating_sub(MOST_PLANS);
        for (_, path) in plans.drain(..extra) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// `$GIRIH_CACHE`, or `girih` in the user's cache folder.
pub fn folder() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(own) = var("GIRIH_CACHE") {
        return Some(own);
    }
    let base = if cfg!(target_os = "macos") {
        var("HOME").map(|h| h.join("Library/Caches"))
    } else if cfg!(windows) {
        var("LOCALAPPDATA")
    } else {
        var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|h| h.join(".cache")))
    };
    base.map(|b| b.join("girih"))
}

/// The hash of everything that decides what the plan will be.
pub fn key(graph: &Graph, target: &dyn Target, options: &Options) -> u128 {
    let parts = [graph.to_string(), target.identity(), format!("{:?} {options:?}", target.desc()), build()];
    file::hash(&parts.each_ref().map(|p| p.as_bytes()))
}

/// The build of the compiler: the version alone would keep the plans of an older working tree alive.
fn build() -> String {
    let program = std::env::current_exe().and_then(std::fs::metadata).ok();
    let made = program.as_ref().and_then(|m| m.modified().ok()).and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    format!("{} {} {:?} {:?}", env!("CARGO_PKG_VERSION"), file::FORMAT, program.map(|m| m.len()), made)
}

fn read(path: &Path, target: &str, key: u128) -> Result<Option<Plan>> {
    let fail = |e: std::io::Error| Diag::error("P006", format!("it cannot be read: {e}"));
    let size = match std::fs::metadata(path) {
        Ok(m) => m.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    if size > LARGEST {
        return Err(Diag::error("P006", format!("it has {size} bytes")));
    }
    file::read(&std::fs::read(path).map_err(fail)?, target, key).map(Some)
}

/// Writes a file whole or not at all: under another name first, then renamed.
pub fn keep(path: &Path, bytes: &[u8]) -> Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let fail = |e: std::io::Error| {
        Diag::error("P006", format!("`{}` cannot be written: {e}", path.display()))
            .help("free some space, or set GIRIH_CACHE to a folder that can be written")
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fail)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let part = folder.join(format!(".{}-{count}.part", std::process::id()));
    let write = || {
        let mut f = std::fs::File::create(&part)?;
        f.write_all(bytes)?;
        f.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().map_err(|e| {
        // Nothing half-written stays; that the removal may fail too changes nothing.
        let _ = std::fs::remove_file(&part);
        fail(e)
    })
}
