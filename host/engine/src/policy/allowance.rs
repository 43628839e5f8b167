//! The allowance of a tool: what it may reach and use, as agreed when its registry was loaded.
//!
//! It is made once for each tool and shared, so that a decision copies nothing.

use std::sync::Arc;

use airlock_types::decision::Reason;
use airlock_types::digest::sha256;
use airlock_types::grant::{Effective, Missing};
use airlock_types::limit::Limits;

/// The grants and limits of one tool.
#[derive(Debug)]
pub struct Allowance {
    effective: Effective,
    missing: Vec<Missing>,
    limits: Limits,
    /// One reason for each requested capability. Shared by every decision about the tool.
    pub(super) reasons: Arc<[Reason]>,
    /// What the same caller has without the grants of `report`, for an allowance that has them.
    usual: Option<Arc<Allowance>>,
    /// SHA-256 of what is allowed and missing, hex.
    digest: Arc<str>,
    /// Which of the linked forms of the component runs under it: functions that are not granted are replaced there.
    pub(super) form: usize,
}

impl Allowance {
    /// Makes the allowance from the granted requests, the requests that were not granted, and the limits of one
    /// attempt.
    pub fn new(effective: Effective, missing: Vec<Missing>, limits: Limits) -> Allowance {
        let granted =
            effective.names().map(|capability| Reason::Granted { capability: capability.to_owned() });
        // Made once here, so that a decision shares the list instead of building it.
        let reasons = granted.chain(missing.iter().map(missed)).collect();
        let policy = serde_json::json!({ "granted": effective, "missing": missing }).to_string();
        let digest = sha256(policy.as_bytes()).into();
        Allowance { effective, missing, limits, reasons, usual: None, digest, form: 0 }
    }

    /// The same, as one that has grants of `report` beyond the usual one.
    pub(super) fn beyond(self, usual: Option<Arc<Allowance>>) -> Allowance {
        Allowance { usual, ..self }
    }

    /// The same, to be run in this form of the component.
    pub(super) fn in_form(self, form: usize) -> Allowance {
        Allowance { form, ..self }
    }

    /// The capabilities that the tool may use.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// What the same caller has without the grants of `report`; `None` for an allowance without them.
    pub fn usual(&self) -> Option<&Arc<Allowance>> {
        self.usual.as_ref()
    }

    /// The requested capabilities that were not granted.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// SHA-256 of what is allowed and missing, hex.
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// The limits of one attempt.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// The reason that a request was not granted.
pub(super) fn missed(missing: &Missing) -> Reason {
    let Missing { capability, asked, reason: _, grant, optional } = missing.clone();
    if optional {
        Reason::DoesWithout { capability, asked }
    } else {
        Reason::Missing { capability, asked, grant }
    }
}
