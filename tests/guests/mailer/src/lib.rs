//! A guest whose only import is a capability of the program that embeds the host. Its effects happen before or after an
//! abort, so that the host has to know whether one left.

use example::mail::outbox;

wit_bindgen::generate!({ path: "wit", generate_all });
export!(Mailer);

struct Mailer;

impl Guest for Mailer {
    fn invite(to: String, text: String) -> Result<u64, String> {
        outbox::send(&to, &text)
    }

    fn send_then_abort(to: String) -> u64 {
        let number = outbox::send(&to, "the last words");
        panic!("{number:?}");
    }

    fn abort_then_send(to: String) -> u64 {
        if !to.is_empty() {
            panic!("before the mail");
        }
        outbox::send(&to, "").unwrap_or_default()
    }

    fn sent() -> u64 {
        outbox::sent()
    }
}
