//! The nearest grant that would allow a refused use: one that is added, or the one that refused it, widened.
//!
//! Owns that the line can be pasted: a list that is there already is printed whole, with its other entries as they are. Must
//! not know the places of a file.

use airlock_types::grant::http::GuestHeader;
use airlock_types::grant::{
    Access, Asked, FilesGrant, Grants, HttpGrant, KeyvalueGrant, VALUE, Why, files, http, keyvalue, text_key,
    text_line, values,
};

/// Length of the longest list that is printed whole, in bytes. An attempt may be refused many uses, and each is on record
/// with its line.
const LIST_BYTES_MAX: usize = 16 << 10;

/// A line of a registry that would allow a use.
#[derive(Debug)]
pub(super) struct Mend {
    pub(super) line: String,
    pub(super) goes: Goes,
}

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// Into the place of the setting of its name, if that is written.
    Setting,
    /// Into the place of the setting of its name, which it has whole.
    Whole,
    /// Beside the entries of the list of its name: the list is too long to be printed whole.
    Beside,
}

impl Mend {
    pub(super) fn setting(line: String) -> Mend {
        Mend { line, goes: Goes::Setting }
    }

    pub(super) fn whole(line: String) -> Mend {
        Mend { line, goes: Goes::Whole }
    }

    /// The name of the setting, below its table.
    pub(super) fn name(&self) -> &str {
        self.line.split_once(" = ").map_or(&self.line, |(name, _)| name)
    }
}

/// The line of a list with an entry at a place in it: of another one, or behind all.
pub(super) fn in_list(name: &str, entries: Vec<String>, entry: String, place: Option<usize>) -> Mend {
    let alone = format!("grants.{name} = [{entry}]");
    let goes = if entries.is_empty() { Goes::Setting } else { Goes::Whole };
    let mut entries = entries;
    match place.and_then(|place| entries.get_mut(place)) {
        Some(former) => *former = entry,
        None => entries.push(entry),
    }
    let line = format!("grants.{name} = [{}]", entries.join(", "));
    if line.len() > LIST_BYTES_MAX {
        return Mend { line: alone, goes: Goes::Beside };
    }
    Mend { line, goes }
}

/// The line of one more value. Those that are there are not repeated: no record has a value of the operator.
pub(super) fn in_table(name: &str, is_there: bool, key: &str) -> Mend {
    let key = text_key(key);
    let value = text_line(VALUE);
    let line = match is_there {
        true => format!("grants.{name}.{key} = {value}"),
        false => format!("grants.{name} = {{ {key} = {value} }}"),
    };
    Mend::setting(line)
}

/// The setting that refused a use, below the table of its tool, and the line that would allow it.
pub(super) fn mend(grants: &Grants, asked: &Asked, why: Why) -> (Option<String>, Option<Mend>) {
    let added = || Grants::least(asked).and_then(|least| beside(grants, least, asked));
    match (asked, why) {
        (_, Why::Never | Why::NoSession | Why::NoCaller) => (None, None),
        (_, Why::ReadsOnly) => (None, Some(Mend::whole("effects = \"write\"".to_owned()))),
        (Asked::Http(target, _), _) => {
            let entry = |is: &dyn Fn(&HttpGrant) -> bool| grants.http.iter().position(is);
            let place = entry(&|grant| grant.admits(target))
                .or_else(|| entry(&|grant| grant.extent().has_host(&target.host)));
            let rule = place.map(|place| format!("grants.{}[{place}]", http::NAME));
            let granted = place.and_then(|place| grants.http.get(place));
            let widened = match (why, granted) {
                (Why::Bound(bound, least), Some(grant)) => raised_http(grant, bound, least),
                (Why::Header(header), Some(grant)) => Some(with_header(grant, header)),
                // At the addresses that the host is granted already.
                (_, Some(grant)) => return (rule, at_addresses(grants, grant, asked)),
                (_, None) => return (rule, added()),
            };
            (rule, widened.map(|widened| in_list(http::NAME, http_lines(grants), widened.line(), place)))
        }
        (Asked::Files(_, path), _) => {
            let place = grants.files.iter().position(|grant| files::is_same(&grant.guest, path));
            let rule = place.map(|place| format!("grants.{}[{place}]", files::NAME));
            match place.and_then(|place| grants.files.get(place)) {
                Some(grant) => {
                    let widened = widened_files(grant, why).line();
                    (rule, Some(in_list(files::NAME, files_lines(grants), widened, place)))
                }
                None => (None, added()),
            }
        }
        (Asked::Keyvalue(bucket), _) => match &grants.keyvalue {
            Some(grant) => {
                let rule = Some(format!("grants.{}", keyvalue::NAME));
                (rule, Some(widened_keyvalue(grant, bucket, why)))
            }
            None => (None, added()),
        },
        (Asked::Config(_) | Asked::Env(_) | Asked::Clock | Asked::Random | Asked::Custom(_), _) => {
            (None, added())
        }
    }
}

/// The least grant of a use, beside what is granted.
pub(super) fn beside(grants: &Grants, least: Grants, asked: &Asked) -> Option<Mend> {
    match asked {
        Asked::Http(..) => {
            let entry = least.http.first()?.line();
            Some(in_list(http::NAME, http_lines(grants), entry, None))
        }
        Asked::Files(..) => {
            let entry = least.files.first()?.line();
            Some(in_list(files::NAME, files_lines(grants), entry, None))
        }
        Asked::Config(key) => Some(in_table(values::CONFIG, !grants.config.is_empty(), key)),
        Asked::Env(key) => Some(in_table(values::ENV, !grants.env.is_empty(), key)),
        Asked::Keyvalue(_) | Asked::Clock | Asked::Random | Asked::Custom(_) => {
            Some(Mend::setting(least.lines().pop()?))
        }
    }
}

pub(super) fn http_lines(grants: &Grants) -> Vec<String> {
    grants.http.iter().map(HttpGrant::line).collect()
}

pub(super) fn files_lines(grants: &Grants) -> Vec<String> {
    grants.files.iter().map(FilesGrant::line).collect()
}

/// The least grant for a request, with the addresses of another one of the same host.
fn at_addresses(grants: &Grants, grant: &HttpGrant, asked: &Asked) -> Option<Mend> {
    let mut least = Grants::least(asked)?;
    for entry in &mut least.http {
        let more = grant.addresses.iter().filter(|network| !entry.addresses.contains(network));
        let more: Vec<_> = more.copied().collect();
        entry.addresses.extend(more);
    }
    beside(grants, least, asked)
}

/// The bound that would suffice: what is known to, or else twice as much.
pub(super) fn raised(bound: u64, least: Option<u64>) -> u64 {
    least.unwrap_or_else(|| bound.saturating_mul(2)).max(bound.saturating_add(1))
}

fn raised_http(grant: &HttpGrant, bound: &str, least: Option<u64>) -> Option<HttpGrant> {
    let mut grant = grant.clone();
    match bound {
        "requests_max" => {
            grant.requests_max = u32::try_from(raised(grant.requests_max.into(), least)).unwrap_or(u32::MAX);
        }
        "up_bytes_max" => grant.up_bytes_max = raised(grant.up_bytes_max, least),
        "down_bytes_max" => grant.down_bytes_max = raised(grant.down_bytes_max, least),
        _ => return None,
    }
    Some(grant)
}

fn with_header(grant: &HttpGrant, header: GuestHeader) -> HttpGrant {
    let mut grant = grant.clone();
    grant.headers.insert(header);
    grant
}

fn widened_files(grant: &FilesGrant, why: Why) -> FilesGrant {
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
    grant
}

fn widened_keyvalue(grant: &KeyvalueGrant, bucket: &str, why: Why) -> Mend {
    let mut grant = grant.clone();
    match why {
        Why::Bound("keys_max", least) => grant.keys_max = raised(grant.keys_max, least),
        Why::Bound("value_bytes_max", least) => grant.value_bytes_max = raised(grant.value_bytes_max, least),
        Why::Bound("spaces_max", least) => grant.spaces_max = raised(grant.spaces_max, least),
        Why::Bound(_, least) => grant.bytes_max = raised(grant.bytes_max, least),
        Why::NotGranted
        | Why::Beyond
        | Why::Address
        | Why::Header(_)
        | Why::ReadsOnly
        | Why::Never
        | Why::NoSession
        | Why::NoCaller => {
            grant.buckets.insert(bucket.to_owned());
        }
    }
    Mend::whole(format!("grants.{} = {}", keyvalue::NAME, grant.line()))
}
