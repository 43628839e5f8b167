//! The arguments and fields without a description.
//!
//! What the schema says of a type is no description: it says how to write a value, and not what it means.

use super::Keywords;
use crate::path::{Path, snake};
use crate::ty::{Field, Ty};

/// Most places that are found. More of them would not be read, and each holds the names of all fields above it.
const PLACES_MAX: usize = 20;

/// The first places without a description, those of the result as `result.…`.
pub(super) fn places(
    params: &[Field],
    args: &Keywords,
    result: Option<&Ty>,
    results: &Keywords,
) -> Vec<String> {
    let mut in_args = Undescribed { said: args, places: Vec::new() };
    in_args.fields(params, "");
    let mut in_result = Undescribed { said: results, places: Vec::new() };
    result.into_iter().for_each(|ty| in_result.inside(ty, ""));
    let dot = |place: &str| if place.starts_with('[') { "" } else { "." };
    let in_result = in_result.places.iter().map(|place| format!("result{}{place}", dot(place)));
    in_args.places.into_iter().chain(in_result).take(PLACES_MAX).collect()
}

struct Undescribed<'k> {
    said: &'k Keywords,
    places: Vec<String>,
}

impl Undescribed<'_> {
    fn fields(&mut self, fields: &[Field], above: &str) {
        for field in fields {
            if self.places.len() >= PLACES_MAX {
                return;
            }
            let name = snake(&field.name);
            let at = if above.is_empty() { name.into_owned() } else { format!("{above}.{name}") };
            if !self.is_described(&at) {
                self.places.push(at.clone());
            }
            self.inside(&field.ty, &at);
        }
    }

    fn inside(&mut self, ty: &Ty, at: &str) {
        match ty {
            Ty::Record(fields) => self.fields(fields, at),
            Ty::List(item) | Ty::FixedList(item, _) => self.inside(item, &format!("{at}[]")),
            // Paths look through options.
            Ty::Option(inner) => self.inside(inner, at),
            _ => {}
        }
    }

    fn is_described(&self, at: &str) -> bool {
        let path = Path::parse(at).ok();
        path.and_then(|path| self.said.get(&path)).is_some_and(|said| said.contains_key("description"))
    }
}
