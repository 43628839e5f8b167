//! The section about wrong arguments and many callers.

use super::Page;
use super::http::cells;
use super::plot::short;
use super::table::Table;
use crate::figures::{Edges, HttpRow, Measured, Refused};

impl Page<'_> {
    pub(super) fn edges(&mut self, measured: &Measured<Edges>) {
        let Edges { refused, callers } = &measured.figures;
        self.heading("Wrong arguments and many callers", measured);
        self.say(
            "Calls with wrong arguments through the library, which are answered with every violation, in turn with calls of the \
             same tool with right ones of the same size, which the tool returns. The last column is the same ratio for \
             parsing and validation alone. Below 64 KiB each mend that is proposed was tried.\n",
        );
        let mut table = Table::new(&[
            "wrong arguments",
            "bytes",
            "right, p50, µs",
            "wrong, p50, µs",
            "wrong, p99, µs",
            "wrong × right",
            "validation alone",
        ]);
        for Refused { form, bytes, right, wrong, ratio, alone_ratio } in refused {
            let mut row = vec![form.clone(), short(*bytes as f64)];
            row.extend([right.p50_us, wrong.p50_us, wrong.p99_us].map(|us| format!("{us:.1}")));
            row.extend([ratio, alone_ratio].map(|ratio| format!("{ratio:.2}")));
            table.row(row);
        }
        self.say(&table.to_string());
        self.say(
            "Callers with a token each, over `/v1` of one server. Budgets bound calls, fuel and bytes by the minute and by the \
             day, and are not used up.\n",
        );
        let head = ["", "p50, µs", "p99, µs", "requests/s at 1", "at 8", "at 64", "× one caller at 64"];
        let mut table = Table::new(&head);
        let one = callers.first().and_then(HttpRow::most_per_s);
        for row in callers {
            let ratio = row
                .most_per_s()
                .zip(one)
                .map_or_else(String::new, |(rate, one)| format!("{:.2}", rate / one));
            table.row(cells(row).into_iter().chain([ratio]));
        }
        self.say(&table.to_string());
    }
}
