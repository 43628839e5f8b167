//! Builders for the answers of a tool besides its value: failures, refusals, questions, assessments.
//!
//! Owns conversions into [`Failure`] and the chained setters. Must not know any imported interface.

use crate::types::{AsOf, Assessment, Choice, Clarify, Failure, Refusal, Retry};

/// A failure that may not happen again. The host retries it as its plan allows.
pub fn transient(message: impl ToString) -> Failure {
    Failure::Transient(message.to_string())
}

/// The upstream service asks to come back later: after this many milliseconds, if it said so.
pub fn throttled(after_ms: Option<u64>) -> Failure {
    Failure::Throttled(after_ms)
}

/// The upstream service cannot be reached.
pub fn unavailable(message: impl ToString) -> Failure {
    Failure::Unavailable(message.to_string())
}

/// Makes `?` work in a tool. An error without advice about retries is permanent.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Permanent(error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Clarify> for Failure {
    fn from(question: Clarify) -> Self {
        Self::Clarify(question)
    }
}

impl Refusal {
    /// A refusal with a stable kebab-case code and one sentence about what the tool cannot do. Add at least one
    /// [`need`](Self::need) or a [`contact`](Self::contact).
    pub fn new(code: &str, cannot: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            cannot: cannot.into(),
            needed: Vec::new(),
            contact: None,
            alternatives: Vec::new(),
            retryable: Retry::Never,
            decision_id: None,
        }
    }

    /// Adds something that would make the request possible.
    pub fn need(mut self, what: impl Into<String>) -> Self {
        self.needed.push(what.into());
        self
    }

    /// Sets the person or desk that can help.
    pub fn contact(mut self, who: impl Into<String>) -> Self {
        self.contact = Some(who.into());
        self
    }

    /// Adds something that the caller could do instead.
    pub fn alternative(mut self, what: impl Into<String>) -> Self {
        self.alternatives.push(what.into());
        self
    }

    /// States that a retry helps after this many milliseconds.
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retryable = Retry::After(ms);
        self
    }

    /// States that a retry helps once this has changed. May be called several times.
    pub fn retry_after_change(mut self, what: impl Into<String>) -> Self {
        match &mut self.retryable {
            Retry::AfterChange(changes) => changes.push(what.into()),
            Retry::Never | Retry::After(_) => self.retryable = Retry::AfterChange(vec![what.into()]),
        }
        self
    }
}

impl Clarify {
    /// A question to the caller, instead of a guess.
    pub fn new(question: impl Into<String>) -> Self {
        Self { question: question.into(), options: Vec::new() }
    }

    /// Adds a possible reading: its label, its meaning, and the arguments of a call with it as a JSON object.
    pub fn option(mut self, label: &str, means: impl Into<String>, args: impl Into<String>) -> Self {
        self.options.push(Choice { label: label.to_owned(), means: means.into(), args: args.into() });
        self
    }
}

impl Assessment {
    /// An assessment that states how the request was understood.
    pub fn new(interpretation: impl Into<String>) -> Self {
        Self {
            interpretation: Some(interpretation.into()),
            confidence: None,
            uncertainty: None,
            assumptions: Vec::new(),
            next_steps: Vec::new(),
        }
    }

    /// Sets how far the answer can be trusted, from 0 to 1.
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// Sets what the answer does not account for.
    pub fn uncertainty(mut self, uncertainty: impl Into<String>) -> Self {
        self.uncertainty = Some(uncertainty.into());
        self
    }

    /// Adds an assumption behind the answer.
    pub fn assume(mut self, assumption: impl Into<String>) -> Self {
        self.assumptions.push(assumption.into());
        self
    }

    /// Adds a sensible next step.
    pub fn next_step(mut self, step: impl Into<String>) -> Self {
        self.next_steps.push(step.into());
        self
    }
}

impl AsOf {
    /// The time that the data describes, as an RFC 3339 date or date and time.
    pub fn new(time: impl Into<String>) -> Self {
        Self { time: time.into(), source: None }
    }

    /// Sets the source of the data.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }
}
