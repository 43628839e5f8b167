//! Functions of files on the tape.
//!
//! Owns the stored form of what they answer: a function whose answer has no [`Kept`] does not compile. Must not know what a
//! function does.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::fault::Fault;
use super::node::Node;
use crate::tape::{Asked, Kind, Note, Played, Stopped, Tape};
use airlock_types::cassette::Blob;

/// Something that a function of files answers.
pub(super) trait Kept: Sized {
    /// As a cassette has it.
    type Form: Serialize + DeserializeOwned;
    fn form(&self) -> Self::Form;
    /// `label` is the guest's path of what was asked about.
    fn read(form: Self::Form, label: String) -> Self;
}

/// What a function answered, on record: a value, or the name of an error.
pub(super) type Answer<T> = Result<<T as Kept>::Form, String>;

/// Who answers a function of files.
pub(super) enum Answered<T> {
    Live(Noted),
    Taped(FsResult<T>, Box<Played<()>>),
}

/// The place of an answer on the tape.
pub(super) struct Noted(Note);

/// Asks the tape for what a function answers. `label` is the guest's path of what it is about.
pub(super) fn ask<T: Kept>(
    tape: &Tape,
    import: &'static str,
    kind: Kind,
    label: String,
    args: impl Serialize,
) -> FsResult<Answered<T>> {
    let asked = tape.ask::<Answer<T>>(import, kind, (&label, args)).map_err(trap)?;
    Ok(match asked {
        Asked::Live(note) => Answered::Live(Noted(note)),
        Asked::Taped(Played { answer, feed, sent }) => {
            let answer = answer.map(|form| T::read(form, label)).map_err(|name| error(&name).into());
            Answered::Taped(answer, Box::new(Played { answer: (), feed, sent }))
        }
    })
}

/// The end of a guest whose replay has ended.
pub(super) fn trap(stopped: Stopped) -> FsError {
    FsError::trap(stopped)
}

impl Noted {
    pub(super) fn of(note: Note) -> Noted {
        Noted(note)
    }

    /// Notes what a function answered, and passes it on.
    pub(super) fn keep<T: Kept>(&self, answered: FsResult<T>) -> FsResult<T> {
        if self.0.is_kept() {
            match &answered {
                Ok(answer) => self.0.answer(&Answer::<T>::Ok(answer.form())),
                Err(err) => match err.downcast_ref() {
                    Some(code) => self.0.answer(&Answer::<T>::Err(name(*code).to_owned())),
                    // The host failed, which no replay repeats.
                    None => self.0.lack("a file could not be reached"),
                },
            }
        }
        answered
    }

    /// Notes a fault, and passes it on.
    pub(super) fn fault(&self, fault: Fault) -> Fault {
        self.0.answer(&Answer::<()>::Err(name(fault.code()).to_owned()));
        fault
    }

    /// Notes that something was done.
    pub(super) fn done(&self) {
        self.0.answer(&Answer::<()>::Ok(()));
    }

    /// Where what follows the answer goes.
    pub(super) fn note(&self) -> &Note {
        &self.0
    }
}

/// Plain values are stored as they are.
macro_rules! plain {
    ($($ty:ty),*) => {$(
        impl Kept for $ty {
            type Form = $ty;

            fn form(&self) -> $ty {
                self.clone()
            }

            fn read(form: $ty, _: String) -> $ty {
                form
            }
        }
    )*};
}

plain!((), bool, u64, String, Vec<String>);

impl Kept for Vec<u8> {
    type Form = Blob;

    fn form(&self) -> Blob {
        Blob(self.clone())
    }

    fn read(Blob(bytes): Blob, _: String) -> Vec<u8> {
        bytes
    }
}

impl Kept for Node {
    /// Whether it is a folder.
    type Form = bool;

    fn form(&self) -> bool {
        self.is_folder()
    }

    fn read(is_folder: bool, label: String) -> Node {
        Node::taped(label, is_folder)
    }
}

impl Kept for DescriptorFlags {
    type Form = Vec<String>;

    fn form(&self) -> Vec<String> {
        let named = FLAGS.iter().filter(|(_, flag)| self.contains(*flag));
        named.map(|(name, _)| (*name).to_owned()).collect()
    }

    fn read(form: Vec<String>, _: String) -> DescriptorFlags {
        let named = FLAGS.iter().filter(|(name, _)| form.iter().any(|flag| flag == name));
        named.fold(DescriptorFlags::empty(), |flags, (_, flag)| flags | *flag)
    }
}

/// The flags that this host gives.
const FLAGS: [(&str, DescriptorFlags); 3] = [
    ("read", DescriptorFlags::READ),
    ("write", DescriptorFlags::WRITE),
    ("mutate-directory", DescriptorFlags::MUTATE_DIRECTORY),
];

impl Kept for MetadataHashValue {
    type Form = (u64, u64);

    fn form(&self) -> (u64, u64) {
        (self.lower, self.upper)
    }

    fn read((lower, upper): (u64, u64), _: String) -> MetadataHashValue {
        MetadataHashValue { lower, upper }
    }
}

/// The metadata of a file.
#[derive(Serialize, Deserialize)]
pub(super) struct Stat {
    kind: String,
    links: u64,
    size: u64,
    accessed: Option<(u64, u32)>,
    modified: Option<(u64, u32)>,
    changed: Option<(u64, u32)>,
}

impl Kept for DescriptorStat {
    type Form = Stat;

    fn form(&self) -> Stat {
        let time =
            |time: &Option<Datetime>| time.map(|Datetime { seconds, nanoseconds }| (seconds, nanoseconds));
        Stat {
            kind: kind_name(self.type_).to_owned(),
            links: self.link_count,
            size: self.size,
            accessed: time(&self.data_access_timestamp),
            modified: time(&self.data_modification_timestamp),
            changed: time(&self.status_change_timestamp),
        }
    }

    fn read(form: Stat, _: String) -> DescriptorStat {
        let time =
            |time: Option<(u64, u32)>| time.map(|(seconds, nanoseconds)| Datetime { seconds, nanoseconds });
        DescriptorStat {
            type_: kind_named(&form.kind),
            link_count: form.links,
            size: form.size,
            data_access_timestamp: time(form.accessed),
            data_modification_timestamp: time(form.modified),
            status_change_timestamp: time(form.changed),
        }
    }
}

impl Kept for Option<DirectoryEntry> {
    type Form = Option<(String, String)>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(|entry| (kind_name(entry.type_).to_owned(), entry.name.clone()))
    }

    fn read(form: Self::Form, _: String) -> Self {
        form.map(|(kind, name)| DirectoryEntry { type_: kind_named(&kind), name })
    }
}

/// The kinds that this host gives.
const KINDS: [(&str, DescriptorType); 4] = [
    ("directory", DescriptorType::Directory),
    ("regular-file", DescriptorType::RegularFile),
    ("symbolic-link", DescriptorType::SymbolicLink),
    ("unknown", DescriptorType::Unknown),
];

fn kind_name(kind: DescriptorType) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("unknown", |(name, _)| name)
}

fn kind_named(name: &str) -> DescriptorType {
    KINDS.iter().find(|(known, _)| *known == name).map_or(DescriptorType::Unknown, |(_, kind)| *kind)
}

/// The name of an error.
pub(super) fn name(code: ErrorCode) -> &'static str {
    code.name()
}

/// The error of a name.
pub(super) fn error(name: &str) -> ErrorCode {
    // One of these, since it was one when it was recorded.
    ERRORS.into_iter().find(|code| code.name() == name).unwrap_or(ErrorCode::Io)
}

const ERRORS: [ErrorCode; 37] = [
    ErrorCode::Access,
    ErrorCode::WouldBlock,
    ErrorCode::Already,
    ErrorCode::BadDescriptor,
    ErrorCode::Busy,
    ErrorCode::Deadlock,
    ErrorCode::Quota,
    ErrorCode::Exist,
    ErrorCode::FileTooLarge,
    ErrorCode::IllegalByteSequence,
    ErrorCode::InProgress,
    ErrorCode::Interrupted,
    ErrorCode::Invalid,
    ErrorCode::Io,
    ErrorCode::IsDirectory,
    ErrorCode::Loop,
    ErrorCode::TooManyLinks,
    ErrorCode::MessageSize,
    ErrorCode::NameTooLong,
    ErrorCode::NoDevice,
    ErrorCode::NoEntry,
    ErrorCode::NoLock,
    ErrorCode::InsufficientMemory,
    ErrorCode::InsufficientSpace,
    ErrorCode::NotDirectory,
    ErrorCode::NotEmpty,
    ErrorCode::NotRecoverable,
    ErrorCode::Unsupported,
    ErrorCode::NoTty,
    ErrorCode::NoSuchDevice,
    ErrorCode::Overflow,
    ErrorCode::NotPermitted,
    ErrorCode::Pipe,
    ErrorCode::ReadOnly,
    ErrorCode::InvalidSeek,
    ErrorCode::TextFileBusy,
    ErrorCode::CrossDevice,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_read_as_it_was_named() {
        for (at, code) in ERRORS.into_iter().enumerate() {
            assert_eq!(error(name(code)), code);
            assert!(!ERRORS[..at].contains(&code), "{code:?} is there twice");
        }
    }
}
