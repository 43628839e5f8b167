//! Transports: bounded framing of what comes in, and who is calling. Must not know tools or policy.

pub(crate) mod stdio;
