//! The search in a stream as it is, and in what it says once its escapes are read.

use aho_corasick::automaton::StateID;

use super::escapes::{Decoder, Read, begins};
use super::{Found, Patterns};

/// The search in one reading of a stream.
pub(super) struct Lane {
    state: StateID,
    /// The last byte.
    last: u8,
    /// The search after another round of decoding; present while it could differ from this one.
    decoded: Option<Box<Decoded>>,
}

/// The search in what a lane says once its escapes are read.
struct Decoded {
    decoder: Decoder,
    lane: Lane,
    /// Decoded bytes since the last escape.
    plain_run: usize,
}

impl Lane {
    /// A search that begins after this byte, in this state.
    pub(super) fn new(state: StateID, last: u8) -> Lane {
        Lane { state, last, decoded: None }
    }

    /// Reads one byte, in this reading and in up to `rounds` more.
    pub(super) fn read(&mut self, patterns: &Patterns, byte: u8, rounds: u8) -> Result<(), Found> {
        if rounds > 0 && self.decoded.is_none() && begins(self.last, byte) {
            // Until here both read the same.
            let lane = Lane::new(self.state, self.last);
            self.decoded = Some(Box::new(Decoded { decoder: Decoder::after(self.last), lane, plain_run: 0 }));
        }
        self.last = byte;
        self.state = patterns.next(self.state, byte)?;
        if let Some(decoded) = &mut self.decoded {
            decoded.read(patterns, byte, rounds)?;
            if decoded.is_same_again(patterns.longest) {
                self.decoded = None;
            }
        }
        Ok(())
    }
}

impl Decoded {
    fn read(&mut self, patterns: &Patterns, byte: u8, rounds: u8) -> Result<(), Found> {
        let Decoded { decoder, lane, plain_run } = self;
        decoder.read(byte, |read| {
            let byte = match read {
                Read::Plain(byte) => {
                    *plain_run = plain_run.saturating_add(1);
                    byte
                }
                Read::Escaped(byte) => {
                    *plain_run = 0;
                    byte
                }
                Read::Nothing => {
                    *plain_run = 0;
                    return Ok(());
                }
            };
            lane.read(patterns, byte, rounds - 1)
        })
    }

    /// Whether the lanes before and after decoding have both read the same, for as many bytes as the longest form has.
    fn is_same_again(&self, longest: usize) -> bool {
        self.plain_run >= longest && self.decoder.is_idle() && self.lane.decoded.is_none()
    }
}
