//! The nearest grant that would allow a refused use: one that is added, or the one that refused it, widened.

use airlock_types::grant::http::GuestHeader;
use airlock_types::grant::{
    Access, Asked, FilesGrant, Grants, HttpGrant, KeyvalueGrant, Why, files, http, keyvalue,
};

/// A line of a registry that would allow a use.
pub(super) struct Mend {
    pub(super) line: String,
    /// The setting that the line takes the place of.
    pub(super) replaces: Option<String>,
}

/// The setting that refused a use, below the table of its tool, and the line that would allow it.
pub(super) fn mend(grants: &Grants, asked: &Asked, why: Why) -> (Option<String>, Option<Mend>) {
    let added = || {
        let line = Grants::least(asked).and_then(|least| least.lines().pop())?;
        Some(Mend { line, replaces: None })
    };
    match (asked, why) {
        (_, Why::Never) => (None, None),
        (_, Why::ReadsOnly) => (
            None,
            Some(Mend { line: "effects = \"write\"".to_owned(), replaces: Some("effects".to_owned()) }),
        ),
        (Asked::Http(target, _), _) => {
            let entry = |is: &dyn Fn(&HttpGrant) -> bool| grants.http.iter().position(is);
            let place = entry(&|grant| grant.admits(target))
                .or_else(|| entry(&|grant| grant.extent().has_host(&target.host)));
            let rule = place.map(|place| format!("grants.{}[{place}]", http::NAME));
            match (why, place.and_then(|place| grants.http.get(place))) {
                (Why::Bound(bound, least), Some(grant)) => {
                    (rule.clone(), raised_http(grant, bound, least, rule))
                }
                (Why::Header(header), Some(grant)) => (rule.clone(), Some(with_header(grant, header, rule))),
                // At the addresses that the host is granted already.
                (_, Some(grant)) => (rule, added_beside(grant, asked)),
                (_, None) => (rule, added()),
            }
        }
        (Asked::Files(_, path), _) => {
            let place = grants.files.iter().position(|grant| grant.guest == *path);
            let rule = place.map(|place| format!("grants.{}[{place}]", files::NAME));
            match place.and_then(|place| grants.files.get(place)) {
                Some(grant) => (rule.clone(), Some(widened_files(grant, why, rule))),
                None => (None, added()),
            }
        }
        (Asked::Keyvalue(bucket), _) => match &grants.keyvalue {
            Some(grant) => {
                let rule = Some(format!("grants.{}", keyvalue::NAME));
                (rule.clone(), Some(widened_keyvalue(grant, bucket, why, rule)))
            }
            None => (None, added()),
        },
        (Asked::Config(_) | Asked::Env(_) | Asked::Clock | Asked::Random | Asked::Custom(_), _) => {
            (None, added())
        }
    }
}

/// The least grant for a request, with the addresses of another one of the same host.
fn added_beside(grant: &HttpGrant, asked: &Asked) -> Option<Mend> {
    let mut least = Grants::least(asked)?;
    for entry in &mut least.http {
        entry.addresses.extend(
            grant
                .addresses
                .iter()
                .filter(|network| !entry.addresses.contains(network))
                .copied()
                .collect::<Vec<_>>(),
        );
    }
    Some(Mend { line: least.lines().pop()?, replaces: None })
}

/// The bound that would suffice: what is known to, or else twice as much.
pub(super) fn raised(bound: u64, least: Option<u64>) -> u64 {
    least.unwrap_or_else(|| bound.saturating_mul(2)).max(bound.saturating_add(1))
}

fn raised_http(grant: &HttpGrant, bound: &str, least: Option<u64>, rule: Option<String>) -> Option<Mend> {
    let mut grant = grant.clone();
    match bound {
        "requests_max" => {
            grant.requests_max = u32::try_from(raised(grant.requests_max.into(), least)).unwrap_or(u32::MAX);
        }
        "up_bytes_max" => grant.up_bytes_max = raised(grant.up_bytes_max, least),
        "down_bytes_max" => grant.down_bytes_max = raised(grant.down_bytes_max, least),
        _ => return None,
    }
    Some(Mend { line: format!("grants.{} = [{}]", http::NAME, grant.line()), replaces: rule })
}

fn with_header(grant: &HttpGrant, header: GuestHeader, rule: Option<String>) -> Mend {
    let mut grant = grant.clone();
    grant.headers.insert(header);
    Mend { line: format!("grants.{} = [{}]", http::NAME, grant.line()), replaces: rule }
}

fn widened_files(grant: &FilesGrant, why: Why, rule: Option<String>) -> Mend {
    let mut grant = grant.clone();
    let bounds = grant.bounds();
    match (why, bounds) {
        (Why::Bound("files_max", least), Some(bounds)) => {
            grant.files_max = u32::try_from(raised(bounds.files_max.into(), least)).ok();
        }
        (Why::Bound("file_bytes_max", least), Some(bounds)) => {
            let bytes = raised(bounds.file_bytes_max, least);
            grant.file_bytes_max = Some(bytes);
            grant.bytes_max = Some(bounds.bytes_max.max(bytes));
        }
        (Why::Bound(_, least), Some(bounds)) => grant.bytes_max = Some(raised(bounds.bytes_max, least)),
        _ => grant.access = Access::ReadWrite,
    }
    Mend { line: format!("grants.{} = [{}]", files::NAME, grant.line()), replaces: rule }
}

fn widened_keyvalue(grant: &KeyvalueGrant, bucket: &str, why: Why, rule: Option<String>) -> Mend {
    let mut grant = grant.clone();
    match why {
        Why::Bound("keys_max", least) => grant.keys_max = raised(grant.keys_max, least),
        Why::Bound("value_bytes_max", least) => grant.value_bytes_max = raised(grant.value_bytes_max, least),
        Why::Bound("spaces_max", least) => grant.spaces_max = raised(grant.spaces_max, least),
        Why::Bound(_, least) => grant.bytes_max = raised(grant.bytes_max, least),
        Why::NotGranted | Why::Beyond | Why::Address | Why::Header(_) | Why::ReadsOnly | Why::Never => {
            grant.buckets.insert(bucket.to_owned());
        }
    }
    Mend { line: format!("grants.{} = {}", keyvalue::NAME, grant.line()), replaces: rule }
}
