//! What is confidential in a reply, as the record has it. The caller gets the reply as it is.

// Every part is destructured without `..`: a new field does not compile until it is masked or left as it is, by name.

use super::{Confidential, Mask};
use airlock_contract::confidential::Covered;
use airlock_types::answer::{Body, Choice, Clarify, Content, Refusal, RetryAdvice};
use airlock_types::finding::Finding;
use airlock_types::record::v3::MASK;
use airlock_types::reply::{Failure, Provenance, Reply};
use airlock_types::violation::Violation;

impl Confidential<'_> {
    /// Masks a reply. Where it `is_blind`, the values of the result are not known, so that no text of the tool is kept.
    pub(super) fn reply(&self, reply: &mut Reply, is_blind: bool, mask: &Mask) {
        let Reply {
            status: _,
            notice,
            code: _,
            tool: _,
            result,
            content,
            error,
            refusal,
            clarify,
            hold,
            findings,
            confidence: _,
            interpretation,
            assumptions,
            uncertainty,
            next_steps,
            provenance,
            usage: _,
            record: _,
            session: _,
        } = reply;
        if let Some(result) = result {
            for tool in &self.routes {
                let form = self.result_form();
                tool.contract.confidential.each_result(result, form, &mut |value| mask.value(value));
            }
            mask.tree(result);
        }
        // Each is masked, whether or not one before it was.
        let mut is_masked = false;
        findings.iter_mut().for_each(|finding| is_masked |= self.finding(finding, mask));
        let is_masked = error.as_mut().is_some_and(|error| self.failure(error, is_blind, mask)) || is_masked;
        let is_masked = is_masked || (is_blind && (refusal.is_some() || clarify.is_some()));
        let text = |text: &mut String| if is_blind { Mask::whole(text) } else { mask.text(text) };
        // Notices and messages quote findings and violations.
        let quoting = |text: &mut String| if is_masked { Mask::whole(text) } else { mask.text(text) };
        notice.iter_mut().for_each(quoting);
        error.iter_mut().for_each(|error| quoting(&mut error.message));
        // Rules of the contract's author: the values that they met are not in a hold with confidential arguments.
        hold.iter_mut().flat_map(|hold| &mut hold.rules).for_each(|rule| mask.text(rule));
        content.iter_mut().for_each(|block| self.content(block, mask));
        refusal.iter_mut().for_each(|refusal| self::refusal(refusal, text));
        if let Some(Clarify { question, options }) = clarify {
            text(question);
            options.iter_mut().for_each(|option| self.choice(option, is_blind, mask));
        }
        // Where the whole result is confidential, so is what the tool says of it.
        let is_whole = self.routes.iter().any(|tool| tool.contract.confidential.is_whole_result());
        let beside = |words: &mut String| if is_whole { Mask::whole(words) } else { text(words) };
        interpretation.iter_mut().chain(assumptions).chain(uncertainty).chain(next_steps).for_each(beside);
        if let Some(Provenance {
            route: _,
            component: _,
            attempts: _,
            fallback_because: _,
            cached: _,
            as_of,
            source,
        }) = provenance
        {
            as_of.iter_mut().chain(source).for_each(beside);
        }
    }

    /// Returns whether anything was masked as a whole.
    fn finding(&self, finding: &mut Finding, mask: &Mask) -> bool {
        let Finding { kind, verdict: _, path, expected, got } = finding;
        let is_covered = self.covers_finding(None, kind, path);
        for text in [expected, got] {
            if is_covered { Mask::whole(text) } else { mask.text(text) }
        }
        is_covered
    }

    /// Returns whether anything was masked as a whole that the message may quote.
    fn failure(&self, failure: &mut Failure, is_blind: bool, mask: &Mask) -> bool {
        let Failure {
            // With the notice.
            message: _,
            retryable: _,
            caller_must_change_args: _,
            ran: _,
            retry_after_ms: _,
            violations,
            example,
            detail,
            decision_id,
        } = failure;
        let mut is_masked = false;
        violations.iter_mut().for_each(|one| is_masked |= self.violation(one));
        if let Some(example) = example.as_mut().filter(|_| self.has_args()) {
            mask.value(example);
        }
        // It is a digest of the arguments, from which they could be guessed.
        if let Some(id) = decision_id.as_mut().filter(|_| self.has_args()) {
            let mut salted = mask.digest(id);
            salted.truncate(id.len());
            *id = salted;
        }
        if let Some(detail) = detail {
            if is_blind { mask.value(detail) } else { mask.tree(detail) }
        }
        is_masked || (is_blind && detail.is_some())
    }

    fn violation(&self, violation: &mut Violation) -> bool {
        let Violation { code: _, path, pointer, keyword: _, expected, got, hint } = violation;
        let of = self.routes.iter().filter(|_| self.has_args());
        let covered = of.map(|tool| {
            let params = &tool.contract.function.ty.params;
            // The caller's spelling is that of the called tool.
            let form = self.routes.first().and_then(|called| called.contract.args_form());
            tool.contract.confidential.covers_violation(params, form, pointer)
        });
        let covered: Vec<Covered> = covered.filter(|covered| *covered != Covered::Nothing).collect();
        if covered.contains(&Covered::Place) {
            [path, pointer].into_iter().for_each(Mask::whole);
        }
        if !covered.is_empty() {
            [expected, got].into_iter().chain(hint).for_each(Mask::whole);
        }
        !covered.is_empty()
    }

    /// Content shows the result in another form.
    fn content(&self, block: &mut Content, mask: &Mask) {
        if self.has_result() {
            *block = Content::Text { text: MASK.to_owned() };
            return;
        }
        match block {
            Content::Text { text } => mask.text(text),
            Content::Image { .. } | Content::Audio { .. } => {}
            Content::ResourceLink { uri, name, description, mime_type: _ } => {
                [uri, name].into_iter().chain(description).for_each(|text| mask.text(text));
            }
            Content::Resource { uri, mime_type: _, body } => {
                mask.text(uri);
                match body {
                    Body::Text(text) => mask.text(text),
                    Body::Blob(_) => {}
                }
            }
        }
    }

    fn choice(&self, choice: &mut Choice, is_blind: bool, mask: &Mask) {
        let Choice { label, means, args } = choice;
        for text in [label, means] {
            if is_blind { Mask::whole(text) } else { mask.text(text) }
        }
        for tool in &self.routes {
            tool.contract.confidential.each_arg(args, &mut |value| mask.value(value));
        }
        if is_blind { mask.value(args) } else { mask.tree(args) }
    }
}

fn refusal(refusal: &mut Refusal, text: impl Fn(&mut String)) {
    let Refusal { code: _, cannot, needed, contact, alternatives, retryable, decision_id } = refusal;
    text(cannot);
    needed.iter_mut().chain(contact).chain(alternatives).for_each(&text);
    text(decision_id);
    match retryable {
        RetryAdvice::Never | RetryAdvice::AfterMs(_) => {}
        RetryAdvice::AfterChange(changes) => changes.iter_mut().for_each(&text),
    }
}
