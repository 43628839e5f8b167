//! What authors and agents are told of published names: places of faults, doc comments, units.

use serde_json::{Value, json};

use super::forms::{bind, documented, function};
use super::refuses_of;
use crate::component::FunctionDocs;

/// A fault that only shows once types, contract and comments stand together has its place, as those of the form have.
#[test]
fn faults_of_the_whole_contract_have_their_place() {
    for (text, says) in [
        ("[tool.book-flight.args.weight]\nminimun = 1\n", ["contract.toml:1:24", "did you mean `minimum`?"]),
        (
            "[tool.book-flight.args.\"passengers[].first_name\"]\nmaximum = 1\n",
            ["contract.toml:1:24", "`maximum` does not fit"],
        ),
        (
            "[tool.book-flight]\n[tool.book-flight.args.weight]\ndefault = 5\nmaximum = 4\n",
            ["contract.toml:2:24", "the `default` is not valid"],
        ),
        (
            "[tool.book-flight.result.total_price]\nminLength = 1\n",
            ["contract.toml:1:26", "`minLength` does not fit"],
        ),
        (
            "[tool.book-flight]\n[[tool.book-flight.example]]\nargs = {}\n",
            ["contract.toml:2:", "the example {} is not valid"],
        ),
    ] {
        refuses_of(text, &function(), &says);
    }
}

#[test]
fn wrong_answers_are_reported_once_and_as_such() {
    let answers = |asked: &str, answered: &str| {
        let text =
            format!("[tool.book-flight]\nanswers = {{ asked = \"{asked}\", answered = \"{answered}\" }}\n");
        bind(&text, &function()).unwrap_err()
    };
    let said = answers("args.weight", "args.departure_date");
    assert!(said.contains("check `answers`: `asked` and `answered` are of two kinds"), "{said}");
    let said = answers("args.weigth", "args.weight");
    assert_eq!(said.matches("error").count(), 1, "{said}");
    assert!(said.contains("`args` has no field `weigth`") && !said.contains("echo"), "{said}");
}

#[test]
fn a_published_name_in_an_expression_is_told_from_the_one_it_has_there() {
    let renamed = "[tool.book-flight.args.departure_date]\nname = \"departureDate\"\n\
                   [tool.book-flight.result.total_price]\nname = \"totalPrice\"\n";
    for (rule, name) in [
        ("[[tool.book-flight.require]]\nthat = \"args.departureDate != ''\"\n", "departure_date"),
        ("[tool.book-flight.let]\nprice = \"result.totalPrice\"\n", "total_price"),
        ("[[tool.book-flight.expect]]\nrange = { field = \"totalPrice\", min = 0 }\n", "total_price"),
    ] {
        let said = bind(&format!("{renamed}{rule}"), &function()).unwrap_err();
        assert!(said.contains(&format!("is a published name: here it is `{name}`")), "{said}");
    }
}

#[test]
fn doc_comments_name_fields_as_they_are_published_and_units_follow_sentences() {
    let docs = FunctionDocs {
        function: Some("Books for `departure-date`.".into()),
        args: [("weight".to_owned(), "Of all bags after `departure_date`.".to_owned())].into_iter().collect(),
        ..FunctionDocs::default()
    };
    let text = "[tool.book-flight.args.departure_date]\nname = \"departureDate\"\n\
                [tool.book-flight.args.weight]\nunit = \"kg\"\n";
    let contract = documented(text, &function(), &docs).unwrap();
    assert_eq!(contract.description, "Books for `departureDate`.");
    let weight = &contract.input_schema()["properties"]["weight"]["description"];
    assert_eq!(weight, "Of all bags after `departureDate`. In kg.");
}

/// A double has lost what was written: the tool would get another number than the caller sent.
#[test]
fn free_json_with_numbers_that_no_double_holds_is_refused() {
    let text = "[tool.book-flight.args.filters]\njson = true\n[[tool.book-flight.example]]\n\
                args = { departure_date = \"2026-12-01\", passengers = [], cabin = \"first\", target = { tag = \"id\", val = 5 }, options = {}, filters = {}, weight = 1 }\n";
    let contract = bind(text, &function()).unwrap();
    let judged = |filters: &str| {
        let mut args = contract.examples[0].args.as_object().unwrap().clone();
        args.insert("filters".into(), serde_json::from_str::<Value>(filters).unwrap());
        contract.validate(args, None).map_err(|(violations, _)| violations[0].keyword.clone())
    };
    for refused in ["123456789012345678901234", "[{\"a\": -9007199254740993}]", "9007199254740993.0"] {
        assert_eq!(judged(refused).err().as_deref(), Some("precision"), "{refused}");
    }
    for kept in ["9007199254740991", "9007199254740994", "1e16", "1e300", "-0.5e-300", "12.75"] {
        assert!(judged(kept).is_ok(), "{kept}");
    }
    assert_eq!(
        json!(1e23).as_f64(),
        serde_json::from_str::<Value>("99999999999999991611392").unwrap().as_f64()
    );
}
