use super::*;

const SMALL: ArgumentLimits =
    ArgumentLimits { bytes_max: 200, depth_max: 4, string_bytes_max: 10, values_max: 20 };

fn check(text: impl AsRef<[u8]>, expect: Option<(Code, &str, &str)>) {
    let found = parse(text.as_ref(), &SMALL).err();
    let short = found.as_ref().map(|v| (v.code, v.keyword.as_str(), v.path.as_str()));
    assert_eq!(short, expect, "{found:?}");
}

#[test]
fn admits_what_is_within_the_limits() {
    check(r#"{"a":[{"b":[1,2.5,null,true,"0123456789"]}]}"#, None);
    check("{}", None);
}

#[test]
fn refuses_what_is_too_large() {
    check(" ".repeat(201), Some((Code::ArgsSize, "bytes", "")));
    check(r#"{"a":[{"b":[[]]}]}"#, Some((Code::ArgsSize, "depth", "a[0].b[0]")));
    check(r#"{"a":{"b":"0123456789!"}}"#, Some((Code::ArgsSize, "string", "a.b")));
    check(r#"{"0123456789!":1}"#, Some((Code::ArgsSize, "string", "")));
    check(format!("{{\"a\":[{}1]}}", "1,".repeat(18)), Some((Code::ArgsSize, "values", "a[18]")));
}

#[test]
fn refuses_duplicate_keys_by_name() {
    check(r#"{"a":{"b":1,"b":2}}"#, Some((Code::ArgsSyntax, "duplicate", "a.b")));
    check(r#"{"a":1,"\u0061":2}"#, Some((Code::ArgsSyntax, "duplicate", "a")));
}

#[test]
fn refuses_what_is_not_one_json_object() {
    for text in ["", "{", "{} {}", r#"{"a":NaN}"#, r#"{"a":"\ud800"}"#, "{'a':1}"] {
        check(text, Some((Code::ArgsSyntax, "syntax", "")));
    }
    check(r#"{"a":1e999}"#, Some((Code::ArgsSyntax, "range", "")));
    check(b"{\"a\":\"\xff\"}", Some((Code::ArgsSyntax, "utf-8", "")));
    check("[1]", Some((Code::ArgsType, "type", "")));
}

#[test]
fn a_deep_text_does_not_exhaust_the_stack() {
    let limits = ArgumentLimits { depth_max: 100_000, ..ArgumentLimits::default() };
    let deep = "[".repeat(500_000);
    assert_eq!(parse(deep.as_bytes(), &limits).unwrap_err().code, Code::ArgsSyntax);
    assert_eq!(parse(deep.as_bytes(), &ArgumentLimits::default()).unwrap_err().keyword, "depth");
}

#[test]
fn parsed_arguments_meet_the_same_limits() {
    let check = |text: &str, expect: Option<&str>| {
        let args: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(admit(&args, &SMALL).err().map(|v| v.keyword).as_deref(), expect, "{text}");
    };
    check(r#"{"a":[{"b":[1,2.5,null,true,"0123456789"]}]}"#, None);
    check(r#"{"a":[{"b":[[]]}]}"#, Some("depth"));
    check(r#"{"a":["0123456789!"]}"#, Some("string"));
    check(&format!("{{\"a\":[{}1]}}", "1,".repeat(20)), Some("values"));
    check(&format!("{{\"a\":[{}1]}}", "\"0123456789\",".repeat(18)), Some("bytes"));
}
