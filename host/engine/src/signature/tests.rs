use super::*;
use airlock_contract::surface::Parts;
use airlock_types::grant::Requests;

/// A component as its author signed it.
fn parts() -> Parts {
    Parts { wit: "w".into(), surface: "s".into(), contract: Some("c".into()), requests: Requests::default() }
}

fn component<'a>(name: &'a str, digest: &'a str, parts: &'a Parts) -> Component<'a> {
    Component { name, digest, parts }
}

/// The code of the fault, or `verified`, of a statement about a component that was signed as `a.wasm`.
#[track_caller]
fn check(found: &Component<'_>, policy: &Policy, now_s: u64, expect: &str) {
    let (_, key) = SigningKey::make().unwrap();
    let stated = parts();
    let statement =
        Statement::about(&component("a.wasm", "d", &stated), 7, Some("1970-01-01T00:01:40Z".into()));
    let line = key.sign(&statement).unwrap().line().unwrap();
    let evidence = Evidence::of(Envelope::lines(line.as_bytes()).unwrap(), "d");
    let policy = Policy { require: vec![key.public()], threshold: 1, ..policy.clone() };
    let judged = evidence
        .authenticate(b"", &policy, false)
        .and_then(|authentic| authentic.judge(Some(found), &policy, now_s));
    assert_eq!(judged.as_ref().map_or_else(Fault::code, Signed::state), expect);
}

#[test]
fn the_fault_is_the_one_that_explains_the_others() {
    let policy = Policy::default();
    let all = |change: &dyn Fn(&mut Parts), digest: &str, expect: &str| {
        let mut found = parts();
        change(&mut found);
        check(&component("a.wasm", digest, &found), &policy, 0, expect);
    };
    let asks: Requests = serde_json::from_value(serde_json::json!({"clock": {"reason": "dates"}})).unwrap();
    all(&|_| (), "d", "verified");
    all(&|_| (), "e", "signature.digest");
    all(&|parts| parts.surface = "x".into(), "e", "signature.surface");
    all(&|parts| parts.requests = asks.clone(), "e", "signature.requests");
    all(&|parts| parts.contract = None, "e", "signature.contract");
    all(&|parts| (parts.surface, parts.requests) = ("x".into(), asks.clone()), "e", "signature.contract");
    all(&|parts| (parts.surface, parts.wit) = ("x".into(), "x".into()), "e", "signature.wit");
    // A signer who states another surface than the bytes have is not believed either.
    all(&|parts| parts.surface = "x".into(), "d", "signature.surface");
}

#[test]
fn a_statement_has_a_name_an_end_and_a_serial() {
    let parts = parts();
    let found = component("a.wasm", "d", &parts);
    let least = |serial_min| Policy { serial_min, ..Policy::default() };
    check(&component("b.wasm", "d", &parts), &least(0), 0, "signature.moved");
    check(&found, &least(0), 99, "verified");
    check(&found, &least(0), 100, "signature.expired");
    check(&found, &least(7), 0, "verified");
    check(&found, &least(8), 0, "signature.rollback");
}

#[test]
fn one_key_in_two_forms_signs_once() {
    let (_, key) = SigningKey::make().unwrap();
    let stated = parts();
    let found = component("a.wasm", "d", &stated);
    let statement = Statement::about(&found, 1, None);
    let twice = [key.sign(&statement).unwrap(), key.sign(&statement).unwrap()];
    let (_, other) = SigningKey::make().unwrap();
    let require = vec![key.public(), other.public()];
    let policy = Policy { require, threshold: 2, ..Policy::default() };
    let refused = Evidence::of(twice.to_vec(), "d").authenticate(b"", &policy, false).unwrap_err();
    assert_eq!(refused, Fault::Threshold { found: 1, wanted: 2 });
}

#[test]
fn one_key_that_is_named_twice_signs_once() {
    let (_, key) = SigningKey::make().unwrap();
    let stated = parts();
    let envelope = key.sign(&Statement::about(&component("a.wasm", "d", &stated), 1, None)).unwrap();
    let policy = Policy { require: vec![key.public(); 2], threshold: 2, ..Policy::default() };
    let refused = Evidence::of(vec![envelope], "d").authenticate(b"", &policy, false).unwrap_err();
    assert_eq!(refused, Fault::Threshold { found: 1, wanted: 2 });
}

#[test]
fn what_a_trusted_key_signed_must_hold_beside_the_required_keys() {
    let ((_, ours), (_, theirs)) = (SigningKey::make().unwrap(), SigningKey::make().unwrap());
    let stated = parts();
    let found = component("a.wasm", "d", &stated);
    let (good, old) =
        (Statement::about(&found, 2, None), Statement::about(&component("a.wasm", "e", &stated), 1, None));
    let judged = |envelopes: &[Envelope], policy: &Policy| {
        let authentic = Evidence::of(envelopes.to_vec(), "d").authenticate(b"", policy, false);
        let judged = authentic.and_then(|authentic| authentic.judge(Some(&found), policy, 0));
        judged.map(|signed| signed.signers().len()).map_err(|fault| fault.code())
    };
    let trusts = Policy {
        require: vec![ours.public()],
        threshold: 1,
        trust: vec![theirs.public()],
        name: "a.wasm".into(),
        serial_min: 0,
    };
    let [own, new, stale] =
        [(&ours, &good), (&theirs, &good), (&theirs, &old)].map(|(key, of)| key.sign(of).unwrap());
    assert_eq!(judged(std::slice::from_ref(&own), &trusts), Ok(1));
    assert_eq!(judged(&[own.clone(), new.clone()], &trusts), Ok(2));
    assert_eq!(judged(&[own.clone(), stale.clone()], &trusts), Err("signature.digest"));
    // The newer one takes its place.
    assert_eq!(judged(&[own.clone(), stale.clone(), new], &trusts), Ok(2));
    // Of several required keys one may be behind, while enough others are there.
    let requires = Policy { require: vec![ours.public(), theirs.public()], trust: Vec::new(), ..trusts };
    assert_eq!(judged(&[own, stale], &requires), Ok(1));
}

#[test]
fn the_end_is_that_of_the_last_signature_without_which_there_are_too_few() {
    let keys: Vec<Key> = (1..4).map(|n| Key::ed25519([n; 32])).collect();
    let end = |minute: Option<u32>| minute.map(|minute| format!("1970-01-01T00:{minute:02}:00Z"));
    let check = |ends: [Option<u32>; 3], threshold: usize, trusted: usize, expect: Option<u64>| {
        let signer =
            |(key, minute): (&Key, Option<u32>)| Signer { key: key.clone(), serial: 1, expires: end(minute) };
        let signed = Signed::Verified(keys.iter().zip(ends).map(signer).collect());
        let (trust, require) = keys.split_at(trusted);
        let policy =
            Policy { require: require.to_vec(), threshold, trust: trust.to_vec(), ..Policy::default() };
        let found = signed.ends_s(&policy);
        assert_eq!(found, expect, "{ends:?} {threshold} {trusted}");
        for at in [0, 59, 60, 119, 120, 179, 180, 999] {
            assert_eq!(signed.satisfies(&policy, at), found.is_none_or(|end| at < end), "{at}: {ends:?}");
        }
    };
    let ends = [Some(1), Some(2), Some(3)];
    check(ends, 3, 0, Some(60));
    check(ends, 2, 0, Some(120));
    check(ends, 1, 0, Some(180));
    check([None, Some(2), None], 2, 0, None);
    check([None; 3], 3, 0, None);
    // What a trusted key signed must hold.
    check(ends, 2, 1, Some(60));
    check(ends, 0, 3, Some(60));
    check([None, Some(2), Some(3)], 1, 1, Some(180));
}

#[test]
fn no_envelope_with_a_flipped_bit_is_verified() {
    let (_, key) = SigningKey::make().unwrap();
    let stated = parts();
    let found = component("a.wasm", "d", &stated);
    let line = key.sign(&Statement::about(&found, 1, None)).unwrap().line().unwrap();
    let policy = Policy { require: vec![key.public()], threshold: 1, ..Policy::default() };
    let is_verified = |line: &[u8]| {
        Envelope::lines(line)
            .and_then(|envelopes| Evidence::of(envelopes, "d").authenticate(b"", &policy, false))
            .and_then(|authentic| authentic.judge(Some(&found), &policy, 0))
            .is_ok()
    };
    assert!(is_verified(line.as_bytes()));
    // Only the hint may change: nothing protects it, and nothing depends on it.
    let hint = line.find("\"keyid\"").unwrap()..line.find("\"sig\"").unwrap();
    for at in (0..line.trim_end().len()).filter(|at| !hint.contains(at)) {
        let mut flipped = line.clone().into_bytes();
        flipped[at] ^= 1 << (at % 8);
        assert!(!is_verified(&flipped), "byte {at}");
    }
}

/// An envelope that the Python package securesystemslib 1.6.0 made, and the key.
const FOREIGN: (&str, &str) = (
    r#"{"payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==", "payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": "63d00ee3cf4f5c61ad94efa696c68f13b608fe56ecea13fb144a6fd18e9235b9", "sig": "Fo6jOXP9gw1yxFFqcxT3OROGg9MHJ9G2Ps2yCG4lrdJS8Yli9xdH78rzsGRdX7vN0BvZnteNGPg9F79CG51UDQ=="}]}"#,
    "key:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
);

#[test]
fn an_envelope_of_another_program_is_by_its_key() {
    let key: Key = FOREIGN.1.parse().unwrap();
    let envelope = &Envelope::lines(FOREIGN.0.as_bytes()).unwrap()[0];
    let payload = envelope.payload().unwrap();
    assert_eq!(envelope.signers([&key].into_iter(), &payload), [&key]);
    assert!(envelope.signers([&key].into_iter(), b"{}").is_empty());
}

/// A component without content, a file that minisign 0.11 made of it, and the key.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
const MINISIG: &str = "untrusted comment: signature from minisign secret key
RUTTQc18JCpwo3TEnZv7BGyX8p/wGA0HoBZ7nHTv/yv6dsd1c3HvEKR7E9ZY2n+h4pHfsmWeXBXtlEacl3fOtFVGH9Y/hYNCRQw=
trusted comment: timestamp:1800000000\tfile:empty.wasm\thashed
bBO1D+CdQHt1UaYqZtTJAHsp52OdHXvmE2HcR2RdHornjY+ZTNqrOkbWu/ZpMc6kk4tN/Cld2UhUwA9neLUrDA==
";
const MINISIGN: &str = "minisign:RWTTQc18JCpwo6M76mJAe/FsC5vPr8hCaj7xc7n7hoI2jMynmlBQRzvk";

#[track_caller]
fn check_minisign(bytes: &[u8], signature: &str, policy: &Policy, expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.wasm");
    std::fs::write(minisign_path(&path), signature).unwrap();
    let policy = Policy { require: vec![MINISIGN.parse().unwrap()], threshold: 1, ..policy.clone() };
    let judged = Evidence::find(&path, bytes)
        .and_then(|found| found.authenticate(bytes, &policy, false))
        .and_then(|authentic| authentic.judge(None, &policy, 0));
    assert_eq!(judged.as_ref().map_or_else(Fault::code, Signed::state), expect, "{judged:?}");
}

#[test]
fn a_file_of_minisign_is_verified_with_its_comment() {
    let policy = Policy { name: "empty.wasm".into(), ..Policy::default() };
    check_minisign(EMPTY, MINISIG, &policy, "verified");
    check_minisign(b"\0asm\x0d\0\x01\x01", MINISIG, &policy, "signature.invalid");
    // The comment is signed, too.
    check_minisign(EMPTY, &MINISIG.replace("1800000000", "1900000000"), &policy, "signature.invalid");
    check_minisign(EMPTY, "", &policy, "signature.malformed");
    let other = Policy { name: "other.wasm".into(), ..Policy::default() };
    check_minisign(EMPTY, MINISIG, &other, "signature.moved");
    let least = |serial_min| Policy { serial_min, ..policy.clone() };
    check_minisign(EMPTY, MINISIG, &least(1_800_000_000), "verified");
    check_minisign(EMPTY, MINISIG, &least(1_800_000_001), "signature.rollback");
}
