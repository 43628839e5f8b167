//! What one tool may reach and use, as it was agreed when its registry was loaded.
//!
//! Made once for a tool, so that the decision about a call copies nothing.

use std::sync::Arc;

use airlock_types::decision::Reason;
use airlock_types::grant::{Effective, Missing};
use airlock_types::limit::Limits;

/// What one tool may reach and use.
#[derive(Debug)]
pub struct Allowance {
    effective: Effective,
    missing: Vec<Missing>,
    limits: Limits,
    /// Why the tool may run with this, or may not.
    pub(super) reasons: Arc<[Reason]>,
}

impl Allowance {
    /// What was granted of the requests, what was not, and the limits of one attempt.
    pub fn new(effective: Effective, missing: Vec<Missing>, limits: Limits) -> Allowance {
        let granted =
            effective.granted().map(|capability| Reason::Granted { capability: capability.to_owned() });
        let reasons = granted.chain(missing.iter().map(missed)).collect();
        Allowance { effective, missing, limits, reasons }
    }

    /// What the tool may reach.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// What the tool asks for and was not granted.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// What one attempt may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

fn missed(missing: &Missing) -> Reason {
    let Missing { capability, asked, reason: _, grant, optional } = missing.clone();
    if optional {
        Reason::DoesWithout { capability, asked }
    } else {
        Reason::Missing { capability, asked, grant }
    }
}
