//! Streams and events. All streams are one queue, in the order of the calls; an event is the time when all before it was done.

use crate::code::{Code, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The handles given out.
#[derive(Default)]
pub struct Handles {
    next: u64,
    streams: BTreeSet<u64>,
    events: BTreeMap<u64, Option<Instant>>,
}

impl Handles {
    fn fresh(&mut self) -> u64 {
        self.next += 1;
        // Small numbers stand for the default streams.
        self.next + 0xff
    }

    /// A stream.
    pub fn stream(&mut self) -> u64 {
        let handle = self.fresh();
        self.streams.insert(handle);
        handle
    }

    /// Gives a stream back.
    ///
    /// # Errors
    /// `cudaErrorInvalidResourceHandle`.
    pub fn drop_stream(&mut self, handle: u64) -> Outcome<()> {
        self.streams.remove(&handle).then_some(()).ok_or(Code::INVALID_HANDLE.into())
    }

    /// Whether this is a stream; the default ones are.
    ///
    /// # Errors
    /// `cudaErrorInvalidResourceHandle`.
    pub fn check_stream(&self, handle: u64) -> Outcome<()> {
        let known = handle <= 2 || self.streams.contains(&handle);
        known.then_some(()).ok_or(Code::INVALID_HANDLE.into())
    }

    /// An event.
    pub fn event(&mut self) -> u64 {
        let handle = self.fresh();
        self.events.insert(handle, None);
        handle
    }

    /// Gives an event back.
    ///
    /// # Errors
    /// `cudaErrorInvalidResourceHandle`.
    pub fn drop_event(&mut self, handle: u64) -> Outcome<()> {
        self.events.remove(&handle).map(|_| ()).ok_or(Code::INVALID_HANDLE.into())
    }

    /// Whether this is an event.
    ///
    /// # Errors
    /// `cudaErrorInvalidResourceHandle`.
    pub fn check_event(&self, handle: u64) -> Outcome<()> {
        self.events.get(&handle).map(|_| ()).ok_or(Code::INVALID_HANDLE.into())
    }

    /// The event happens now.
    ///
    /// # Errors
    /// `cudaErrorInvalidResourceHandle`.
    pub fn record(&mut self, handle: u64) -> Outcome<()> {
        *self.events.get_mut(&handle).ok_or(Code::INVALID_HANDLE)? = Some(Instant::now());
        Ok(())
    }

    /// Milliseconds between two events.
    ///
    /// # Errors
    /// `cudaErrorInvalidResourceHandle`, also for an event that was never recorded.
    pub fn elapsed(&self, from: u64, to: u64) -> Outcome<f32> {
        let time = |h: u64| self.events.get(&h).copied().flatten().ok_or(Code::INVALID_HANDLE);
        let (from, to) = (time(from)?, time(to)?);
        let gone = to.saturating_duration_since(from).as_secs_f64() - from.saturating_duration_since(to).as_secs_f64();
        Ok((gone * 1e3) as f32)
    }
}
