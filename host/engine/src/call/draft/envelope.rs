//! From what is known of a call to the envelope that it is answered with.

use super::Draft;
use super::usage::LastAttempt;
use crate::call::attempt::Accepted;
use crate::call::report;
use crate::call::report::Cause;
use crate::call::stage::End;
use airlock_types::code::{Code, Ran};
use airlock_types::reply::{Confidence, ErrorReport, Provenance, Reply};
use airlock_types::shorten::clean_lines;

impl Draft<'_> {
    pub(super) fn reply(&mut self, end: End) -> Reply {
        let End { code, report } = end;
        self.usage.wall_us =
            u64::try_from(self.host.environment().monotonic().saturating_sub(self.started).as_micros())
                .unwrap_or(u64::MAX);
        let mut reply = Reply {
            status: code.facts().status,
            code,
            tool: self.record.tool.clone(),
            result: None,
            content: Vec::new(),
            error: report.map(|report| fit_to_be_shown(*report)),
            refusal: None,
            clarify: None,
            confidence: None,
            interpretation: None,
            assumptions: Vec::new(),
            uncertainty: None,
            next_steps: Vec::new(),
            findings: Vec::new(),
            provenance: None,
            usage: self.usage.clone(),
            record: self.record.id.clone(),
            session: self.handle.clone(),
        };
        let Some(LastAttempt { route, component, judged }) = self.last.take() else { return reply };
        match judged.accepted {
            Some(accepted) if code.has_result() => {
                self.bytes += accepted.bytes;
                let provenance = Provenance {
                    route,
                    component,
                    attempts: self.usage.attempts,
                    fallback_because: self.fallback_because,
                    as_of: None,
                    source: None,
                };
                fill(&mut reply, accepted, provenance);
            }
            Some(_) | None => {
                reply.refusal = judged.refusal;
                reply.clarify = judged.clarify;
                reply.findings = judged.cause.findings;
            }
        }
        reply
    }

    pub(super) fn unrecorded(&self, reply: Reply) -> Reply {
        let mut report = report::report(&reply.tool, Code::HostJournal, &Cause::default());
        if reply.usage.attempts > 0 {
            report.ran = Ran::MayHave;
            report.message = format!(
                "`{}` ran, but the host could not write its record, so that there is no answer to rely on.\n\
                 Do not repeat a call with effects before you know whether it happened.",
                reply.tool
            );
        }
        Reply {
            status: Code::HostJournal.facts().status,
            code: Code::HostJournal,
            result: None,
            content: Vec::new(),
            refusal: None,
            clarify: None,
            error: Some(report),
            ..reply
        }
    }
}

/// No text of an error hides anything, whoever wrote which part of it.
fn fit_to_be_shown(mut report: ErrorReport) -> ErrorReport {
    report.message = clean_lines(&report.message);
    report
}

/// Puts an accepted value and what stands beside it into the reply.
fn fill(reply: &mut Reply, accepted: Accepted, mut provenance: Provenance) {
    let answered = accepted.answered;
    if let Some(as_of) = answered.as_of {
        provenance.as_of = Some(as_of.time);
        provenance.source = as_of.source;
    }
    let assessment = answered.assessment;
    reply.result = accepted.result;
    reply.content = answered.content;
    reply.findings = accepted.findings;
    reply.confidence = assessment.confidence.map(|value| Confidence { value });
    reply.interpretation = assessment.interpretation;
    reply.assumptions = assessment.assumptions;
    reply.uncertainty = assessment.uncertainty;
    reply.next_steps = assessment.next_steps;
    reply.provenance = Some(provenance);
}
