//! Takes what persons decide about calls that wait, and gives their ends to whoever made them.
//!
//! Owns the order: a decision is on disk before its call runs, and the call runs once. Must not know how a person or a client
//! is reached, nor what a decision means for a call.

mod finish;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Host;
use crate::call::hold::{End, edited, end_of, fetched, settled, unkept};
use crate::generation::{Generation, Unusable};
use airlock_journal::holds::{Found, Kept};
use airlock_types::caller::Caller;
use airlock_types::environment::{ms, within};
use airlock_types::hold::{
    Approver, HOLD_ID_CHARS, HOLD_PREFIX_CHARS_MIN, Hold, HoldDecision, NOTE_CHARS_MAX, Next, NotDecided,
    Standing,
};
use airlock_types::reply::{Failure, Reply};
use airlock_types::text::clean;
use finish::finish;

/// Between two looks at a hold that another process may end.
const LOOK: Duration = Duration::from_millis(250);

/// Most holds that are listed at once.
const LISTED_MAX: usize = 1_000;

/// Why a hold was not told, or not decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// There is no hold of this id, or it is not one that this caller may ask for: both get the same error.
    #[error("no hold has this id; `airlock holds list` and `GET /v1/holds` say which there are")]
    Unknown,
    /// Several ids begin so.
    #[error("several holds begin with this; give more of the id")]
    Ambiguous,
    /// It cannot be decided any more.
    #[error("the hold is decided once, and in time: {}", ended(*.0))]
    Ended(Standing),
    /// Its arguments are not those that were seen.
    #[error(
        "its arguments are not those of the digest that was named, as after an edit, and nothing was decided: look at it again, and \
         decide about the arguments that it has now"
    )]
    Edited,
    /// This person may not decide it.
    #[error("{0}")]
    NotAllowed(String),
    /// Nobody can decide so about this hold.
    #[error("{0}")]
    NotPossible(&'static str),
    /// What was decided is not valid.
    #[error("{}", .0.message)]
    Invalid(Box<Failure>),
    /// The file of holds cannot be used, which is logged.
    #[error("holds cannot be read or written now; the log of the host says why")]
    Unusable,
}

fn ended(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "it waits still",
        Standing::Running => "it was approved, and its call runs at this moment",
        Standing::Done => {
            "it was approved, and its call ran or its result may be delivered; nothing is left to decide"
        }
        Standing::Rejected => "it was rejected",
        Standing::Responded => "a person answered it",
        Standing::Expired => "its time is over, which counts as a no; the call must be made again",
        Standing::Void => "what it was bound to has changed; the call must be made again",
    }
}

/// What whoever made a call gets of its hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// It waits still.
    Waiting(Box<Hold>),
    /// Its end.
    Ended(Box<Reply>),
}

impl From<Unusable> for HoldError {
    fn from(_: Unusable) -> HoldError {
        HoldError::Unusable
    }
}

impl From<NotDecided> for HoldError {
    fn from(err: NotDecided) -> HoldError {
        match err {
            NotDecided::Ended(standing) => HoldError::Ended(standing),
            NotDecided::NotAllowed(why) => HoldError::NotAllowed(why),
            NotDecided::NotPossible(why) => HoldError::NotPossible(why),
        }
    }
}

impl Host {
    /// The newest holds first. At most a thousand.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn holds(&self, open_only: bool, limit: usize) -> Result<Vec<Hold>, HoldError> {
        let host = self.generation();
        let mut holds = host.holds().list(host.environment(), open_only, limit.min(LISTED_MAX)).await?;
        let now_unix_ms = ms(host.environment().wall());
        // Nobody has asked for these since their time was over.
        holds
            .iter_mut()
            .filter(|hold| hold.is_due(now_unix_ms))
            .for_each(|hold| hold.standing = Standing::Expired);
        holds.retain(|hold| !open_only || matches!(hold.standing, Standing::Open | Standing::Running));
        Ok(holds)
    }

    /// The hold with this id, or whose id alone begins so. For whoever may decide.
    ///
    /// # Errors
    /// When there is none, or several.
    pub async fn hold(&self, id: &str) -> Result<Hold, HoldError> {
        let host = self.generation();
        let Kept { mut hold, .. } = find(&host, id).await?;
        if hold.is_due(ms(host.environment().wall())) {
            hold.standing = Standing::Expired;
        }
        Ok(hold)
    }

    /// Takes a person's decision. A call that is approved with it runs before this returns, and goes on if nobody waits
    /// for it. Returns the hold as it stands then.
    ///
    /// `seen` is the `args_digest` of the hold that this person was shown: once another approver has edited the arguments, the
    /// decision does not count. `None` decides about whatever arguments the hold has by then.
    ///
    /// # Errors
    /// When the hold has ended or is not the one that was seen, this person may not decide it, or what was decided is not
    /// possible. Nothing ran then.
    pub async fn decide_hold(
        &self,
        id: &str,
        by: &Approver,
        decision: HoldDecision,
        seen: Option<&str>,
    ) -> Result<Hold, HoldError> {
        self.check_approver(by)?;
        let host = self.generation();
        let kept = find(&host, id).await?;
        let now_unix_ms = ms(host.environment().wall());
        if kept.hold.is_due(now_unix_ms) {
            self.settle(&host, kept).await?;
            return Err(HoldError::Ended(Standing::Expired));
        }
        check_note(&decision)?;
        let edited = match &decision {
            HoldDecision::Edit { arguments } => {
                let digest = edited(&host, &kept.hold.tool, arguments.clone()).map_err(HoldError::Invalid)?;
                Some((Value::Object(arguments.clone()), digest))
            }
            HoldDecision::Approve | HoldDecision::Reject { .. } | HoldDecision::Respond { .. } => None,
        };
        let (record, by, seen) = (new_record(&host), by.clone(), seen.map(str::to_owned));
        let is_elsewhere = kept.is_confidential && host.holds().apart(&kept.hold.id).is_none();
        if is_elsewhere && host.holds().lives(host.environment(), kept.owner.clone()).await? {
            return Err(HoldError::NotPossible(
                "some of its arguments are confidential, and in the memory of the process alone that held the call: it must be \
                 decided there, by `/v1/holds` of that server",
            ));
        }
        let revoked = self.revoked(&kept.hold);
        let decide = move |kept: &mut Kept, own: &str| {
            if kept.is_confidential && edited.is_some() {
                let why = "some of its arguments are confidential: it can be approved as it is, rejected, or answered";
                return Err(HoldError::NotPossible(why));
            }
            // Here, under the lock of the store: the arguments can be edited until the decision is on disk.
            if kept.hold.standing == Standing::Open && seen.is_some_and(|seen| seen != kept.hold.args_digest)
            {
                return Err(HoldError::Edited);
            }
            kept.hold.revoke(|by| revoked.contains(by));
            let next = kept.hold.decide(&by, &decision, now_unix_ms)?;
            if let Some((arguments, digest)) = edited {
                kept.hold.edit(arguments, digest);
            }
            if next != Next::Waits {
                kept.hold.ended_by = Some(record);
                own.clone_into(&mut kept.owner);
            }
            Ok(next)
        };
        let running = self.calls.begin_detached();
        // A task of its own: what is decided on disk is carried out, however long the disk takes and whoever still waits.
        let decided = tokio::spawn(async move {
            let changed = host.holds().change_to_its_end(kept.hold.id, decide).await?;
            let (next, kept) = changed.ok_or(HoldError::Unknown)??;
            match next {
                Next::Waits => Ok(kept.hold),
                Next::Runs | Next::Ends => finish(host, kept, running).await,
            }
        });
        decided.await.map_err(|_| HoldError::Unusable)?
    }

    /// Those who approved, and may not any more.
    fn revoked(&self, hold: &Hold) -> Vec<Approver> {
        let by = hold.decided.iter().map(|decided| Approver::read(&decided.by));
        by.filter(|by| self.check_approver(by).is_err()).collect()
    }

    /// Ends the holds whose time is over, and those whose process ended, and tells of them. For a server, again and again.
    ///
    /// # Errors
    /// When holds cannot be read or written.
    pub async fn end_due_holds(&self) -> Result<(), HoldError> {
        let host = self.generation();
        if !host.holds().are_there(host.environment()).await {
            return Ok(());
        }
        let open = host.holds().list(host.environment(), true, LISTED_MAX).await?;
        let now_unix_ms = ms(host.environment().wall());
        let is_over = |hold: &Hold| hold.is_due(now_unix_ms) || hold.standing == Standing::Running;
        for hold in open.into_iter().filter(is_over) {
            let kept = find(&host, &hold.id).await?;
            self.settle(&host, kept).await?;
        }
        Ok(())
    }

    /// Has the calls run that were approved and found no room. For a server, again and again: each try has a record.
    ///
    /// # Errors
    /// When holds cannot be read or written.
    pub async fn run_approved_holds(&self) -> Result<(), HoldError> {
        let host = self.generation();
        if !host.holds().are_there(host.environment()).await {
            return Ok(());
        }
        let open = host.holds().list(host.environment(), true, LISTED_MAX).await?;
        for hold in open.into_iter().filter(|hold| hold.standing == Standing::Open && hold.is_approved()) {
            self.run_again(&host, hold).await?;
        }
        Ok(())
    }

    /// Has an approved call run that found no room, unless another process is faster.
    async fn run_again(&self, host: &Arc<Generation>, hold: Hold) -> Result<(), HoldError> {
        let (now_unix_ms, record) = (ms(host.environment().wall()), new_record(host));
        let revoked = self.revoked(&hold);
        let run = move |kept: &mut Kept, own: &str| {
            if kept.is_confidential && kept.owner != own {
                return Ok::<_, HoldError>(false);
            }
            kept.hold.revoke(|by| revoked.contains(by));
            let runs = kept.hold.run_again(now_unix_ms);
            if runs {
                kept.hold.ended_by = Some(record);
                own.clone_into(&mut kept.owner);
            }
            Ok(runs)
        };
        match host.holds().change(host.environment(), hold.id, run).await?.transpose()? {
            Some((true, kept)) => self.finished(host, kept).await.map(drop),
            Some((false, _)) | None => Ok(()),
        }
    }

    /// The end of a held call, for its caller, who gets it as often as they ask. Waits for it at most this long.
    ///
    /// # Errors
    /// When there is no such hold of this caller, or it cannot be read.
    pub async fn held_reply(&self, who: &Caller, id: &str, wait: Duration) -> Result<Held, HoldError> {
        // A beginning of an id is not enough here: it would tell a caller about the ids of others.
        if id.len() != HOLD_ID_CHARS {
            return Err(HoldError::Unknown);
        }
        let host = self.generation();
        let until = host.environment().monotonic().saturating_add(wait);
        loop {
            let kept = find(&host, id).await?;
            if kept.hold.caller != who.to_string() {
                return Err(HoldError::Unknown);
            }
            let kept = self.settle(&host, kept).await?;
            if !matches!(kept.hold.standing, Standing::Open | Standing::Running) {
                let reply = self.end_of(&host, kept).await?;
                return Ok(Held::Ended(Box::new(reply)));
            }
            let now = host.environment().monotonic();
            if now >= until {
                return Ok(Held::Waiting(Box::new(kept.hold)));
            }
            let look = now.saturating_add(LOOK).min(until);
            // Of another process nothing is told here; that is what the look is for.
            let _ = within(&**host.environment(), look, host.holds().changed()).await;
        }
    }

    /// Ends a hold whose time is over, and one whose approved call ended without word of it.
    async fn settle(&self, host: &Arc<Generation>, kept: Kept) -> Result<Kept, HoldError> {
        let now_unix_ms = ms(host.environment().wall());
        if kept.hold.standing == Standing::Running {
            return Ok(settled(host, kept).await?);
        }
        if !kept.hold.is_due(now_unix_ms) {
            return Ok(kept);
        }
        let record = new_record(host);
        let expire = move |kept: &mut Kept, own: &str| {
            let is_due = kept.hold.is_due(now_unix_ms);
            if is_due {
                (kept.hold.standing, kept.hold.ended_by) = (Standing::Expired, Some(record));
                own.clone_into(&mut kept.owner);
            }
            // Another process was first.
            Ok::<_, HoldError>(is_due)
        };
        let changed = host.holds().change(host.environment(), kept.hold.id, expire).await?;
        let (is_to_end, kept) = changed.ok_or(HoldError::Unknown)??;
        if is_to_end {
            let hold = self.finished(host, kept.clone()).await?;
            return Ok(Kept { hold, ..kept });
        }
        Ok(kept)
    }

    /// Makes the call that ends a hold, whoever waits for it.
    async fn finished(&self, host: &Arc<Generation>, kept: Kept) -> Result<Hold, HoldError> {
        let running = self.calls.begin_detached();
        let made = tokio::spawn(finish(host.clone(), kept, running));
        // Dropped with the runtime alone, after which the hold is settled by whoever asks next.
        made.await.map_err(|_| HoldError::Unusable)?
    }

    /// The reply with which a hold ended.
    async fn end_of(&self, host: &Generation, kept: Kept) -> Result<Reply, HoldError> {
        let hold = kept.hold;
        let apart = host.holds().apart(&hold.id);
        let session = apart.as_ref().and_then(|apart| apart.session.id());
        let End { reply, is_unknown } = end_of(host, &hold, session).await?;
        if !kept.is_fetched {
            fetched(host, &hold.id).await;
        }
        Ok(reply.unwrap_or_else(|| unkept(&hold, is_unknown)))
    }
}

pub(super) async fn find(host: &Generation, id: &str) -> Result<Kept, HoldError> {
    let is_of_an_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_of_an_id || !(HOLD_PREFIX_CHARS_MIN..=HOLD_ID_CHARS).contains(&id.len()) {
        return Err(HoldError::Unknown);
    }
    match host.holds().find(host.environment(), id.to_owned()).await? {
        Found::One(kept) => Ok(*kept),
        Found::Nothing => Err(HoldError::Unknown),
        Found::Several => Err(HoldError::Ambiguous),
    }
}

fn check_note(decision: &HoldDecision) -> Result<(), HoldError> {
    let chars = decision.note().map_or(0, |note| note.chars().count());
    let is_empty = || decision.note().is_some_and(|note| clean(note).trim().is_empty());
    let what = match decision {
        HoldDecision::Respond { .. } if is_empty() => "it is empty".to_owned(),
        _ if chars > NOTE_CHARS_MAX => {
            format!("it has {chars} characters, and {NOTE_CHARS_MAX} are the most")
        }
        _ => return Ok(()),
    };
    Err(HoldError::Invalid(Box::new(Failure::plain(format!(
        "The text of the decision is not taken: {what}."
    )))))
}

fn new_record(host: &Generation) -> String {
    crate::call::new_record(&**host.environment())
}
