//! Bounds on the cost of the inner door for any input. Allocations are counted, so this is a binary of its own.
//!
//! The corpus: the tools of both registries, and types that are made to be expensive.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::host::{Host, load_registry};
use airlock_contract::arguments;
use airlock_contract::arguments::ArgumentLimits;
use airlock_contract::component::{Function, FunctionDocs};
use airlock_contract::manifest::ToolContract;
use airlock_contract::message;
use airlock_contract::tool::{Contract, Moment};
use airlock_contract::ty::{Case, Field, FunctionTy, Ty};
use airlock_tests::registry;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::{Code, Ran};
use airlock_types::violation::Violation;
use allocation_counter::AllocationInfo;
use serde_json::{Map, Value, json};

/// Most allocations for invalid arguments, as a multiple of those for as many valid values.
const TIMES_MAX: u64 = 50;

/// Most bytes in memory at the same time for one set of arguments, besides the arguments.
const BYTES_MAX: u64 = 64 << 20;

/// Allowance for writing twenty violations, which costs something even for few values.
const FAULTS_COUNT: u64 = 100_000;
const FAULTS_BYTES: u64 = 2 << 20;

/// Number of values that are sent, as far as the limits on arguments allow.
const VALUES: usize = 8_000;

fn contract(params: Vec<Field>, author: ToolContract) -> Contract {
    let ty = FunctionTy { params, result: None };
    let function = Function { interface: None, name: "f".into(), ty: ty.into() };
    Contract::prepare(&function, author, &FunctionDocs::default()).unwrap()
}

fn field(name: &str, ty: Ty) -> Field {
    Field { name: name.into(), ty }
}

fn list(item: Ty) -> Ty {
    Ty::List(Box::new(item))
}

fn option(inner: Ty) -> Ty {
    Ty::Option(Box::new(inner))
}

fn variant(cases: usize, payload: impl Fn(usize) -> Option<Ty>) -> Ty {
    let case = |i| Case { name: format!("a-case-{i}"), ty: payload(i) };
    Ty::Variant((0..cases).map(case).collect())
}

fn record(fields: usize, ty: impl Fn(usize) -> Ty) -> Ty {
    Ty::Record((0..fields).map(|i| field(&format!("a-field-{i}"), ty(i))).collect())
}

/// Types, each named by what is expensive about it.
fn types() -> Vec<(&'static str, Ty)> {
    let leaf = |i: usize| if i.is_multiple_of(2) { Some(Ty::U8) } else { None };
    let nested = |inner: &Ty| variant(5, |_| Some(list(inner.clone())));
    let deep = (0..4).fold(variant(5, leaf), |inner, _| nested(&inner));
    vec![
        ("many cases", list(variant(250, leaf))),
        ("many cases with wide payloads", list(variant(250, |_| Some(record(8, |_| Ty::S64))))),
        ("variants of lists of variants", deep),
        ("options of options", list(option(option(option(variant(20, leaf)))))),
        ("64-bit integers", list(Ty::S64)),
        ("bytes", list(list(Ty::U8))),
        ("wide records", list(record(200, |_| option(Ty::U64)))),
        ("required fields", list(record(200, |_| Ty::String))),
        ("many options", list(Ty::Enum((0..500).map(|i| format!("an-option-{i}")).collect()))),
        ("flags", list(Ty::Flags((0..200).map(|i| format!("a-flag-{i}")).collect()))),
        ("results", list(Ty::Result(Some(Box::new(list(Ty::S64))), Some(Box::new(variant(40, leaf)))))),
        ("maps", Ty::Map(Box::new(Ty::String), Box::new(variant(60, leaf)))),
        ("tuples", list(Ty::Tuple(vec![Ty::U8, option(Ty::S64), variant(30, leaf), list(Ty::Char)]))),
    ]
}

/// A valid value of a type. Lists get the values that are left.
fn valid(ty: &Ty, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    match ty {
        Ty::Bool => json!(true),
        Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64 => json!(7),
        Ty::F32 | Ty::F64 => json!(1.5),
        Ty::Char => json!("c"),
        Ty::String => json!(format!("text {left}")),
        Ty::List(item) if **item == Ty::U8 => json!("aGk="),
        Ty::List(item) => items(*left, left, |left| valid(item, left)),
        Ty::FixedList(item, len) => (0..*len).map(|_| valid(item, left)).collect(),
        Ty::Map(key, value) => {
            let number =
                |left: &usize| if **key == Ty::String { json!(left.to_string()) } else { json!(left) };
            items(*left, left, |left| json!({"key": number(left), "value": valid(value, left)}))
        }
        Ty::Record(fields) => fields
            .iter()
            .map(|field| (field.name.replace('-', "_"), valid(&field.ty, left)))
            .collect::<Map<_, _>>()
            .into(),
        Ty::Tuple(parts) => parts.iter().map(|part| valid(part, left)).collect(),
        Ty::Variant(cases) => {
            let case = &cases[*left % cases.len()];
            tagged(&case.name, case.ty.as_ref(), left)
        }
        Ty::Enum(names) => json!(names[*left % names.len()]),
        Ty::Option(inner) if inner.as_option().is_some() => json!({"some": valid(inner, left)}),
        Ty::Option(inner) => valid(inner, left),
        Ty::Result(ok, _) if left.is_multiple_of(2) => tagged("ok", ok.as_deref(), left),
        Ty::Result(_, err) => tagged("err", err.as_deref(), left),
        Ty::Flags(names) => json!([names[*left % names.len()]]),
    }
}

fn tagged(tag: &str, payload: Option<&Ty>, left: &mut usize) -> Value {
    match payload {
        Some(ty) => json!({"tag": tag, "val": valid(ty, left)}),
        None => json!({"tag": tag}),
    }
}

/// Items for half of the values that are left, so that nested lists get some, too.
fn items(share: usize, left: &mut usize, mut item: impl FnMut(&mut usize) -> Value) -> Value {
    let end = share / 8;
    let mut items = Vec::new();
    while *left > end {
        items.push(item(left));
    }
    items.into()
}

/// Replaces a value by a wrong one; none if the value cannot be wrong in this way.
type Wrong = fn(&Value) -> Option<Value>;

/// Kinds of mistakes. Each is made at every value of the arguments.
fn wrongs() -> Vec<(&'static str, Wrong)> {
    vec![
        ("leaves that are objects", |value| leaf(value).then(|| json!({"no": "such thing"}))),
        ("leaves that are lists", |value| leaf(value).then(|| json!([1]))),
        ("leaves that are null", |value| leaf(value).then_some(Value::Null)),
        ("numbers as text", |value| value.as_i64().map(|_| json!("7.5"))),
        ("numbers out of range", |value| value.as_i64().map(|_| json!(-1e300))),
        ("numbers below", |value| value.as_i64().map(|_| json!(i64::MIN))),
        ("texts that are numbers", |value| value.as_str().map(|_| json!(7))),
        ("tags that do not exist", |value| tag(value, "a-cas")),
        ("tags of another case", |value| tag(value, "a-case-1")),
        ("no tags", |value| value.get("tag").map(|_| json!({"val": 1}))),
        ("variants as bare names", |value| value.get("tag").cloned()),
        ("variants by name", |value| Some(json!({ value.get("tag")?.as_str()?: value.get("val") }))),
        ("misnamed keys", |value| renamed(value, |key| format!("{key}s"))),
        ("keys in another case", |value| renamed(value, str::to_uppercase)),
        ("one more key", |value| {
            let mut object = value.as_object().filter(|object| !object.is_empty())?.clone();
            object.insert("a_fieldd".into(), json!(1));
            Some(object.into())
        }),
        ("objects as text", |value| value.as_object().map(|_| json!(value.to_string()))),
        ("objects as numbers", |value| value.as_object().map(|_| json!(12))),
    ]
}

fn leaf(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn tag(value: &Value, tag: &str) -> Option<Value> {
    let mut object = value.as_object().filter(|object| object.contains_key("tag"))?.clone();
    object.insert("tag".into(), tag.into());
    Some(object.into())
}

fn renamed(value: &Value, name: impl Fn(&str) -> String) -> Option<Value> {
    let object = value.as_object().filter(|object| !object.is_empty())?;
    Some(object.iter().map(|(key, value)| (name(key), value.clone())).collect::<Map<_, _>>().into())
}

/// Applies a mistake to values from the inside out, starting at value number `from`.
fn bend(value: &Value, wrong: Wrong, from: usize, seen: &mut usize) -> Value {
    let inside = match value {
        Value::Array(items) => items.iter().map(|item| bend(item, wrong, from, seen)).collect(),
        Value::Object(object) => {
            let each = object.iter().map(|(key, value)| (key.clone(), bend(value, wrong, from, seen)));
            Value::Object(each.collect())
        }
        leaf => leaf.clone(),
    };
    *seen += 1;
    if *seen > from { wrong(&inside).unwrap_or(inside) } else { inside }
}

/// Runs every step of the inner door, from the text of arguments to the text of the error.
fn judge(contract: &Contract, args: Map<String, Value>) -> Option<Vec<Violation>> {
    let (violations, mended) = contract.validate(args, None).err()?;
    let example = contract.mended(mended, Moment::without_session(0));
    let text = message::text("f", &violations, example.as_ref());
    assert!(text.len() <= message::TEXT_BYTES_MAX);
    Some(violations)
}

fn measured(contract: &Contract, args: &Map<String, Value>) -> (AllocationInfo, Option<Vec<Violation>>) {
    // The arguments are consumed, so a copy is judged. Copying is not measured.
    let (mut found, args) = (None, args.clone());
    let info = allocation_counter::measure(|| found = judge(contract, args));
    (info, found)
}

/// The arguments if they are within the general limits. Others are rejected before they are judged.
fn within_limits(args: &Value) -> Option<&Map<String, Value>> {
    args.as_object().filter(|args| arguments::admit(args, &ArgumentLimits::default()).is_ok())
}

fn check(what: &str, contract: &Contract, good: &Value) {
    let args = within_limits(good).unwrap();
    let (base, found) = measured(contract, args);
    assert_eq!(found, None, "{what}: valid arguments are refused");
    assert!(base.bytes_max <= BYTES_MAX, "{what}: valid arguments take {base:?}");
    let all = count(good);
    for (how, wrong) in wrongs() {
        // All values wrong; then only the last ones, behind many valid ones.
        for from in [0, all / 2, all - all / 50] {
            let bad = bend(good, wrong, from, &mut 0);
            let Some(args) = within_limits(&bad) else { continue };
            let (cost, found) = measured(contract, args);
            let Some(found) = found else { continue };
            let place = format!("{what}, {how} from {from} on: {cost:?} for {base:?}");
            assert!(!found.is_empty() && found.len() <= 20, "{place}");
            assert!(cost.bytes_max <= BYTES_MAX, "{place}");
            assert!(cost.count_total <= TIMES_MAX * base.count_total + FAULTS_COUNT, "{place}");
            assert!(cost.bytes_total <= TIMES_MAX * base.bytes_total + FAULTS_BYTES, "{place}");
        }
    }
}

fn count(value: &Value) -> usize {
    let mut seen = 0;
    bend(value, |_| None, 0, &mut seen);
    seen
}

fn arguments(params: &[Field]) -> Value {
    let left = VALUES / params.len().max(1);
    let each = params.iter().map(|param| (param.name.replace('-', "_"), valid(&param.ty, &mut { left })));
    Value::Object(each.collect())
}

#[test]
fn wrong_arguments_of_hard_types_cost_little_more_than_valid_ones() {
    for (what, ty) in types() {
        let params = vec![field("value", ty)];
        check(what, &contract(params.clone(), ToolContract::default()), &arguments(&params));
    }
}

/// A reported case: 250 cases, 16,000 items, half a megabyte.
#[test]
fn a_list_of_wrong_variants_is_explained_by_twenty_faults() {
    let payload = |i: usize| Some(if i.is_multiple_of(2) { Ty::String } else { record(3, |_| Ty::U32) });
    let contract = contract(vec![field("items", list(variant(250, payload)))], ToolContract::default());
    // The first call compiles the schema, which is bounded by the schema and not by the arguments.
    measured(&contract, within_limits(&json!({"items": []})).unwrap());
    for item in [json!({"tag": "a-case-7777", "val": 1}), json!("a-case-1"), json!({"tag": "a-case-1"})] {
        let args = json!({"items": vec![item; 16_000]});
        let (cost, found) = measured(&contract, within_limits(&args).unwrap());
        assert_eq!(found.unwrap().len(), 20);
        assert!(cost.bytes_max < 1 << 20 && cost.count_total < FAULTS_COUNT, "{cost:?}");
    }
}

#[tokio::test]
async fn wrong_arguments_of_every_tool_of_the_tests_cost_little_more_than_valid_ones() {
    for name in ["example", "hostile"] {
        let file = ConfigFile::read(&registry(name)).unwrap();
        let tools = load_registry(&file, &|_| {}).await.unwrap();
        for tool in tools.tools() {
            let params = &tool.contract.function.ty.params;
            let good = arguments(params);
            // Values are generated from types. If the author's schema refuses them, the tool's example is used.
            let is_valid = |args: &Value| judge(&tool.contract, args.as_object().unwrap().clone()).is_none();
            let good = Some(good).filter(is_valid).or_else(|| tool.contract.example().cloned());
            if let Some(good) = good.filter(is_valid) {
                check(&tool.name, &tool.contract, &good);
            }
        }
    }
}

/// Keywords of an author's schema: nested choices without tags, conditions, and comparisons between items.
#[test]
fn an_authors_own_keywords_cost_no_more() {
    let nested = (0..6).fold(json!({"type": "null"}), |inner, i| {
        let few = json!({"type": "object", "minProperties": 50 + i});
        let items = json!({"type": "object", "properties": {"items": {"items": inner}}});
        json!({"anyOf": [inner, items, few, {"allOf": [inner]}]})
    });
    let schemas = [
        json!({"allOf": [nested]}),
        json!({"not": {"properties": {"items": {"contains": {"const": "text 3"}}}}}),
        json!({"allOf": [{"properties": {"items": {"uniqueItems": true}}}]}),
        json!({"if": {"properties": {"items": {"minItems": 1}}}, "then": {"required": ["other"]}}),
        json!({"allOf": [{"properties": {"items": {"items": {"anyOf": [{"pattern": "^a.*b$"}, {"maxLength": 2}]}}}}]}),
        json!({"dependentRequired": {"items": ["other"]}}),
    ];
    let params = vec![field("items", list(Ty::String)), field("other", option(Ty::U8))];
    let plain = contract(params.clone(), ToolContract::default());
    let args = json!({"items": (0..VALUES).map(|i| format!("text {}", i / 2)).collect::<Vec<_>>()});
    let (base, _) = measured(&plain, args.as_object().unwrap());
    for schema in schemas {
        let mut author = ToolContract::default();
        author.schema = schema.as_object().unwrap().clone();
        let (cost, found) = measured(&contract(params.clone(), author), args.as_object().unwrap());
        let found = found.unwrap();
        assert!(!found.is_empty() && found.len() <= 20, "{schema}: {found:?}");
        assert!(cost.bytes_max <= BYTES_MAX, "{schema}: {cost:?}");
        assert!(
            cost.count_total <= TIMES_MAX * base.count_total + FAULTS_COUNT,
            "{schema}: {cost:?}, {base:?}"
        );
    }
}

/// Size of the pool of blocking threads in the test that occupies all of them.
const BLOCKING: usize = 4;

/// A call of a tool that takes nested lists of strings.
fn echo(args: &Value) -> Call {
    Call::new("types_echo_list", Arguments::Text(args.to_string().into()))
}

/// The runtime has one thread for tasks and a few blocking threads, all occupied. Work that needs one must wait.
#[test]
fn large_arguments_are_judged_off_the_workers_and_within_the_deadline() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(BLOCKING).build().unwrap();
    runtime.block_on(async {
        let file = ConfigFile::read(&registry("hostile")).unwrap();
        let host = Arc::new(Host::builder().registry(&file).open().await.unwrap());
        // The first call of a component maps and links its code, for which it needs one of the threads.
        assert_eq!(host.call(echo(&json!({"value": [["a text"]]}))).await.code, Code::Ok);
        tokio::time::pause();
        let (release, held) = tokio::sync::watch::channel(());
        let hold = |_| {
            let mut held = held.clone();
            tokio::task::spawn_blocking(move || {
                tokio::runtime::Handle::current().block_on(held.changed()).is_err()
            })
        };
        let holders: Vec<_> = (0..BLOCKING).map(hold).collect();

        let large = json!({"value": [vec!["a text"; 20_000], 7]});
        let waiting = tokio::spawn({
            let (host, call) = (host.clone(), echo(&large));
            async move { host.call(call).await }
        });
        // Everything that runs on the runtime's own thread runs here.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let small = host.call(echo(&json!({"value": [["a text"]]}))).await;
        assert_eq!(small.code, Code::Ok);
        assert!(!waiting.is_finished(), "the large one was judged where the small one was");
        tokio::time::advance(Duration::from_millis(file.config.host.call_deadline_ms + 1)).await;
        let reply = waiting.await.unwrap();
        assert_eq!(
            (reply.code, reply.error.as_ref().unwrap().ran),
            (Code::LimitDeadline, Ran::No),
            "{reply:?}"
        );
        assert!(reply.error.unwrap().message.contains("arguments were not checked"));

        drop(release);
        for holder in holders {
            assert!(holder.await.unwrap());
        }
        assert_eq!(host.call(echo(&large)).await.code, Code::ArgsType, "its place was given back");
    });
}
