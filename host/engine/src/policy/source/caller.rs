//! The line of a caller's entry that would leave a use which the tool itself has: one that is added, or the one that refused
//! it, widened.

use std::path::PathBuf;

use serde::Serialize;

use super::mend::{Mend, in_list, in_table, raised};
use airlock_types::grant::http::GuestHeader;
use airlock_types::grant::narrowing::{FilesNarrowing, HttpNarrowing, Keys, KeyvalueNarrowing};
use airlock_types::grant::{
    Access, Asked, FilesGrant, Grants, Narrowing, Why, files, http, keyvalue, text_line, values,
};

/// The setting of a caller's entry that refused a use, and the line that would leave it. `None` where the entry is not what
/// refused it: a bound of the tool's own grant is reached first. `tried` are the grants of `report` that are in force.
pub(super) fn mend(
    own: &Narrowing,
    grants: &Grants,
    tried: Option<&Grants>,
    (asked, why): (&Asked, Why),
) -> Option<(Option<String>, Mend)> {
    match (asked, why) {
        (_, Why::ReadsOnly | Why::Never | Why::NoSession | Why::NoCaller) => None,
        (Asked::Http(target, _), Why::Bound(..) | Why::Header(_)) => {
            let (place, entry) = own
                .http
                .iter()
                .enumerate()
                .find(|(_, entry)| entry.admits(target) && is_less(entry, grants, asked, why))?;
            Some(replaced(http::NAME, place, &own.http, &widened_http(entry, why)?))
        }
        (Asked::Files(_, path), Why::Bound(bound, least)) => {
            let granted = grants.files.iter().find(|grant| files::is_same(&grant.guest, path))?;
            // Of several that leave the folder the last one counts. One with a host may be of another tool's folder.
            let is_of = |entry: &FilesNarrowing| entry.host.as_ref().is_none_or(|host| *host == granted.host);
            let admitting = || {
                let entries = own.files.iter().enumerate();
                entries.filter(|(_, entry)| entry.admits(Access::ReadWrite, path)).rev()
            };
            let (place, entry) =
                admitting().find(|(_, entry)| is_of(entry)).or_else(|| admitting().next())?;
            let granted = granted.bounds()?;
            let most = match bound {
                "files_max" => granted.files_max.into(),
                "file_bytes_max" => granted.file_bytes_max,
                _ => granted.bytes_max,
            };
            Some(replaced(files::NAME, place, &own.files, &widened_files(entry, bound, least, most)?))
        }
        (Asked::Keyvalue(_), Why::Bound(bound, least)) => {
            let (entry, granted) = (own.keyvalue.as_ref()?, grants.keyvalue.as_ref()?);
            let most = match bound {
                "keys_max" => granted.keys_max,
                "value_bytes_max" => granted.value_bytes_max,
                "spaces_max" => granted.spaces_max,
                _ => granted.bytes_max,
            };
            Some(whole_keyvalue(&widened_keyvalue(entry, bound, least, most)?))
        }
        (_, Why::Bound(..) | Why::Header(_)) => None,
        (_, Why::NotGranted | Why::Beyond | Why::Address) => {
            let having = [Some(grants), tried].into_iter().flatten().find(|grants| grants.admits(asked))?;
            left(own, having, asked)
        }
    }
}

/// The line that leaves a use of something new. `having` has it.
fn left(own: &Narrowing, having: &Grants, asked: &Asked) -> Option<(Option<String>, Mend)> {
    let added = |mend: Mend| Some((None, mend));
    match asked {
        Asked::Http(..) => {
            let entry = Grants::least(asked)?.http.first()?.line();
            added(in_list(http::NAME, lines(&own.http), entry, None))
        }
        Asked::Config(key) => added(left_value(&own.config, values::CONFIG, key)),
        Asked::Env(key) => added(left_value(&own.env, values::ENV, key)),
        Asked::Files(access, path) => {
            let same = having.files.iter().find(|grant| files::is_same(&grant.guest, path));
            let granted = same.or_else(|| having.files.iter().find(|grant| grant.admits(*access, path)))?;
            Some(left_folder(&own.files, granted, *access))
        }
        Asked::Keyvalue(bucket) if own.keyvalue.is_some() => {
            let mut entry = own.keyvalue.clone()?;
            entry.buckets.insert(bucket.clone());
            Some(whole_keyvalue(&entry))
        }
        Asked::Keyvalue(_) | Asked::Clock | Asked::Random | Asked::Custom(_) => {
            added(Mend::setting(Grants::least(asked)?.lines().pop()?))
        }
    }
}

/// The line that leaves this folder, and none that another tool has at the same path: the entry has the host of the grant.
pub(super) fn left_folder(
    own: &[FilesNarrowing],
    granted: &FilesGrant,
    access: Access,
) -> (Option<String>, Mend) {
    let FilesGrant { host, guest, .. } = granted;
    let former = |of: Option<&PathBuf>| {
        let mut entries = own.iter().enumerate();
        entries.find(|(_, entry)| entry.host.as_ref() == of && files::is_same(&entry.guest, guest))
    };
    if let Some((place, entry)) = former(Some(host)) {
        let widened = FilesNarrowing { access: entry.access.max(access), ..entry.clone() };
        return replaced(files::NAME, place, own, &widened);
    }
    let host = Some(host.clone());
    let entry = match former(None) {
        // It stays as it is, as it is of the folders of other tools, too. What it bounds stays bounded.
        Some((_, entry)) => FilesNarrowing { host, access: entry.access.max(access), ..entry.clone() },
        None => FilesNarrowing {
            guest: guest.clone(),
            access,
            host,
            bytes_max: None,
            files_max: None,
            file_bytes_max: None,
        },
    };
    (None, in_list(files::NAME, lines(own), line(&entry), None))
}

/// Values are the tool's, so that a key is enough; a table of values has one more.
pub(super) fn left_value(own: &Keys, name: &str, key: &str) -> Mend {
    match own {
        Keys::Listed(keys) => {
            let keys = keys.iter().map(|key| text_line(key)).collect();
            in_list(name, keys, text_line(key), None)
        }
        Keys::Valued(values) => in_table(name, !values.is_empty(), key),
    }
}

/// An entry as a registry writes it.
pub(super) fn line(entry: &impl Serialize) -> String {
    toml::Value::try_from(entry).map(|entry| entry.to_string()).unwrap_or_default()
}

pub(super) fn lines(entries: &[impl Serialize]) -> Vec<String> {
    entries.iter().map(line).collect()
}

fn replaced<E: Serialize>(name: &str, place: usize, own: &[E], entry: &E) -> (Option<String>, Mend) {
    (Some(format!("grants.{name}[{place}]")), in_list(name, lines(own), line(entry), Some(place)))
}

fn whole_keyvalue(entry: &KeyvalueNarrowing) -> (Option<String>, Mend) {
    let setting = format!("grants.{}", keyvalue::NAME);
    let line = format!("{setting} = {}", line(entry));
    (Some(setting), Mend::whole(line))
}

/// Whether the entry leaves less of it than the tool's grant has.
fn is_less(entry: &HttpNarrowing, grants: &Grants, asked: &Asked, why: Why) -> bool {
    let Asked::Http(target, _) = asked else { return false };
    let Some(grant) = grants.http.iter().find(|grant| grant.admits(target)) else { return false };
    let HttpNarrowing { requests_max, up_bytes_max, down_bytes_max, headers, .. } = entry;
    match why {
        Why::Bound("requests_max", _) => requests_max.is_some_and(|own| own < grant.requests_max),
        Why::Bound("up_bytes_max", _) => up_bytes_max.is_some_and(|own| own < grant.up_bytes_max),
        Why::Bound("down_bytes_max", _) => down_bytes_max.is_some_and(|own| own < grant.down_bytes_max),
        Why::Header(header) => {
            grant.headers.contains(&header) && headers.as_ref().is_some_and(|own| !own.contains(&header))
        }
        Why::Bound(..)
        | Why::NotGranted
        | Why::Beyond
        | Why::Address
        | Why::ReadsOnly
        | Why::Never
        | Why::NoSession
        | Why::NoCaller => false,
    }
}

fn widened_http(entry: &HttpNarrowing, why: Why) -> Option<HttpNarrowing> {
    let mut entry = entry.clone();
    let up = |bound: &mut Option<u64>, least| *bound = bound.map(|own| raised(own, least));
    match why {
        Why::Bound("requests_max", least) => {
            let own = entry.requests_max.map(|own| raised(own.into(), least));
            entry.requests_max = own.map(|own| u32::try_from(own).unwrap_or(u32::MAX));
        }
        Why::Bound("up_bytes_max", least) => up(&mut entry.up_bytes_max, least),
        Why::Bound("down_bytes_max", least) => up(&mut entry.down_bytes_max, least),
        Why::Header(header) => add_header(&mut entry, header),
        Why::Bound(..)
        | Why::NotGranted
        | Why::Beyond
        | Why::Address
        | Why::ReadsOnly
        | Why::Never
        | Why::NoSession
        | Why::NoCaller => return None,
    }
    Some(entry)
}

fn add_header(entry: &mut HttpNarrowing, header: GuestHeader) {
    entry.headers.iter_mut().for_each(|headers| {
        headers.insert(header);
    });
}

fn widened_files(
    entry: &FilesNarrowing,
    bound: &str,
    least: Option<u64>,
    most: u64,
) -> Option<FilesNarrowing> {
    let mut entry = entry.clone();
    if bound == "files_max" {
        let own = entry.files_max.filter(|own| u64::from(*own) < most)?;
        entry.files_max = u32::try_from(raised(own.into(), least)).ok();
        return Some(entry);
    }
    let place = if bound == "file_bytes_max" { &mut entry.file_bytes_max } else { &mut entry.bytes_max };
    *place = Some(raised((*place).filter(|own| *own < most)?, least));
    Some(entry)
}

fn widened_keyvalue(
    entry: &KeyvalueNarrowing,
    bound: &str,
    least: Option<u64>,
    most: u64,
) -> Option<KeyvalueNarrowing> {
    let mut entry = entry.clone();
    let place = match bound {
        "keys_max" => &mut entry.keys_max,
        "value_bytes_max" => &mut entry.value_bytes_max,
        "spaces_max" => &mut entry.spaces_max,
        _ => &mut entry.bytes_max,
    };
    *place = Some(raised((*place).filter(|own| *own < most)?, least));
    Some(entry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Tries a use of `/d`, which the tool may write to and which is the folder `data`.
    #[track_caller]
    fn check(own: serde_json::Value, why: Why, entry: Option<&str>, line: &str) {
        let own: Narrowing = serde_json::from_value(json!({ "files": own })).unwrap();
        let grants = json!({"files": [{"host": "data", "guest": "/d", "access": "read-write"}]});
        let grants: Grants = serde_json::from_value(grants).unwrap();
        let asked = Asked::Files(Access::ReadWrite, "/d".to_owned());
        let (found, mend) = mend(&own, &grants, None, (&asked, why)).unwrap();
        assert_eq!((found.as_deref(), &*mend.line), (entry, &*format!("grants.files = [{line}]")));
    }

    #[test]
    fn the_line_for_a_folder_leaves_none_of_another_tool_at_the_same_path() {
        let check_left =
            |own: serde_json::Value, entry: Option<&str>, line: &str| check(own, Why::Beyond, entry, line);
        let new = r#"{ access = "read-write", guest = "/d", host = "data" }"#;
        check_left(json!([]), None, new);
        check_left(json!([{"host": "data", "guest": "/d"}]), Some("grants.files[0]"), new);
        let other = r#"{ access = "read-write", guest = "/d", host = "private" }"#;
        check_left(
            json!([{"host": "private", "guest": "/d", "access": "read-write"}, {"host": "data", "guest": "/d", "bytes_max": 3}]),
            Some("grants.files[1]"),
            &format!(r#"{other}, {{ access = "read-write", bytes_max = 3, guest = "/d", host = "data" }}"#),
        );
        // An entry of each tool's folder is not widened.
        let of_each = r#"{ access = "read", files_max = 1, guest = "/d" }"#;
        check_left(
            json!([{"guest": "/d", "files_max": 1}]),
            None,
            &format!(r#"{of_each}, {{ access = "read-write", files_max = 1, guest = "/d", host = "data" }}"#),
        );
        // Nor is the entry of another folder where a bound is reached.
        check(
            json!([
                {"host": "data", "guest": "/d", "access": "read-write", "bytes_max": 3},
                {"host": "private", "guest": "/d", "access": "read-write", "bytes_max": 3},
            ]),
            Why::Bound("bytes_max", Some(5)),
            Some("grants.files[0]"),
            r#"{ access = "read-write", bytes_max = 5, guest = "/d", host = "data" }, { access = "read-write", bytes_max = 3, guest = "/d", host = "private" }"#,
        );
    }
}
