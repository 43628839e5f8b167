//! The permit: nothing runs without one.
//!
//! Owns the decision whether a tool may run with what it was granted. The sandbox takes nothing but a
//! [`Permit`], and only [`authorize`] makes one.

use airlock_types::grant::{Effective, Missing};
use airlock_types::limit::Limits;

/// A yes: what one tool may reach and use in this call.
#[derive(Clone, Debug)]
pub struct Permit {
    effective: Effective,
    limits: Limits,
}

/// A no, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tool asks for capabilities that it was not granted")]
pub struct Denied {
    /// What is missing, and how the operator would grant it.
    pub missing: Vec<Missing>,
}

impl Permit {
    /// What the tool may reach.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// What one attempt may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Decides whether a tool may run. What its author asks for is needed, unless the author says that the tool can
/// do without: one that lacks what it needs would fail half-way, in words of its own.
///
/// # Errors
/// When something that it needs was not granted.
pub fn authorize(effective: &Effective, missing: &[Missing], limits: &Limits) -> Result<Permit, Denied> {
    let needed: Vec<Missing> = missing.iter().filter(|missing| !missing.optional).cloned().collect();
    if needed.is_empty() {
        Ok(Permit { effective: effective.clone(), limits: limits.clone() })
    } else {
        Err(Denied { missing: needed })
    }
}
