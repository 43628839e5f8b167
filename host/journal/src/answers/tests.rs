use super::*;

fn kept(answers: &Answers, key: &str) -> Option<(String, u64)> {
    answers.last(key).unwrap()
}

#[test]
fn the_last_answer_of_a_key_is_found_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let answers = Answers::at(&path);
    assert!(!path.exists(), "a host that keeps nothing has no file");
    assert_eq!(kept(&answers, "k"), None);
    answers.keep("a", "k", "1", 10).unwrap();
    answers.keep("a", "k", "2", 20).unwrap();
    drop(answers);
    assert_eq!(kept(&Answers::at(&path), "k"), Some(("2".into(), 20)));
}

#[test]
fn an_answer_that_is_too_large_is_not_kept_and_the_one_before_goes() {
    let answers = Answers::memory().unwrap();
    answers.keep("a", "k", "1", 10).unwrap();
    answers.keep("a", "k", &"x".repeat(ANSWER_BYTES_MAX + 1), 20).unwrap();
    assert_eq!(kept(&answers, "k"), None);
}

#[test]
fn the_oldest_answers_of_a_caller_go_and_those_of_others_stay() {
    let answers = Answers::memory().unwrap();
    answers.keep("b", "other", "1", 0).unwrap();
    for n in 0..=u64::from(CALLER_ANSWERS_MAX) {
        answers.keep("a", &n.to_string(), "1", n).unwrap();
    }
    assert_eq!(kept(&answers, "0"), None);
    assert!(kept(&answers, "1").is_some() && kept(&answers, "other").is_some());
}

#[test]
fn a_caller_has_a_bound_in_bytes() {
    let answers = Answers::memory().unwrap();
    let large = "x".repeat(ANSWER_BYTES_MAX);
    let fit = CALLER_BYTES_MAX / ANSWER_BYTES_MAX as u64;
    for n in 0..=fit {
        answers.keep("a", &n.to_string(), &large, n).unwrap();
    }
    assert_eq!(kept(&answers, "0"), None);
    assert!(kept(&answers, "1").is_some());
}

#[test]
fn the_oldest_answers_of_all_go_when_the_file_is_full() {
    let answers = Answers::memory().unwrap();
    let large = "x".repeat(ANSWER_BYTES_MAX);
    let per_caller = CALLER_BYTES_MAX / ANSWER_BYTES_MAX as u64;
    for n in 0..BYTES_MAX / ANSWER_BYTES_MAX as u64 + 1 {
        answers.keep(&format!("c{}", n / per_caller), &n.to_string(), &large, n).unwrap();
    }
    assert_eq!(kept(&answers, "0"), None);
    assert!(kept(&answers, "250").is_some());
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let answers = Answers::at(&path);
    answers.keep("a", "k", "1", 10).unwrap();
    drop(answers);
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(newer);
    let said = Answers::at(&path).last("k").unwrap_err().to_string();
    assert!(said.contains("newer Airlock"), "{said}");
}
