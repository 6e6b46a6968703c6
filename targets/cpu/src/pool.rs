//! A small pool of threads that run one function together.
//!
//! A step of a language model is hundreds of kernels of some tens of microseconds, so handing out work must cost about
//! a microsecond: idle threads watch for work for a moment before they sleep.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Rounds a thread watches before it sleeps: some tens of microseconds.
const WATCH: usize = 4000;

type Job = *const (dyn Fn(usize) + Sync);

struct Shared {
    /// Counts jobs; a change is the signal to start.
    round: AtomicU64,
    /// The job of the current round.
    job: Mutex<Option<SendJob>>,
    /// Threads that have not finished the current round.
    pending: AtomicUsize,
    sleepers: AtomicUsize,
    wake: Condvar,
    stop: AtomicBool,
    failed: AtomicBool,
}

#[derive(Clone, Copy)]
struct SendJob(Job);
// SAFETY: the function is `Sync`, and `Pool::run` keeps it alive until every thread is done with it.
unsafe impl Send for SendJob {}

/// Threads that wait for work; the calling thread is one of them while it runs.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// A pool of `threads` threads, the caller's included.
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared {
            round: AtomicU64::new(0),
            job: Mutex::new(None),
            pending: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        // A thread that cannot be started is one thread less; the work is shared among those there are.
        let start = |i: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("girih-cpu-{i}")).spawn(move || work(&shared, i)).ok()
        };
        let threads = (1..threads).map_while(start).collect();
        Pool { shared, threads }
    }

    /// Number of threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `f` with 0, 1, ... once on each thread, and waits for all; whether none of them panicked.
    pub fn run(&mut self, f: &(dyn Fn(usize) + Sync)) -> bool {
        let s = &*self.shared;
        // SAFETY: only the lifetime changes; this function returns after the last use.
        let job: Job = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(f) };
        *s.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(SendJob(job));
        s.pending.store(self.threads.len(), Ordering::Relaxed);
        s.round.fetch_add(1, Ordering::SeqCst);
        if s.sleepers.load(Ordering::SeqCst) > 0 {
            drop(s.job.lock());
            s.wake.notify_all();
        }
        let own = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(0)));
        let mut rounds = 0;
        while s.pending.load(Ordering::Acquire) > 0 {
            rounds += 1;
            if rounds < WATCH { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        own.is_ok() && !s.failed.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.round.fetch_add(1, Ordering::SeqCst);
        drop(self.shared.job.lock());
        self.shared.wake.notify_all();
        self.threads.drain(..).for_each(|t| drop(t.join()));
    }
}

fn work(s: &Shared, index: usize) {
    let mut seen = 0;
    loop {
        let mut rounds = 0;
        while s.round.load(Ordering::SeqCst) == seen {
            rounds += 1;
            if rounds < WATCH {
                std::hint::spin_loop();
                continue;
            }
            let mut guard = s.job.lock().unwrap_or_else(PoisonError::into_inner);
            s.sleepers.fetch_add(1, Ordering::SeqCst);
            while s.round.load(Ordering::SeqCst) == seen {
                guard = s.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            s.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
        seen = s.round.load(Ordering::SeqCst);
        if s.stop.load(Ordering::SeqCst) {
            return;
        }
        let job = *s.job.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(SendJob(job)) = job {
            // SAFETY: `run` waits for `pending`, so the function is alive.
            let f = unsafe { &*job };
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(index))).is_err() {
                s.failed.store(true, Ordering::Relaxed);
            }
        }
        s.pending.fetch_sub(1, Ordering::Release);
    }
}
