//! A guest that keeps keys and values over `wasi:keyvalue` and reads values over `wasi:config`, in each draft, and knows
//! nothing of its host. What the host refuses comes back as the error of its functions.

use wasi::cli::environment;
use wasi::clocks::{monotonic_clock, wall_clock};
use wasi::config0_2_0_draft::runtime;
use wasi::config0_2_0_rc_1::store as config;
use wasi::keyvalue0_2_0_draft as first;
use wasi::keyvalue0_2_0_draft2::atomics::{Cas, CasError, increment, swap};
use wasi::keyvalue0_2_0_draft2::batch;
use wasi::keyvalue0_2_0_draft2::store::{self, Bucket};
use wasi::logging::logging::{Level, log};
use wasi::random::random;

wit_bindgen::generate!({ path: "wit", generate_all });
export!(Keeper);

struct Keeper;

const DEFAULT: &str = "default";

impl Guest for Keeper {
    fn put(bucket: String, key: String, value: String) -> Result<(), String> {
        open(&bucket)?.set(&key, value.as_bytes()).map_err(told)
    }

    fn put_large(key: String, bytes: u32) -> Result<(), String> {
        open(DEFAULT)?.set(&key, &vec![b'x'; bytes as usize]).map_err(told)
    }

    fn fetch(bucket: String, key: String) -> Result<Option<String>, String> {
        Ok(open(&bucket)?.get(&key).map_err(told)?.map(text))
    }

    fn remove(key: String) -> Result<bool, String> {
        let bucket = open(DEFAULT)?;
        let was_there = bucket.exists(&key).map_err(told)?;
        bucket.delete(&key).map_err(told)?;
        Ok(was_there)
    }

    fn keys() -> Result<Vec<Vec<String>>, String> {
        let bucket = open(DEFAULT)?;
        let mut pages = Vec::new();
        let mut cursor = None;
        loop {
            let page = bucket.list_keys(cursor.as_deref()).map_err(told)?;
            pages.push(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(pages);
            }
        }
    }

    fn keys_from(cursor: String) -> Result<Vec<String>, String> {
        Ok(open(DEFAULT)?.list_keys(Some(&cursor)).map_err(told)?.keys)
    }

    fn add(key: String, delta: i64) -> Result<i64, String> {
        increment(&open(DEFAULT)?, &key, delta).map_err(told)
    }

    fn swap(key: String, value: String, meanwhile: Option<String>) -> Result<bool, String> {
        let bucket = open(DEFAULT)?;
        let cas = Cas::new(&bucket, &key).map_err(told)?;
        cas.current().map_err(told)?;
        if let Some(other) = meanwhile {
            bucket.set(&key, other.as_bytes()).map_err(told)?;
        }
        match swap(cas, value.as_bytes()) {
            Ok(()) => Ok(false),
            Err(CasError::StoreError(error)) => Err(told(error)),
            // The fresh handle is one of the value now.
            Err(CasError::CasFailed(fresh)) => match swap(fresh, value.as_bytes()) {
                Ok(()) => Ok(true),
                Err(error) => Err(format!("again: {error:?}")),
            },
        }
    }

    fn append(key: String, text: String, times: u32) -> Result<(), String> {
        let bucket = open(DEFAULT)?;
        for _ in 0..times {
            let mut cas = Cas::new(&bucket, &key).map_err(told)?;
            loop {
                let mut value = cas.current().map_err(told)?.unwrap_or_default();
                value.extend_from_slice(text.as_bytes());
                match swap(cas, &value) {
                    Ok(()) => break,
                    Err(CasError::CasFailed(fresh)) => cas = fresh,
                    Err(CasError::StoreError(error)) => return Err(told(error)),
                }
            }
        }
        Ok(())
    }

    fn put_many(pairs: Vec<(String, String)>) -> Result<(), String> {
        let pairs: Vec<(String, Vec<u8>)> =
            pairs.into_iter().map(|(key, value)| (key, value.into_bytes())).collect();
        batch::set_many(&open(DEFAULT)?, &pairs).map_err(told)
    }

    fn fetch_many(keys: Vec<String>) -> Result<Vec<(String, Option<String>)>, String> {
        let found = batch::get_many(&open(DEFAULT)?, &keys).map_err(told)?;
        Ok(found.into_iter().map(|(key, value)| (key, value.map(text))).collect())
    }

    fn remove_many(keys: Vec<String>) -> Result<(), String> {
        batch::delete_many(&open(DEFAULT)?, &keys).map_err(told)
    }

    fn put_then_abort(key: String, value: String) {
        let put = Self::put(DEFAULT.into(), key, value);
        panic!("{put:?}");
    }

    fn fetch_then_abort(key: String) {
        let found = Self::fetch(DEFAULT.into(), key);
        panic!("{found:?}");
    }

    fn first(key: String, value: String) -> Result<Vec<String>, String> {
        let error = |error: first::store::Error| format!("{error:?}");
        let bucket = first::store::open(DEFAULT).map_err(error)?;
        bucket.set(&key, value.as_bytes()).map_err(error)?;
        let mut tells = vec![format!("{:?}", bucket.get(&key).map_err(error)?.map(text))];
        tells.push(bucket.exists(&key).map_err(error)?.to_string());
        tells.push(first::atomics::increment(&bucket, "sum", 7).map_err(error)?.to_string());
        first::batch::set_many(&bucket, &[("many".to_owned(), b"1".to_vec())]).map_err(error)?;
        let many = first::batch::get_many(&bucket, &["many".to_owned(), "none".to_owned()]).map_err(error)?;
        let many: Vec<_> = many.into_iter().map(|pair| pair.map(|(key, value)| (key, text(value)))).collect();
        tells.push(format!("{many:?}"));
        let page = bucket.list_keys(None).map_err(error)?;
        tells.push(format!("{:?} {:?}", page.keys, page.cursor));
        first::batch::delete_many(&bucket, &["many".to_owned(), "sum".to_owned()]).map_err(error)?;
        bucket.delete(&key).map_err(error)?;
        tells.push(bucket.list_keys(None).map_err(error)?.keys.len().to_string());
        Ok(tells)
    }

    fn values(keys: Vec<String>) -> Vec<Option<String>> {
        let value = |key: String| {
            let (one, other) = (config::get(&key).unwrap(), runtime::get(&key).unwrap());
            assert_eq!(one, other);
            one
        };
        keys.into_iter().map(value).collect()
    }

    fn all_values() -> Vec<(String, String)> {
        let (one, other) = (config::get_all().unwrap(), runtime::get_all().unwrap());
        assert_eq!(one, other);
        one
    }

    fn need(key: String) -> String {
        config::get(&key).unwrap().expect("a value")
    }

    fn variables() -> (Vec<(String, String)>, Vec<String>, Option<String>) {
        (environment::get_environment(), environment::get_arguments(), environment::initial_cwd())
    }

    fn now() -> Clocks {
        let (wall, step) = (wall_clock::now(), wall_clock::resolution());
        let ms = |time: wall_clock::Datetime| time.seconds * 1_000 + u64::from(time.nanoseconds) / 1_000_000;
        Clocks {
            wall: ms(wall),
            ticks: monotonic_clock::now() / 1_000_000,
            wall_step: ms(step),
            tick_step: monotonic_clock::resolution() / 1_000_000,
        }
    }

    fn pause(ms: u64) -> u64 {
        let before = monotonic_clock::now();
        monotonic_clock::subscribe_duration(ms * 1_000_000).block();
        (monotonic_clock::now() - before) / 1_000_000
    }

    fn draw() -> u64 {
        random::get_random_u64()
    }

    fn draw_then_abort() {
        log(Level::Info, "", &random::get_random_u64().to_string());
        panic!("after the draw");
    }
}

fn open(identifier: &str) -> Result<Bucket, String> {
    store::open(identifier).map_err(told)
}

fn told(error: store::Error) -> String {
    match error {
        store::Error::NoSuchStore => "no-such-store".into(),
        store::Error::AccessDenied => "access-denied".into(),
        store::Error::Other(text) => format!("other: {text}"),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
