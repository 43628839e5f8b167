//! The single vocabulary of outcomes.
//!
//! Owns the codes and the only table of what each means in every output. Must not know how a stage determines its code.
//! To add one: a variant, then follow the compiler to its row in [`Code::facts`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a call ended. Exactly one per call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each code is explained by its row in `facts`")]
#[non_exhaustive]
pub enum Code {
    // Serde's attributes take literals only, so each name is written here and in `facts`. A test compares the two.
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "ok.degraded")]
    Degraded,
    #[serde(rename = "args.size")]
    ArgsSize,
    #[serde(rename = "args.syntax")]
    ArgsSyntax,
    #[serde(rename = "args.type")]
    ArgsType,
    #[serde(rename = "args.missing")]
    ArgsMissing,
    #[serde(rename = "args.unknown")]
    ArgsUnknown,
    #[serde(rename = "args.constraint")]
    ArgsConstraint,
    #[serde(rename = "args.precondition")]
    ArgsPrecondition,
    #[serde(rename = "args.idempotency")]
    ArgsIdempotency,
    #[serde(rename = "clarify")]
    Clarify,
    #[serde(rename = "refused")]
    Refused,
    #[serde(rename = "policy.denied")]
    PolicyDenied,
    #[serde(rename = "policy.held")]
    PolicyHeld,
    #[serde(rename = "policy.duplicate")]
    PolicyDuplicate,
    #[serde(rename = "policy.conflict")]
    PolicyConflict,
    #[serde(rename = "tool.error")]
    ToolError,
    #[serde(rename = "tool.throttled")]
    ToolThrottled,
    #[serde(rename = "tool.unavailable")]
    ToolUnavailable,
    #[serde(rename = "trap")]
    Trap,
    #[serde(rename = "limit.fuel")]
    LimitFuel,
    #[serde(rename = "limit.memory")]
    LimitMemory,
    #[serde(rename = "limit.table")]
    LimitTable,
    #[serde(rename = "limit.output")]
    LimitOutput,
    #[serde(rename = "limit.stack")]
    LimitStack,
    #[serde(rename = "limit.resources")]
    LimitResources,
    #[serde(rename = "limit.deadline")]
    LimitDeadline,
    #[serde(rename = "outcome-unknown")]
    OutcomeUnknown,
    #[serde(rename = "check.implausible")]
    Implausible,
    #[serde(rename = "admission.overloaded")]
    Overloaded,
    #[serde(rename = "admission.rate")]
    RateLimited,
    #[serde(rename = "cancelled")]
    Cancelled,
    #[serde(rename = "resolve.unknown")]
    Unknown,
    #[serde(rename = "host.internal")]
    HostInternal,
    #[serde(rename = "host.journal")]
    HostJournal,
}

/// The coarse form of a code that a reply shows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// A full answer.
    Ok,
    /// A result with a reservation: it comes from a fallback, or is suspect.
    Degraded,
    /// The arguments were rejected; the tool did not run.
    Invalid,
    /// The tool asks which reading of the request is meant.
    Clarify,
    /// The tool or the host says that it cannot.
    Refused,
    /// Policy does not allow it.
    Denied,
    /// A human must approve first.
    Held,
    /// There is no result.
    Failed,
}

impl Status {
    /// As a reply has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Degraded => "degraded",
            Status::Invalid => "invalid",
            Status::Clarify => "clarify",
            Status::Refused => "refused",
            Status::Denied => "denied",
            Status::Held => "held",
            Status::Failed => "failed",
        }
    }
}

/// Whether the guest ran. Decisive for calls with effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Ran {
    No,
    Ran,
    MayHave,
}

/// How a tool's breaker counts a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BreakerSample {
    Success,
    Failure,
    /// A failure of the tool's upstream, which affects every caller.
    UpstreamFailure,
    /// No information about the tool's health.
    Ignored,
}

impl BreakerSample {
    /// Whether the sample counts against the tool.
    pub const fn is_failure(self) -> bool {
        matches!(self, BreakerSample::Failure | BreakerSample::UpstreamFailure)
    }
}

/// When a plan may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never: the same call would fail in the same way.
    Never,
    /// When the tool's effect class and the attempt's effects allow it.
    ByEffects,
    /// As `ByEffects`, but never for a pure tool without imports: the same arguments would end the same way.
    UnlessClosed,
    /// When the contract names the error transient.
    IfTransient,
    /// After the hint of the upstream, effects allowing.
    AfterHint,
    /// As `AfterHint`, with the longer waits and the lower cost of a call that came too early.
    Throttled,
    /// When the retry policy declares that an implausible answer is worth another attempt.
    IfDeclared,
    /// After the time that the refusal names, if the plan would wait that long. Never if it names none.
    AsRefused,
    /// After the first attempt on a route only.
    Once,
}

/// Whether a property holds for a code, where the code alone may not decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// For every call that ends so.
    Always,
    /// For no call that ends so.
    Never,
    /// For calls whose error the contract names transient.
    IfTransient,
}

impl Holds {
    /// Whether it holds for a call whose error is, or is not, named transient.
    pub const fn given(self, transient: bool) -> bool {
        match self {
            Holds::Always => true,
            Holds::Never => false,
            Holds::IfTransient => transient,
        }
    }
}

/// A row of the table: what a code means at every door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The code as it is written everywhere.
    pub code: &'static str,
    /// The reply's status.
    pub status: Status,
    /// Whether the guest ran.
    pub ran: Ran,
    /// How the breaker counts it.
    pub breaker: BreakerSample,
    /// When a plan may try again.
    pub retry: Retry,
    /// Whether a fallback may stand in. A tool that cannot answer is replaced; a refusal, a
    /// question or an error of the tool's own is an answer and is delivered.
    pub falls_back: Holds,
    /// Whether an agent that sends the same call again later may succeed.
    pub retryable: Holds,
    /// HTTP status.
    pub http: u16,
    /// Exit code of the CLI.
    pub exit: u8,
}

impl Code {
    /// Every code, for tables and tests.
    pub const ALL: [Code; 35] = [
        // Kept by hand: the compiler does not notice a variant that is missing here.
        Code::Ok,
        Code::Degraded,
        Code::ArgsSize,
        Code::ArgsSyntax,
        Code::ArgsType,
        Code::ArgsMissing,
        Code::ArgsUnknown,
        Code::ArgsConstraint,
        Code::ArgsPrecondition,
        Code::ArgsIdempotency,
        Code::Clarify,
        Code::Refused,
        Code::PolicyDenied,
        Code::PolicyHeld,
        Code::PolicyDuplicate,
        Code::PolicyConflict,
        Code::ToolError,
        Code::ToolThrottled,
        Code::ToolUnavailable,
        Code::Trap,
        Code::LimitFuel,
        Code::LimitMemory,
        Code::LimitTable,
        Code::LimitOutput,
        Code::LimitStack,
        Code::LimitResources,
        Code::LimitDeadline,
        Code::OutcomeUnknown,
        Code::Implausible,
        Code::Overloaded,
        Code::RateLimited,
        Code::Cancelled,
        Code::Unknown,
        Code::HostInternal,
        Code::HostJournal,
    ];

    /// The row of this code: the only table of what a code means.
    #[rustfmt::skip]
    pub const fn facts(self) -> Facts {
        use BreakerSample::{Failure, Ignored, Success, UpstreamFailure as Upstream};
        use Retry::{AfterHint, AsRefused, ByEffects, IfDeclared, IfTransient, Never, Once, Throttled, UnlessClosed};
        const NOT: Holds = Holds::Never;
        const YES: Holds = Holds::Always;
        const TRANSIENT: Holds = Holds::IfTransient;
        const NO: Ran = Ran::No;
        const RAN: Ran = Ran::Ran;
        const MAY: Ran = Ran::MayHave;
        match self {
            // Columns: code, status, ran, breaker, retry, falls back, retryable, HTTP, exit.
            Code::Ok               => row("ok",                   Status::Ok,       RAN, Success,  Never,        NOT,       NOT,       200, 0),
            Code::Degraded         => row("ok.degraded",          Status::Degraded, RAN, Success,  Never,        NOT,       NOT,       200, 0),
            // Rejected arguments must change first, so neither a retry nor a fallback helps.
            Code::ArgsSize         => row("args.size",            Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            Code::ArgsSyntax       => row("args.syntax",          Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            Code::ArgsType         => row("args.type",            Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            Code::ArgsMissing      => row("args.missing",         Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            Code::ArgsUnknown      => row("args.unknown",         Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            Code::ArgsConstraint   => row("args.constraint",      Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            Code::ArgsPrecondition => row("args.precondition",    Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            Code::ArgsIdempotency  => row("args.idempotency",     Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       422, 10),
            // A question is the answer of a tool that works, so the breaker counts a success.
            Code::Clarify          => row("clarify",              Status::Clarify,  RAN, Success,  Never,        NOT,       NOT,       409, 20),
            Code::Refused          => row("refused",              Status::Refused,  RAN, Ignored,  AsRefused,    NOT,       NOT,       422, 20),
            // A decision is final for this call: no fallback stands in for the tool. A test checks all such rows.
            Code::PolicyDenied     => row("policy.denied",        Status::Denied,   NO,  Ignored,  Never,        NOT,       NOT,       403, 20),
            Code::PolicyHeld       => row("policy.held",          Status::Held,     NO,  Ignored,  Never,        NOT,       NOT,       202, 20),
            Code::PolicyDuplicate  => row("policy.duplicate",     Status::Held,     NO,  Ignored,  Never,        NOT,       NOT,       202, 20),
            Code::PolicyConflict   => row("policy.conflict",      Status::Denied,   NO,  Ignored,  Never,        NOT,       YES,       409, 20),
            // A tool's own error, such as "not found", says nothing about its health. A breaker that counted it would
            // take a healthy tool away.
            Code::ToolError        => row("tool.error",           Status::Failed,   RAN, Ignored,  IfTransient,  TRANSIENT, TRANSIENT, 502, 30),
            Code::ToolThrottled    => row("tool.throttled",       Status::Failed,   RAN, Ignored,  Throttled,    YES,       YES,       503, 30),
            Code::ToolUnavailable  => row("tool.unavailable",     Status::Failed,   RAN, Upstream, AfterHint,    YES,       YES,       503, 30),
            Code::Trap             => row("trap",                 Status::Failed,   RAN, Failure,  UnlessClosed, YES,       NOT,       502, 30),
            // These limits end the same inputs in the same way, so a retry is useless. A fallback is another
            // component. The deadline depends on time as well, so it may be tried again.
            Code::LimitFuel        => row("limit.fuel",           Status::Failed,   RAN, Failure,  Never,        YES,       NOT,       502, 30),
            Code::LimitMemory      => row("limit.memory",         Status::Failed,   RAN, Failure,  Never,        YES,       NOT,       502, 30),
            Code::LimitTable       => row("limit.table",          Status::Failed,   RAN, Failure,  Never,        YES,       NOT,       502, 30),
            Code::LimitOutput      => row("limit.output",         Status::Failed,   RAN, Failure,  Never,        YES,       NOT,       502, 30),
            Code::LimitStack       => row("limit.stack",          Status::Failed,   RAN, Failure,  Never,        YES,       NOT,       502, 30),
            Code::LimitResources   => row("limit.resources",      Status::Failed,   RAN, Failure,  Never,        YES,       NOT,       502, 30),
            Code::LimitDeadline    => row("limit.deadline",       Status::Failed,   RAN, Failure,  ByEffects,    YES,       YES,       504, 30),
            // An effect was dispatched and not settled. A retry or a fallback could apply it a second time.
            Code::OutcomeUnknown   => row("outcome-unknown",      Status::Failed,   MAY, Failure,  Never,        NOT,       NOT,       502, 30),
            Code::Implausible      => row("check.implausible",    Status::Failed,   RAN, Failure,  IfDeclared,   YES,       NOT,       502, 40),
            // A fallback has slots of its own. A spent budget is the caller's, whichever tool runs.
            Code::Overloaded       => row("admission.overloaded", Status::Failed,   NO,  Ignored,  Never,        YES,       YES,       429, 50),
            Code::RateLimited      => row("admission.rate",       Status::Failed,   NO,  Ignored,  Never,        NOT,       YES,       429, 50),
            // 499 is nginx's status for a client that closed its request; HTTP itself has none.
            Code::Cancelled        => row("cancelled",            Status::Failed,   MAY, Ignored,  Never,        NOT,       NOT,       499, 60),
            Code::Unknown          => row("resolve.unknown",      Status::Invalid,  NO,  Ignored,  Never,        NOT,       NOT,       404, 10),
            // A failure of the host is no sample of the tool's health.
            Code::HostInternal     => row("host.internal",        Status::Failed,   MAY, Ignored,  Once,         YES,       YES,       500, 70),
            Code::HostJournal      => row("host.journal",         Status::Failed,   NO,  Ignored,  Once,         NOT,       YES,       500, 70),
        }
    }

    /// The code as it is written everywhere: `limit.fuel`.
    pub const fn as_str(self) -> &'static str {
        self.facts().code
    }

    /// Whether the reply carries a result.
    pub const fn has_result(self) -> bool {
        matches!(self, Code::Ok | Code::Degraded)
    }
}

// Positional, so that each row of the table fits one line and columns can be compared by eye.
#[expect(clippy::too_many_arguments, reason = "one argument for each column of the table")]
const fn row(
    code: &'static str,
    status: Status,
    ran: Ran,
    breaker: BreakerSample,
    retry: Retry,
    falls_back: Holds,
    retryable: Holds,
    http: u16,
    exit: u8,
) -> Facts {
    Facts { code, status, ran, breaker, retry, falls_back, retryable, http, exit }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_serializes_as_its_row_says() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), serde_json::json!(code.as_str()));
            let status = code.facts().status;
            assert_eq!(serde_json::to_value(status).unwrap(), serde_json::json!(status.as_str()));
        }
    }

    #[test]
    fn what_an_agent_may_send_again_is_never_an_answer_of_the_inner_door_or_of_policy() {
        for code in Code::ALL {
            let facts = code.facts();
            let settled =
                matches!(facts.status, Status::Invalid | Status::Denied | Status::Held | Status::Clarify);
            let repeats = facts.retryable.given(true) || facts.falls_back.given(true);
            // The call with the same key comes to an end, and then the key has its answer.
            let comes_later = code == Code::PolicyConflict;
            assert!(!(settled && repeats && !comes_later), "{code}");
            assert!(!(code.has_result() && repeats), "{code}");
        }
    }

    #[test]
    fn an_error_of_the_tools_own_is_repeated_and_replaced_only_where_it_is_transient() {
        let facts = Code::ToolError.facts();
        for transient in [true, false] {
            assert_eq!(facts.retryable.given(transient), transient);
            assert_eq!(facts.falls_back.given(transient), transient);
        }
    }
}
