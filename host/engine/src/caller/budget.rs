//! Budgets: amounts per minute and per day.
//!
//! Owns the arithmetic. Time is an argument. Windows are whole minutes and days of the wall clock (UTC), so that an
//! operator can say when a budget is full again. Must not know calls.

use std::fmt;

pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// The quantity that a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Calls,
    Fuel,
    /// Bytes of arguments and results, as JSON.
    Bytes,
}

/// At most `max` of a unit in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) unit: Unit,
    /// Length of the window: [`MINUTE_MS`] or [`DAY_MS`].
    pub(crate) window_ms: u64,
    pub(crate) max: u64,
}

/// All budgets of a caller. An empty list means no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budgets(pub(crate) Vec<Budget>);

/// An amount of each unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) calls: u64,
    pub(crate) fuel: u64,
    pub(crate) bytes: u64,
}

/// The amounts that a caller has used in the current minute and day.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    minute: Window,
    day: Window,
}

/// One window and what was used in it.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// The window's index since the Unix epoch. A different index means that the window is over.
    number: u64,
    used: Amounts,
}

/// A budget that is exhausted, and the time in milliseconds until its window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(crate) budget: Budget,
    pub(crate) retry_after_ms: u64,
}

impl Budgets {
    /// The budgets of both lists; a call must stay within all of them.
    pub(crate) fn and(&self, other: &Budgets) -> Budgets {
        Budgets(self.0.iter().chain(&other.0).copied().collect())
    }
}

impl Amounts {
    fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Calls => self.calls,
            Unit::Fuel => self.fuel,
            Unit::Bytes => self.bytes,
        }
    }

    fn add(&mut self, more: Amounts) {
        self.calls = self.calls.saturating_add(more.calls);
        self.fuel = self.fuel.saturating_add(more.fuel);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

impl Window {
    /// The window at a time; an old one is replaced by an empty one.
    fn at(&mut self, now_ms: u64, length_ms: u64) -> &mut Window {
        // Nothing runs at the end of a window: the first use in a new one resets it.
        let number = now_ms / length_ms;
        if self.number != number {
            *self = Window { number, used: Amounts::default() };
        }
        self
    }
}

impl Spent {
    /// Takes one call out of the budgets. Fuel and bytes are known only after the call, so a call may begin while any
    /// amount of them is left.
    ///
    /// # Errors
    /// The first budget that is used up. Nothing is taken then.
    pub(crate) fn take_call(&mut self, budgets: &Budgets, now_ms: u64) -> Result<(), Exhausted> {
        // All budgets are checked before anything is taken, so that a rejected call costs nothing.
        for budget in &budgets.0 {
            if self.window(budget.window_ms, now_ms).used.of(budget.unit) >= budget.max {
                // Windows begin at multiples of their length, so this is the time until the next one.
                let retry_after_ms = budget.window_ms - now_ms % budget.window_ms;
                return Err(Exhausted { budget: *budget, retry_after_ms });
            }
        }
        self.add(Amounts { calls: 1, ..Amounts::default() }, now_ms);
        Ok(())
    }

    pub(crate) fn add(&mut self, amounts: Amounts, now_ms: u64) {
        // Both windows, whether or not a budget uses them: a reload may add one.
        self.minute.at(now_ms, MINUTE_MS).used.add(amounts);
        self.day.at(now_ms, DAY_MS).used.add(amounts);
    }

    /// Whether the day of these amounts is over, so that they limit nothing any more.
    pub(crate) fn is_over(&self, now_ms: u64) -> bool {
        self.day.number < now_ms / DAY_MS
    }

    fn window(&mut self, length_ms: u64, now_ms: u64) -> &mut Window {
        let window = if length_ms == DAY_MS { &mut self.day } else { &mut self.minute };
        window.at(now_ms, length_ms)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Calls => "calls",
            Unit::Fuel => "units of fuel",
            Unit::Bytes => "bytes",
        };
        let window = if self.window_ms == DAY_MS { "day" } else { "minute" };
        write!(f, "{} {unit} a {window}", self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(config: &str) -> Budgets {
        let budget = |line: &str| {
            let (name, max) = line.split_once(" = ").unwrap();
            let (unit, window) = name.split_once("_per_").unwrap();
            let unit = match unit {
                "calls" => Unit::Calls,
                "fuel" => Unit::Fuel,
                _ => Unit::Bytes,
            };
            let window_ms = if window == "day" { DAY_MS } else { MINUTE_MS };
            Budget { unit, window_ms, max: max.parse().unwrap() }
        };
        Budgets(config.lines().map(budget).collect())
    }

    #[test]
    fn a_minute_budget_is_full_again_when_the_next_minute_begins() {
        let budgets = budgets("calls_per_minute = 2");
        let mut spent = Spent::default();
        assert_eq!(spent.take_call(&budgets, 1_000), Ok(()));
        assert_eq!(spent.take_call(&budgets, 2_000), Ok(()));
        let over = spent.take_call(&budgets, 45_000).unwrap_err();
        assert_eq!((over.retry_after_ms, over.budget.to_string().as_str()), (15_000, "2 calls a minute"));
        assert_eq!(spent.take_call(&budgets, 60_000), Ok(()));
    }

    #[test]
    fn a_rejected_call_costs_nothing() {
        let budgets = budgets("calls_per_minute = 1\ncalls_per_day = 2");
        let mut spent = Spent::default();
        assert_eq!(spent.take_call(&budgets, 0), Ok(()));
        assert!((0..5).all(|_| spent.take_call(&budgets, 1).is_err()));
        assert_eq!(spent.take_call(&budgets, MINUTE_MS), Ok(()));
        assert_eq!(spent.take_call(&budgets, 2 * MINUTE_MS).unwrap_err().budget.to_string(), "2 calls a day");
    }

    #[test]
    fn fuel_and_bytes_are_taken_afterwards() {
        let budgets = budgets("fuel_per_day = 10");
        let mut spent = Spent::default();
        assert_eq!(spent.take_call(&budgets, 0), Ok(()));
        spent.add(Amounts { fuel: 11, ..Amounts::default() }, 5);
        assert_eq!(spent.take_call(&budgets, 6).unwrap_err().retry_after_ms, DAY_MS - 6);
        assert!(!spent.is_over(DAY_MS - 1) && spent.is_over(DAY_MS));
    }
}
