//! Random components are the same for the same seed, and most are components.

use airlock_hostile::random::{Kind, input};

#[test]
fn an_input_is_the_same_each_time_and_each_number_another() {
    let known =
        [wat::parse_str(r#"(component (core module (func (export "run"))) (core module) (core module))"#)
            .unwrap()];
    for kind in [Kind::Module, Kind::World, Kind::Mutant] {
        let made = |number| input(kind, 7, number, &known).unwrap().bytes;
        assert_eq!(made(1), made(1), "{kind}");
        let all: std::collections::BTreeSet<_> = (0..20).map(made).collect();
        assert!(all.len() > 15, "{kind}: {}", all.len());
    }
}

#[test]
fn most_modules_and_worlds_are_components() {
    for kind in [Kind::Module, Kind::World] {
        let is_valid = |number: &u64| {
            let input = input(kind, 1, *number, &[]).unwrap();
            wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
                .validate_all(&input.bytes)
                .is_ok()
        };
        let valid = (0..40).filter(is_valid).count();
        assert!(valid > 30, "{kind}: {valid}");
    }
}
