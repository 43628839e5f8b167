//! A guest whose only import is a capability of the embedding program. It aborts before or after its effects, so the
//! host must know whether one was dispatched.

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
