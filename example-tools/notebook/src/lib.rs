//! Keeps notes by their titles. They outlive the session, and the host.

use airlock_sdk::Refusal;
use airlock_sdk::keyvalue::{Bucket, Error};

airlock_sdk::tool!(Notebook);

struct Notebook;

impl Guest for Notebook {
    fn put(title: String, text: String) -> Result<Note, Failure> {
        let kept = Bucket::default().and_then(|notes| notes.set(&title, text.as_bytes()));
        match kept {
            Ok(()) => Ok(Note { title, text }),
            // What the host says has the bound that was reached.
            Err(Error::Host(why)) => Err(Refusal::new("not-kept", format!("The note was not kept: {why}."))
                .need("a shorter note, or the title of a note that may be replaced")
                .into()),
            Err(error) => Err(error.into()),
        }
    }

    fn get(title: String) -> Result<Note, Failure> {
        let notes = Bucket::default()?;
        let Some(text) = notes.get(&title)? else {
            let refusal = Refusal::new("no-such-note", format!("There is no note `{title}`."));
            return Err(refusal.need("a title out of `titles`").retry_after_change("title").into());
        };
        Ok(Note { title, text: String::from_utf8(text)? })
    }

    fn titles() -> Result<Vec<String>, Failure> {
        Ok(Bucket::default()?.keys()?)
    }
}
