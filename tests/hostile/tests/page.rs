//! Holds the page of bounds, `docs/internals/hardening.md`, against the code: every listener, every file that is read
//! and every section of a component has a row, and every row about clients is attacked.
//!
//! What must have a row is found in the code each time. There is no list here that could miss a new one.

use std::collections::BTreeSet;
use std::path::Path;

use airlock_hostile::{case, client, stdio};
use wasmparser::{Parser, Payload};

/// Paths in code that open what comes from outside.
const LISTENS: [&str; 4] = ["TcpListener::bind(", "UnixListener::bind(", "UdpSocket::bind(", "io::stdin()"];

/// Paths in code that read a file or list a folder.
const READS: [&str; 10] = [
    "file::read(",
    "file::read_text(",
    "file::open(",
    "file::open_private(",
    "fs::read(",
    "fs::read_to_string(",
    "fs::read_dir(",
    "File::open(",
    "load_native_certs(",
    "open_with_flags(",
];

/// Ways to serve a path that the search for `.route(` would miss.
const OTHER_ROUTES: [&str; 4] = [".nest(", ".nest_service(", ".route_service(", ".fallback_service("];

/// What tries the denied calls from inside the compile process opens nothing that lasts.
const PROBE: &str = "engine/sandbox/confine.rs";

/// Rows about clients that the tests of a module attack, because they need a peer that no case has.
const ATTACKED_ELSEWHERE: [(&str, &str); 2] = [
    ("keys of an OAuth server", "host/server/src/transport/http/jwks/tests.rs"),
    (
        "answers in a session whose connection broke before they were sent, for a client that asks again with `Last-Event-ID`",
        "host/server/src/transport/http/request_ids/unread.rs",
    ),
];

/// A row of the page: its heading, and the text of its columns.
struct Row {
    heading: String,
    input: String,
    places: BTreeSet<String>,
}

fn rows() -> Vec<Row> {
    let page = airlock_tests::root().join("docs/internals/hardening.md");
    let (mut rows, mut heading) = (Vec::new(), String::new());
    for line in std::fs::read_to_string(page).unwrap().lines() {
        if let Some(text) = line.strip_prefix("## ") {
            text.clone_into(&mut heading);
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", input, _, place, _, ""] = cells[..]
            && !["input", "---"].contains(&input)
        {
            let places = place.split('`').skip(1).step_by(2).flat_map(expanded).collect();
            rows.push(Row { heading: heading.clone(), input: input.to_owned(), places });
        }
    }
    assert!(rows.len() > 100, "{}", rows.len());
    rows
}

/// `a/{b,c}.rs` is two paths.
fn expanded(text: &str) -> Vec<String> {
    match text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (among, after))) => {
            among.split(',').map(|one| format!("{before}{one}{after}")).collect()
        }
        None => vec![text.to_owned()],
    }
}

/// The source files of the host without their tests, by their names on the page: `engine/config.rs`.
fn sources() -> Vec<(String, String)> {
    let host = airlock_tests::root().join("host");
    let (mut found, mut folders) = (Vec::new(), vec![host.clone()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && path.file_name().unwrap() != "tests" {
                folders.push(path);
            } else if is_source(&path) {
                let name = path.strip_prefix(&host).unwrap().to_string_lossy().replace("/src/", "/");
                found.push((name, without_tests(&std::fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(found.len() > 200, "{}", found.len());
    found
}

fn is_source(path: &Path) -> bool {
    let is_rust = path.extension().is_some_and(|ext| ext == "rs");
    is_rust
        && path.file_name().unwrap() != "tests.rs"
        && path.components().any(|part| part.as_os_str() == "src")
}

/// The code in front of the tests, without comments.
fn without_tests(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The source files that have any of these paths in them.
fn with_any(wanted: &[&str]) -> BTreeSet<String> {
    let has = |(_, code): &(String, String)| wanted.iter().any(|wanted| code.contains(wanted));
    sources().into_iter().filter(has).map(|(name, _)| name).collect()
}

/// The source files that rows under this heading name.
fn named_under(heading: &str) -> BTreeSet<String> {
    rows().into_iter().filter(|row| row.heading == heading).flat_map(|row| row.places).collect()
}

#[test]
fn every_listener_has_a_row() {
    let (mut listens, rows) = (with_any(&LISTENS), named_under("Listeners and their paths"));
    assert!(listens.remove(PROBE), "`{PROBE}` opens nothing any more; take it out here");
    assert!(listens.len() >= 4, "{listens:?}");
    assert_eq!(
        listens.difference(&rows).collect::<Vec<_>>(),
        [] as [&String; 0],
        "they listen, and have no row"
    );
}

#[test]
fn every_path_that_is_served_has_a_row() {
    let inputs: Vec<String> = rows()
        .into_iter()
        .filter(|row| row.heading == "Listeners and their paths")
        .map(|row| row.input)
        .collect();
    let mut paths = 0;
    for (name, code) in sources() {
        for other in OTHER_ROUTES {
            assert!(
                !code.contains(other),
                "{name} serves paths by `{other}`, in which this test does not look"
            );
        }
        let served = if name.starts_with("server/") { code.as_str() } else { "" };
        for after in served.split(".route(").skip(1) {
            let path = argument(&code, after.trim_start());
            assert!(
                inputs.iter().any(|input| input.contains(&format!("`{path}`"))),
                "{name}: `{path}` has no row"
            );
            paths += 1;
        }
    }
    assert!(paths >= 10, "{paths}");
}

/// The text of a first argument: a literal, or a constant of the same file.
fn argument<'c>(code: &'c str, after: &'c str) -> &'c str {
    let literal = |text: &'c str| text.strip_prefix('"').and_then(|text| text.split('"').next());
    let name = after.split(',').next().unwrap().trim();
    let constant = || code.split(&format!("const {name}: &str = ")).nth(1).and_then(literal);
    literal(after)
        .or_else(constant)
        .unwrap_or_else(|| panic!("`{name}` is no literal and no constant of its file"))
}

#[test]
fn every_file_that_is_read_has_a_row() {
    // The reader itself has the bounds of its callers.
    let (mut reads, rows) = (with_any(&READS), named_under("Files that are read"));
    assert!(reads.remove(PROBE), "`{PROBE}` lists no descriptors any more; take it out here");
    assert!(reads.len() >= 10, "{reads:?}");
    assert_eq!(
        reads.difference(&rows).collect::<Vec<_>>(),
        [] as [&String; 0],
        "they read files, and have no row"
    );
    assert_eq!(
        rows.difference(&reads).collect::<Vec<_>>(),
        [] as [&String; 0],
        "they have a row, and read nothing"
    );
}

/// The kinds of sections that the parser of the host knows, in components and in core modules: it is asked about each
/// number that a section could have.
fn kinds_of_sections() -> BTreeSet<String> {
    let (component, module) = ([0x0d, 0, 1, 0], [1, 0, 0, 0]);
    let mut kinds = BTreeSet::new();
    for version in [component, module] {
        for number in 0..=u8::MAX {
            // One byte that counts nothing, and an empty module where one is expected.
            for inside in [&b"\0"[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0", b"\0\0\0"] {
                let bytes = [b"\0asm", &version[..], &[number, inside.len() as u8], inside].concat();
                let section = Parser::new(0).parse_all(&bytes).nth(1);
                kinds.extend(section.and_then(Result::ok).and_then(|payload| kind(&payload)));
            }
        }
    }
    kinds
}

/// The name of a section's kind; none for what is no section, or of no known kind.
fn kind(payload: &Payload<'_>) -> Option<String> {
    let shown = format!("{payload:?}");
    let name: String = shown.chars().take_while(|letter| letter.is_alphanumeric()).collect();
    name.contains("Section")
        .then_some(name)
        .filter(|name| name != "UnknownSection" && name != "CodeSectionEntry")
}

#[test]
fn every_section_of_a_component_has_a_row_and_a_hostile_case() {
    let kinds = kinds_of_sections();
    assert!(kinds.len() >= 24 && kinds.contains("ComponentTypeSection"), "{kinds:?}");
    let named: BTreeSet<String> = rows()
        .into_iter()
        .filter(|row| row.heading == "Sections of a component")
        .flat_map(|row| sections_in(&row.input))
        .collect();
    assert_eq!(kinds, named, "the kinds of sections, and those that have a row");
    let attacked: BTreeSet<String> = case::all()
        .unwrap()
        .iter()
        .filter(|case| case.is_made_here() && case.is_small())
        .flat_map(|case| sections_of(&case.bytes().unwrap()))
        .collect();
    assert_eq!(
        kinds.difference(&attacked).collect::<Vec<_>>(),
        [] as [&String; 0],
        "no hostile case has them"
    );
}

fn sections_in(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The kinds of sections of a component, as far as it can be parsed.
fn sections_of(bytes: &[u8]) -> BTreeSet<String> {
    Parser::new(0).parse_all(bytes).map_while(Result::ok).filter_map(|payload| kind(&payload)).collect()
}

#[test]
fn every_row_about_clients_is_attacked_and_every_attack_has_a_row() {
    let rows = rows();
    let http = client::all().unwrap().into_iter().map(|case| (case.name, case.bound));
    let stdio = stdio::all().unwrap().into_iter().map(|case| (case.name, case.bound));
    let attacks: Vec<(String, String)> = http.chain(stdio).collect();
    assert!(attacks.len() > 80, "{}", attacks.len());
    let inputs: BTreeSet<&str> = rows.iter().map(|row| &*row.input).collect();
    for (name, bound) in &attacks {
        assert!(inputs.contains(&**bound), "`{name}` attacks {bound:?}, which has no row");
    }
    for (_, place) in ATTACKED_ELSEWHERE {
        assert!(airlock_tests::root().join(place).is_file(), "{place}");
    }
    for row in rows.iter().filter(|row| row.heading.starts_with("Clients over")) {
        let here = attacks.iter().any(|(_, bound)| *bound == row.input);
        let elsewhere = ATTACKED_ELSEWHERE.iter().any(|(input, _)| *input == row.input);
        assert!(here || elsewhere, "no hostile client attacks {:?}", row.input);
    }
}
