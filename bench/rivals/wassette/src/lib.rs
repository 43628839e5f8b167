//! Two tools of the comparison, as a component for wassette: one sleeps and one loops. Its third tool is the product's
//! own.

use std::time::Duration;

wit_bindgen::generate!({ path: "wit" });
export!(Trouble);

struct Trouble;

impl Guest for Trouble {
    fn sleep(ms: u64) -> String {
        std::thread::sleep(Duration::from_millis(ms));
        "slept".to_owned()
    }

    fn looping() -> String {
        let mut round = 0_u64;
        loop {
            round = std::hint::black_box(round.wrapping_add(1));
        }
    }
}
