//! Drift of tools: suites of recorded cases, how answers are compared, what a difference means, and trends over nights.
//!
//! Owns the format of a suite, the attribution of a difference to the leg that shows it, and the statistics over
//! nights. All of it is data in, data out. Must not know how an attempt is replayed, or where a suite is kept: `airlock shadow`
//! does both.

pub mod case;
pub mod leg;
pub mod night;
pub mod query;
pub mod sample;
pub mod suite;
pub mod trend;

pub use airlock_contract::compare;
