//! What a group of orders does to the database, inside its transaction.

use rusqlite::Connection;

use crate::queue::{Message, Order};
use crate::store;
use crate::store::processes::{self, Why};
use crate::store::{Fault, SizeCheck, StoreError};

/// Records that are written without standing back: a tenth of a millisecond. For each one, the system call would be a
/// thirtieth of its work.
const RECORDS_AT_ONCE: usize = 4;

/// What this process owes no longer once a group is committed.
pub(super) struct Account<'a> {
    /// Empty for a process that could not take a file.
    pub(super) owner: &'a str,
    /// Records that were written or refused since the start; none without one in the group.
    pub(super) records: Option<u64>,
    /// Records that were lost since the last group.
    pub(super) lost: u64,
}

impl Account<'_> {
    fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let Account { owner, records, lost } = self;
        if let Some(records) = records.filter(|_| !owner.is_empty()) {
            processes::account(connection, owner, records)?;
        }
        if *lost > 0 { processes::lost(connection, owner, *lost, Why::Refused) } else { Ok(()) }
    }
}

/// Writes a group inside a transaction. Returns the room left, and the index and reason of each record that can never
/// be written.
pub(super) fn put_all(
    connection: &Connection,
    group: &[Order],
    account: &Account<'_>,
    bytes_max: u64,
    stand_back: impl Fn(),
) -> Result<(SizeCheck, Vec<(usize, String)>), StoreError> {
    let more = group.iter().map(|order| store::bytes_of(order.bytes as u64)).sum();
    // Inside the transaction, so that no other process uses the room before these records do.
    let room = store::make_room(connection, more, bytes_max)?;
    let (mut refused, mut next) = (Vec::new(), store::log::Next::default());
    for (i, order) in group.iter().enumerate() {
        if i % RECORDS_AT_ONCE == 0 {
            stand_back();
        }
        match put(connection, &order.message, account.owner, &mut next) {
            // SQLite rolled back only this statement, so the transaction continues.
            Err(err) if err.fault() == Fault::Record => {
                next.forget();
                refused.push((i, err.to_string()));
            }
            put => put?,
        }
    }
    account.write(connection)?;
    Ok((room, refused))
}

fn put(
    connection: &Connection,
    message: &Message,
    owner: &str,
    next: &mut store::log::Next,
) -> Result<(), StoreError> {
    // Few, and those of calls with effects, which wait for the disk: they ask for their numbers themselves.
    if !matches!(message, Message::Seal(..)) {
        next.forget();
    }
    match message {
        Message::Intend(record) => store::intend(connection, record, owner),
        Message::Withdraw(id) => store::withdraw(connection, id),
        Message::Seal(sealing, durability) => store::seal(connection, sealing, *durability, next),
        Message::Flush(_) | Message::Settle(_) | Message::Bound | Message::Close => Ok(()),
    }
}
