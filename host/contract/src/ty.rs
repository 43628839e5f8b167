//! The types of component functions, as plain data.
//!
//! Owns the structural form of a WIT type. Type names are absent, because the engine does not keep them. Must
//! not know the engine, JSON or any tool. To add a type constructor: a variant here, then follow the compiler
//! through `schema`, `lower` and `lift`.

mod budget;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

pub use budget::{TYPE_BYTES_MAX, TYPE_DEPTH_MAX, TYPE_NODES_MAX, TypeBudget, TypeBudgetError};

/// The type of a component value.
///
/// Types that cannot cross to JSON (resources, streams, futures, error contexts) do not appear: a function
/// that uses one is hidden when its component is read.
// The serialized form crosses from the compile process, and is stored beside the compiled code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ty {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`: one Unicode scalar value
    Char,
    /// `string`
    String,
    /// `list<T>`
    List(Box<Ty>),
    /// `list<T, N>`. [`lift`](super::lift) and the schema treat it as an array of exactly `N` items.
    FixedList(Box<Ty>, u32),
    /// `map<K, V>`
    Map(Box<Ty>, Box<Ty>),
    /// `record`, fields in declared order
    Record(#[serde(deserialize_with = "fitting")] Vec<Field>),
    /// `tuple`
    Tuple(#[serde(deserialize_with = "fitting")] Vec<Ty>),
    /// `variant`, cases in declared order
    Variant(#[serde(deserialize_with = "fitting")] Vec<Case>),
    /// `enum`
    Enum(#[serde(deserialize_with = "fitting")] Vec<String>),
    /// `option<T>`
    Option(Box<Ty>),
    /// `result<T, E>`
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    /// `flags`
    Flags(#[serde(deserialize_with = "fitting")] Vec<String>),
}

/// A field of a record, or a parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name as written in WIT, kebab-case.
    pub name: String,
    /// The field's type.
    pub ty: Ty,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The name as written in WIT, kebab-case.
    pub name: String,
    /// The payload's type. `None` for a case without a payload.
    pub ty: Option<Ty>,
}

/// The type of an exported or imported function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionTy {
    /// The parameters in declared order.
    #[serde(deserialize_with = "fitting")]
    pub params: Vec<Field>,
    /// The result's type. `None` for a function that returns nothing.
    pub result: Option<Ty>,
}

/// Reads a list that takes no more room than it needs: types are kept for each tool, and most lists of them are short.
fn fitting<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(deserializer)?;
    list.shrink_to_fit();
    Ok(list)
}

impl Ty {
    /// The element type of `option<T>`, or `None` for any other type.
    pub fn as_option(&self) -> Option<&Ty> {
        if let Ty::Option(inner) = self { Some(inner) } else { None }
    }
}

/// Writes the type as WIT would, with named types written out: `option<list<u8>>`, `record { a: u8 }`.
impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Bool => f.write_str("bool"),
            Ty::S8 => f.write_str("s8"),
            Ty::U8 => f.write_str("u8"),
            Ty::S16 => f.write_str("s16"),
            Ty::U16 => f.write_str("u16"),
            Ty::S32 => f.write_str("s32"),
            Ty::U32 => f.write_str("u32"),
            Ty::S64 => f.write_str("s64"),
            Ty::U64 => f.write_str("u64"),
            Ty::F32 => f.write_str("f32"),
            Ty::F64 => f.write_str("f64"),
            Ty::Char => f.write_str("char"),
            Ty::String => f.write_str("string"),
            Ty::List(item) => write!(f, "list<{item}>"),
            Ty::FixedList(item, len) => write!(f, "list<{item}, {len}>"),
            Ty::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Ty::Record(fields) => braced(f, "record", fields),
            Ty::Tuple(items) => {
                f.write_str("tuple<")?;
                separated(f, items)?;
                f.write_str(">")
            }
            Ty::Variant(cases) => braced(f, "variant", cases),
            Ty::Enum(names) => braced(f, "enum", names),
            Ty::Option(inner) => write!(f, "option<{inner}>"),
            Ty::Result(ok, err) => result(f, ok.as_deref(), err.as_deref()),
            Ty::Flags(names) => braced(f, "flags", names),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.ty)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ty {
            Some(ty) => write!(f, "{}({ty})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// `func(a: u8, b: string) -> bool`
impl fmt::Display for FunctionTy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("func(")?;
        separated(f, &self.params)?;
        f.write_str(")")?;
        self.result.as_ref().map_or(Ok(()), |ty| write!(f, " -> {ty}"))
    }
}

fn braced<T: fmt::Display>(f: &mut fmt::Formatter<'_>, keyword: &str, items: &[T]) -> fmt::Result {
    write!(f, "{keyword} {{ ")?;
    separated(f, items)?;
    f.write_str(" }")
}

fn separated<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn result(f: &mut fmt::Formatter<'_>, ok: Option<&Ty>, err: Option<&Ty>) -> fmt::Result {
    match (ok, err) {
        (None, None) => f.write_str("result"),
        (Some(ok), None) => write!(f, "result<{ok}>"),
        (None, Some(err)) => write!(f, "result<_, {err}>"),
        (Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
    }
}

/// The name that agents see for a WIT name: `max-items` → `max_items`. Gemini refuses hyphens in property
/// names. The mapping is a bijection, because WIT names have no `_`.
pub fn snake(name: &str) -> Cow<'_, str> {
    // Most names have no hyphen, and every call converts the names of its arguments: those are borrowed, not
    // copied.
    if name.contains('-') { name.replace('-', "_").into() } else { name.into() }
}
