//! The function that contracts, arguments and expressions are fuzzed against, and values of its types.

use std::sync::LazyLock;

use airlock_contract::Val;
use airlock_contract::component::{Function, FunctionDocs};
use airlock_contract::expression::{Bindings, COST_MAX, Expression, Judgement};
use airlock_contract::lower;
use airlock_contract::manifest::Manifest;
use airlock_contract::tool::Contract;
use airlock_contract::ty::{Case, Field, FunctionTy, Ty};
use serde_json::{Value, json};

/// Longest explanation of a rule that fails, in bytes.
const EXPLANATION_BYTES_MAX: usize = 64 << 10;

/// What the author says of the function: each kind of constraint once.
const CONTRACT: &str = r#"
effects = "read"
[tool.find.args]
"text" = { minLength = 1, maxLength = 40, pattern = "^[a-z ]*$" }
"n" = { minimum = -5, maximum = 9007199254740993 }
"items" = { maxItems = 5 }
[[tool.find.require]]
that = "size(args.items) <= 5 || args.n > 0"
message = "ask for fewer"
"#;

fn field(name: &str, ty: Ty) -> Field {
    Field { name: name.into(), ty }
}

fn list(item: Ty) -> Ty {
    Ty::List(Box::new(item))
}

fn option(inner: Ty) -> Ty {
    Ty::Option(Box::new(inner))
}

/// A function with each type constructor in its parameters or in its result.
pub(crate) fn function() -> Function {
    let names = || vec!["red".into(), "dark-green".into()];
    let case = |name: &str, ty| Case { name: name.into(), ty };
    let shape = Ty::Variant(vec![case("point", None), case("circle", Some(Ty::F64))]);
    let item = Ty::Record(vec![
        field("id", Ty::U64),
        field("is-open", option(Ty::Bool)),
        field("color", Ty::Enum(names())),
    ]);
    let params = vec![
        field("text", Ty::String),
        field("n", option(Ty::S64)),
        field("ratio", option(option(Ty::F32))),
        field("items", list(item.clone())),
        field("bytes", option(list(Ty::U8))),
        field("colors", option(Ty::Flags(names()))),
        field("shape", option(shape)),
        field("pair", option(Ty::Tuple(vec![Ty::Char, Ty::S8]))),
        field("three", option(Ty::FixedList(Box::new(Ty::U16), 3))),
        field("by-name", option(Ty::Map(Box::new(Ty::String), Box::new(Ty::U32)))),
        field("either", option(Ty::Result(Some(Box::new(Ty::S32)), None))),
    ];
    let result = Ty::Record(vec![
        field("items", list(item)),
        field("total", Ty::F64),
        field("note", option(Ty::String)),
    ]);
    Function { interface: None, name: "find".into(), ty: FunctionTy { params, result: Some(result) }.into() }
}

/// The contract of the function.
pub(crate) fn contract() -> Result<Contract, String> {
    let functions = [function()];
    let bound = Manifest::parse(CONTRACT, "contract.toml").and_then(|manifest| manifest.bind(&functions));
    let author = bound.map_err(|problems| problems.render(false))?.remove("find").unwrap_or_default();
    Contract::prepare(&functions[0], author, &FunctionDocs::default()).map_err(|err| err.to_string())
}

/// Arguments and results: plain ones, empty ones, and those at the edges of their types.
static VALUES: LazyLock<Vec<(Vec<Val>, Val)>> = LazyLock::new(|| {
    let plain = json!({"id": 7, "is_open": true, "color": "red"});
    let edge = json!({"id": u64::MAX, "is_open": null, "color": "dark-green"});
    let all = json!({
        "text": "héllo", "n": i64::MIN, "ratio": {"some": 1e-30}, "items": [plain, edge, plain],
        "bytes": "aGk=", "colors": ["red"], "shape": {"tag": "circle", "val": 1e300}, "pair": ["c", -128],
        "three": [1, 2, 65535], "by_name": [{"key": "a", "value": 1}], "either": {"tag": "err"},
    });
    let none = json!({"text": "", "items": []});
    let results =
        [json!({"items": [plain, edge], "total": 1e308, "note": "x"}), json!({"items": [], "total": 0})];
    let ty = function().ty;
    [all, none].into_iter().zip(results).filter_map(|(args, result)| values(&ty, args, result)).collect()
});

fn values(ty: &FunctionTy, args: Value, result: Value) -> Option<(Vec<Val>, Val)> {
    let Value::Object(args) = args else { return None };
    let args = lower::lower(&ty.params, args).ok()?;
    Some((args, lower::lower_value(ty.result.as_ref()?, result).ok()?))
}

/// Judges an expression over all values: it costs at most its bound, and explains itself at bounded length.
pub(crate) fn judge(expression: &Expression, ty: &FunctionTy) {
    assert!(expression.cost() <= COST_MAX);
    assert_eq!(VALUES.len(), 2, "the values of the target have its types");
    for (args, result) in VALUES.iter() {
        let bindings =
            Bindings { params: &ty.params, args, result: Some(result), now_unix_ms: Some(0), facts: None };
        if let Judgement::Fails(why) | Judgement::Error(why) = expression.eval(&bindings) {
            assert!(why.0.len() <= EXPLANATION_BYTES_MAX, "{} bytes", why.0.len());
        }
    }
}
