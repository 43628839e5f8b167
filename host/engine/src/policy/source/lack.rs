//! The line that grants what a tool needs, beside what is there.

use airlock_types::grant::{Access, FilesGrant, Grants, HttpGrant, Narrowing, files, http, keyvalue, values};
use toml::{Table, Value};

use super::caller;
use super::mend::{Mend, files_lines, http_lines, in_list, in_table};

/// The line, made of one that would be the only grant of its capability. `of_caller` is the entry that it belongs to, if it
/// is not that of the tool.
pub(super) fn mend(alone: &str, grants: &Grants, of_caller: Option<&Narrowing>) -> Mend {
    merged(alone, grants, of_caller).unwrap_or_else(|| Mend::setting(alone.to_owned()))
}

fn merged(alone: &str, grants: &Grants, of_caller: Option<&Narrowing>) -> Option<Mend> {
    let setting = alone.parse::<Table>().ok()?.remove("grants")?;
    let (name, value) = setting.as_table()?.iter().next()?;
    let entry = || alone.split_once("= [")?.1.strip_suffix(']').map(str::to_owned);
    let key = || Some(value.as_table()?.keys().next()?.clone());
    match name.as_str() {
        http::NAME => {
            let entries = of_caller.map_or_else(|| http_lines(grants), |own| caller::lines(&own.http));
            let reached = of_caller.is_none().then(|| at_addresses(value, grants)).flatten();
            Some(in_list(http::NAME, entries, reached.or_else(entry)?, None))
        }
        files::NAME => Some(match (of_caller, same_folder(value, grants)) {
            (Some(own), _) => match tools_folder(value, grants) {
                Some((granted, access)) => caller::left_folder(&own.files, granted, access).1,
                None => in_list(files::NAME, caller::lines(&own.files), entry()?, None),
            },
            // A folder has one entry, which gets the access that is asked for.
            (None, Some((place, wider))) => in_list(files::NAME, files_lines(grants), wider, Some(place)),
            (None, None) => in_list(files::NAME, files_lines(grants), entry()?, None),
        }),
        values::CONFIG => Some(match of_caller {
            Some(own) => caller::left_value(&own.config, values::CONFIG, &key()?),
            None => in_table(values::CONFIG, !grants.config.is_empty(), &key()?),
        }),
        values::ENV => Some(match of_caller {
            Some(own) => caller::left_value(&own.env, values::ENV, &key()?),
            None => in_table(values::ENV, !grants.env.is_empty(), &key()?),
        }),
        keyvalue::NAME => with_buckets(value, grants, of_caller),
        _ => None,
    }
}

/// The grant of a host that is asked for, with the addresses of another grant of it. `None` where there are none.
fn at_addresses(asked: &Value, grants: &Grants) -> Option<String> {
    let mut asked: HttpGrant = asked.as_array()?.first()?.clone().try_into().ok()?;
    let others = grants.http.iter().filter(|grant| grant.host == asked.host);
    for network in others.flat_map(|grant| &grant.addresses) {
        if !asked.addresses.contains(network) {
            asked.addresses.push(*network);
        }
    }
    (!asked.addresses.is_empty()).then(|| asked.line())
}

/// The grant of a folder that is asked for, with its place, for writing: reading is what each has.
fn same_folder(asked: &Value, grants: &Grants) -> Option<(usize, String)> {
    let guest = asked.as_array()?.first()?.get("guest")?.as_str()?;
    let place = grants.files.iter().position(|grant| files::is_same(&grant.guest, guest))?;
    let wider = FilesGrant { access: Access::ReadWrite, ..grants.files.get(place)?.clone() };
    Some((place, wider.line()))
}

/// The tool's own grant of a folder that is asked for, with the access.
fn tools_folder<'g>(asked: &Value, grants: &'g Grants) -> Option<(&'g FilesGrant, Access)> {
    let asked = asked.as_array()?.first()?;
    let guest = asked.get("guest")?.as_str()?;
    let access = match asked.get("access") {
        Some(access) => access.clone().try_into().ok()?,
        None => Access::default(),
    };
    let granted = grants.files.iter().find(|grant| files::is_same(&grant.guest, guest))?;
    Some((granted, access))
}

/// A grant of buckets that is there already, with those that are asked for.
fn with_buckets(asked: &Value, grants: &Grants, of_caller: Option<&Narrowing>) -> Option<Mend> {
    let asked = match asked.get("buckets") {
        Some(buckets) => {
            buckets.as_array()?.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
        }
        None => keyvalue::buckets(),
    };
    let line = match of_caller {
        Some(own) => {
            let mut own = own.keyvalue.clone()?;
            own.buckets.extend(asked);
            caller::line(&own)
        }
        None => {
            let mut own = grants.keyvalue.clone()?;
            own.buckets.extend(asked);
            own.line()
        }
    };
    Some(Mend::whole(format!("grants.{} = {line}", keyvalue::NAME)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(grants: serde_json::Value, alone: &str, line: &str) {
        let grants: Grants = serde_json::from_value(grants).unwrap();
        assert_eq!(mend(alone, &grants, None).line, line);
    }

    #[test]
    fn what_is_granted_already_stays_in_the_line() {
        let b = "grants.http = [{ host = \"b\" }]";
        check(json!({}), b, b);
        check(json!({"http": [{"host": "a"}]}), b, "grants.http = [{ host = \"a\" }, { host = \"b\" }]");
        check(
            json!({"http": [{"host": "b", "addresses": ["10.0.0.0/8"]}]}),
            "grants.http = [{ host = \"b\", methods = [\"POST\"] }]",
            "grants.http = [{ host = \"b\", addresses = [\"10.0.0.0/8\"] }, \
             { host = \"b\", methods = [\"POST\"], addresses = [\"10.0.0.0/8\"] }]",
        );
        check(
            json!({"files": [{"host": "d", "guest": "/d"}]}),
            "grants.files = [{ host = \"…\", guest = \"/e\" }]",
            "grants.files = [{ host = \"d\", guest = \"/d\" }, { host = \"…\", guest = \"/e\" }]",
        );
        check(
            json!({"files": [{"host": "d", "guest": "/d"}, {"host": "e", "guest": "/e"}]}),
            "grants.files = [{ host = \"…\", guest = \"/d\", access = \"read-write\" }]",
            "grants.files = [{ host = \"d\", guest = \"/d\", access = \"read-write\" }, { host = \"e\", guest = \"/e\" }]",
        );
        let region = "grants.config = { region = \"…\" }";
        check(json!({"config": {"size": "1"}}), region, "grants.config.region = \"VALUE\"");
        check(
            json!({"keyvalue": {"buckets": ["a"], "keys_max": 2}}),
            "grants.keyvalue = { buckets = [\"b\"] }",
            "grants.keyvalue = { buckets = [\"a\", \"b\"], keys_max = 2 }",
        );
        check(json!({"http": [{"host": "a"}]}), "grants.clock = true", "grants.clock = true");
        let caller: Narrowing = serde_json::from_value(json!({"config": ["a"]})).unwrap();
        let mended = mend(region, &Grants::default(), Some(&caller));
        assert_eq!(mended.line, "grants.config = [\"a\", \"region\"]");
        // A caller's entry names the folder that the tool has.
        let granted = json!({"files": [{"host": "d", "guest": "/d", "access": "read-write"}]});
        let granted: Grants = serde_json::from_value(granted).unwrap();
        let mended = mend("grants.files = [{ host = \"…\", guest = \"/d\" }]", &granted, Some(&caller));
        assert_eq!(mended.line, "grants.files = [{ access = \"read\", guest = \"/d\", host = \"d\" }]");
    }
}
