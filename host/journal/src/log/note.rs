//! Checkpoints: what a log was at a size, as a C2SP tlog-checkpoint in a signed note.

use data_encoding::BASE64;

use super::key::{SigningKey, VerifyingKey};
use super::tree::Hash;

/// How a line with a signature begins.
const SIGNATURE: &str = "\u{2014} ";

/// Most signatures of a note.
const SIGNATURES_MAX: usize = 64;

/// Largest size of a log in a checkpoint: what a number of JSON and of the database holds.
const SIZE_MAX: u64 = 1 << 53;

/// What a log was at a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// A checkpoint with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The whole note.
    text: String,
    /// Length of what is signed.
    body: usize,
    /// Name, id of the key, and signature.
    signatures: Vec<(String, [u8; 4], Vec<u8>)>,
}

/// Why a text is not a list of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not what a checkpoint has there: {expected}")]
#[non_exhaustive]
pub struct NoteError {
    /// Of the text, from 1.
    pub line: usize,
    /// What should be there.
    pub expected: &'static str,
}

impl Checkpoint {
    /// The text that is signed.
    fn body(&self) -> String {
        let Checkpoint { origin, size, root } = self;
        format!("{origin}\n{size}\n{}\n", BASE64.encode(root))
    }
}

impl Note {
    /// Signs a checkpoint of the log that has the key's name.
    pub(crate) fn sign(size: u64, root: Hash, key: &SigningKey) -> Note {
        let name = key.verifying().name();
        let checkpoint = Checkpoint { origin: name.to_owned(), size, root };
        let body = checkpoint.body();
        let (id, signature) = (key.verifying().id(), key.sign(body.as_bytes()));
        let line = BASE64.encode(&[&id[..], &signature].concat());
        Note {
            checkpoint,
            text: format!("{body}\n{SIGNATURE}{name} {line}\n"),
            body: body.len(),
            signatures: vec![(name.to_owned(), id, signature)],
        }
    }

    /// The whole note.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this key signed it.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let body = &self.text.as_bytes()[..self.body];
        let is_of = |(name, id, _): &&(String, [u8; 4], Vec<u8>)| name == key.name() && *id == key.id();
        let mut of_key = self.signatures.iter().filter(is_of).peekable();
        // One that fails spoils the note.
        of_key.peek().is_some() && of_key.all(|(_, _, signature)| key.verifies(body, signature))
    }

    /// The notes of a text, in their order: a file to which checkpoints are appended has many. Empty lines may stand between
    /// them.
    ///
    /// # Errors
    /// Says which line is not that of a note.
    pub fn read_all(text: &str) -> Result<Vec<Note>, NoteError> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (mut notes, mut at) = (Vec::new(), 0);
        while at < lines.len() {
            if lines[at].trim().is_empty() {
                at += 1;
                continue;
            }
            let (note, next) = Note::read(&lines, at)?;
            notes.push(note);
            at = next;
        }
        Ok(notes)
    }

    /// The note that begins at a line, and the line behind it.
    fn read(lines: &[&str], first: usize) -> Result<(Note, usize), NoteError> {
        let blank = (first..lines.len()).find(|at| lines[*at] == "\n").unwrap_or(lines.len());
        let fault = |line: usize, expected| NoteError { line: line + 1, expected };
        let line = |at: usize, expected| match lines.get(at).and_then(|line| line.strip_suffix('\n')) {
            Some(line) if at < blank && !line.is_empty() => Ok(line),
            _ => Err(fault(at, expected)),
        };
        let origin = line(first, "the name of a log")?.to_owned();
        let size = line(first + 1, "a number of entries")?;
        let is_number = size == "0" || (size.bytes().all(|b| b.is_ascii_digit()) && !size.starts_with('0'));
        let size = size.parse().ok().filter(|size| is_number && *size <= SIZE_MAX);
        let size = size.ok_or_else(|| fault(first + 1, "a number of entries"))?;
        let root = BASE64.decode(line(first + 2, "the root in base64")?.as_bytes()).ok();
        let root = root.and_then(|root| root.try_into().ok());
        let root = root.ok_or_else(|| fault(first + 2, "the root in base64"))?;
        if blank == lines.len() {
            return Err(fault(blank, "an empty line, and signatures"));
        }
        let mut end = blank + 1;
        let mut signatures = Vec::new();
        while let Some(line) = lines.get(end).and_then(|line| line.strip_prefix(SIGNATURE)) {
            let signature = signature(line).filter(|_| signatures.len() < SIGNATURES_MAX);
            signatures.push(signature.ok_or_else(|| fault(end, "a name and a signature in base64"))?);
            end += 1;
        }
        if signatures.is_empty() {
            return Err(fault(end, "a signature"));
        }
        let text = lines[first..end].concat();
        let body = lines[first..blank].iter().map(|line| line.len()).sum();
        Ok((Note { checkpoint: Checkpoint { origin, size, root }, text, body, signatures }, end))
    }
}

fn signature(line: &str) -> Option<(String, [u8; 4], Vec<u8>)> {
    let (name, encoded) = line.strip_suffix('\n')?.split_once(' ')?;
    let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    Some((name.to_owned(), *id, signature.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, whose key it does not name.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn several_notes_follow_each_other() {
        let twice = format!("{EXAMPLE}\n{EXAMPLE}{EXAMPLE}");
        let notes = Note::read_all(&twice).unwrap();
        assert_eq!(notes.len(), 3);
        assert_eq!(notes[2].as_str(), EXAMPLE);
        assert_eq!(notes[0].checkpoint.size, 20_852_163);
        assert_eq!(notes[0].checkpoint.body(), EXAMPLE.split_once("\n\n").unwrap().0.to_owned() + "\n");
    }

    #[test]
    fn a_note_that_was_changed_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::open(&folder.path().join("key")).unwrap();
        let other = SigningKey::open(&folder.path().join("other")).unwrap();
        let note = Note::sign(7, [3; 32], &key);
        let read = Note::read_all(note.as_str()).unwrap();
        assert_eq!(read.as_slice(), std::slice::from_ref(&note));
        assert!(read[0].is_signed_by(key.verifying()) && !read[0].is_signed_by(other.verifying()));
        let changed = Note::read_all(&note.as_str().replacen("\n7\n", "\n8\n", 1)).unwrap();
        assert!(!changed[0].is_signed_by(key.verifying()));
    }

    #[test]
    fn a_text_that_is_no_note_says_where() {
        for (text, line) in [
            ("x", 1),
            ("x\n07\nAA==\n\n", 2),
            ("x\n7\nAA==\n\n", 3),
            (&EXAMPLE[..82], 4),
            (&EXAMPLE.replace("Az3grl", "A"), 5),
            (&format!("{EXAMPLE}more\n"), 7),
        ] {
            assert_eq!(Note::read_all(text).unwrap_err().line, line, "{text}");
        }
        assert_eq!(Note::read_all("\n\n").unwrap(), []);
    }
}
