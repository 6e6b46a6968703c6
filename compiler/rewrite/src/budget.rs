//! What the optimiser may do: counted limits, classes of rules, and the device it optimises for.

use crate::rules::Class;

/// Limits and permissions of one optimisation. Every limit is a count, so results do not depend on the host's speed.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Whether to optimise at all; when not, the graph is returned as it is.
    pub enabled: bool,
    /// Rounds of rule application in each phase of each body.
    pub iterations: usize,
    /// E-nodes in one body's e-graph; no rule is applied beyond.
    pub nodes: usize,
    /// Matches collected in one round; the rest wait for the next.
    pub matches: usize,
    /// Classes that patterns are compared with in one round; what is left waits for the next.
    pub steps: usize,
    /// Which classes of rules may fire.
    pub classes: Classes,
    /// Whether weights may be joined into larger ones for products that share an operand. A driver that turns this on
    /// prepares weights once, with [`crate::split_weights`].
    pub join_weights: bool,
    /// The device whose time is minimised.
    pub device: Device,
}

/// The classes of rules that may fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Rules that keep every result bit for bit (on floats: up to the sign of zero and the choice of NaN).
    pub exact: bool,
    /// Rules that round in another order.
    pub reassoc: bool,
    /// Rules that are equal only approximately; never on unless asked for.
    pub approx: bool,
}

/// A roofline: how fast the device computes, moves bytes, and starts kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device {
    /// Arithmetic operations per second.
    pub flops: f64,
    /// Bytes per second between memory and the processor.
    pub bytes: f64,
    /// Seconds one dispatch costs before it does anything.
    pub dispatch: f64,
}

impl Classes {
    /// Whether a rule of this class may fire.
    pub fn allow(self, class: Class) -> bool {
        match class {
            Class::Exact => self.exact,
            Class::Reassoc => self.reassoc,
            Class::Approx => self.approx,
        }
    }
}

impl Default for Classes {
    fn default() -> Classes {
        Classes { exact: true, reassoc: true, approx: false }
    }
}

impl Default for Device {
    /// A modest GPU: 2 TFLOP/s, 100 GB/s, 5 microseconds a dispatch.
    fn default() -> Device {
        Device { flops: 2e12, bytes: 1e11, dispatch: 5e-6 }
    }
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            enabled: true,
            iterations: 12,
            nodes: 50_000,
            matches: 20_000,
            steps: 1_000_000,
            classes: Classes::default(),
            join_weights: true,
            device: Device::default(),
        }
    }
}

impl Budget {
    /// A budget under which `optimize` returns the graph as it is.
    pub fn off() -> Budget {
        Budget { enabled: false, ..Budget::default() }
    }
}
