//! `airlock shadow report SUITE`: the last night and the trend over all, as text or as one page.

use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::{html, text};
use crate::Ended;
use crate::print::{Message, Printer};
use airlock_shadow::night::{blocked, trends};
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the suite
    suite: PathBuf,
    /// Write one HTML page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let folder = Folder::at(&args.suite);
    let (suite, nights) = (folder.existing()?, folder.nights()?);
    let none =
        || Message(format!("`{}` has no night yet: `airlock shadow run` adds one", args.suite.display()));
    let night = nights.last().ok_or_else(none)?;
    let trends = trends(&nights, suite.trend_since.as_deref());
    let blocked = blocked(night, &trends, &suite.fail_on);
    let report = text::Report { registry, suite: &args.suite, night, trends: &trends, blocked: &blocked };
    match &args.html {
        None => printer.line(report.to_string().trim_end()),
        Some(path) => {
            folder.write(path, html::page(&report, &nights).as_bytes())?;
            printer.line(format!("{}: {}", path.display(), count(nights.len() as u64, "night")));
        }
    }
    Ok(0)
}
