//! Bounds on the types of one component.
//!
//! Owns the bounds and the counting. Types in a component share their parts: 200 bytes can name a type that has
//! half a million parts when it is written out. Schemas, validators and values are made from the written-out
//! form, so the parts are counted as if written out, and the count stops at the bound.

use super::{FunctionTy, Ty};

/// Most parts in the types of all functions of a component together. A part is a type, a name of an `enum` or
/// `flags`, or a case without a payload. The largest tools that people write have some hundred.
pub const TYPE_NODES_MAX: usize = 10_000;

/// Deepest nesting of types. Most code that reads a type recurses by it. JSON parsers do too, and give up at
/// 128 levels; a record takes three JSON levels for each of its own.
pub const TYPE_DEPTH_MAX: usize = 32;

/// Most bytes in the names of fields and cases together. A name counts once for each use of its type.
pub const TYPE_BYTES_MAX: usize = 1 << 20;

/// The bound that the types of a component exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypeBudgetError {
    /// More than [`TYPE_NODES_MAX`] parts.
    #[error(
        "its types have more than {TYPE_NODES_MAX} parts when they are written out, each as often as it is used"
    )]
    Nodes,
    /// Nested deeper than [`TYPE_DEPTH_MAX`].
    #[error("its types are nested more than {TYPE_DEPTH_MAX} deep")]
    Depth,
    /// More than [`TYPE_BYTES_MAX`] bytes of names.
    #[error("the names in its types take more than {TYPE_BYTES_MAX} bytes, each as often as it is used")]
    Bytes,
}

/// The rest of the bounds, for the types of one component that are still to be counted.
#[derive(Clone, Copy, Debug)]
pub struct TypeBudget {
    nodes: usize,
    bytes: usize,
}

impl Default for TypeBudget {
    fn default() -> TypeBudget {
        TypeBudget { nodes: TYPE_NODES_MAX, bytes: TYPE_BYTES_MAX }
    }
}

impl TypeBudget {
    /// Counts one part at a depth; the outermost type is at depth 1.
    ///
    /// # Errors
    /// When no parts are left, or the depth is above [`TYPE_DEPTH_MAX`].
    pub fn take(&mut self, depth: usize) -> Result<(), TypeBudgetError> {
        if depth > TYPE_DEPTH_MAX {
            return Err(TypeBudgetError::Depth);
        }
        self.nodes = self.nodes.checked_sub(1).ok_or(TypeBudgetError::Nodes)?;
        Ok(())
    }

    /// Counts the bytes of one name.
    ///
    /// # Errors
    /// When fewer bytes are left.
    pub fn take_name(&mut self, name: &str) -> Result<(), TypeBudgetError> {
        self.bytes = self.bytes.checked_sub(name.len()).ok_or(TypeBudgetError::Bytes)?;
        Ok(())
    }

    /// Counts the types of a function's parameters and result.
    ///
    /// # Errors
    /// The first bound that they exceed.
    pub fn take_function(&mut self, function: &FunctionTy) -> Result<(), TypeBudgetError> {
        for param in &function.params {
            self.take_name(&param.name)?;
            self.take_type(&param.ty, 1)?;
        }
        function.result.as_ref().map_or(Ok(()), |ty| self.take_type(ty, 1))
    }

    fn take_type(&mut self, ty: &Ty, depth: usize) -> Result<(), TypeBudgetError> {
        // Counted before descending, so that the recursion ends where the budget does.
        self.take(depth)?;
        let below = depth + 1;
        match ty {
            Ty::List(item) | Ty::FixedList(item, _) | Ty::Option(item) => self.take_type(item, below),
            Ty::Map(key, value) => {
                self.take_type(key, below)?;
                self.take_type(value, below)
            }
            Ty::Record(fields) => fields.iter().try_for_each(|field| {
                self.take_name(&field.name)?;
                self.take_type(&field.ty, below)
            }),
            Ty::Tuple(items) => items.iter().try_for_each(|item| self.take_type(item, below)),
            Ty::Variant(cases) => cases.iter().try_for_each(|case| {
                self.take_name(&case.name)?;
                match &case.ty {
                    Some(ty) => self.take_type(ty, below),
                    // A case without a payload still becomes a branch of the schema.
                    None => self.take(below),
                }
            }),
            Ty::Enum(names) | Ty::Flags(names) => names.iter().try_for_each(|name| {
                self.take_name(name)?;
                self.take(below)
            }),
            Ty::Result(ok, err) => {
                [ok, err].into_iter().flatten().try_for_each(|ty| self.take_type(ty, below))
            }
            // No wildcard: a new constructor with parts inside must be counted.
            Ty::Bool
            | Ty::S8
            | Ty::U8
            | Ty::S16
            | Ty::U16
            | Ty::S32
            | Ty::U32
            | Ty::S64
            | Ty::U64
            | Ty::F32
            | Ty::F64
            | Ty::Char
            | Ty::String => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ty::Field;

    fn check(ty: Ty, expect: Result<(), TypeBudgetError>) {
        let function = FunctionTy { params: vec![], result: Some(ty) };
        assert_eq!(TypeBudget::default().take_function(&function), expect);
    }

    #[test]
    fn the_bounds_are_met_exactly() {
        check(Ty::Tuple(vec![Ty::Bool; TYPE_NODES_MAX - 1]), Ok(()));
        check(Ty::Tuple(vec![Ty::Bool; TYPE_NODES_MAX]), Err(TypeBudgetError::Nodes));
        let deep = |levels| (1..levels).fold(Ty::Bool, |ty, _| Ty::List(Box::new(ty)));
        check(deep(TYPE_DEPTH_MAX), Ok(()));
        check(deep(TYPE_DEPTH_MAX + 1), Err(TypeBudgetError::Depth));
        let name = "n".repeat(TYPE_BYTES_MAX / 2 + 1);
        check(Ty::Enum(vec![name.clone()]), Ok(()));
        check(Ty::Enum(vec![name.clone(), name]), Err(TypeBudgetError::Bytes));
    }

    #[test]
    fn types_of_all_functions_count_together() {
        let field = Field { name: "a".into(), ty: Ty::Tuple(vec![Ty::Bool; TYPE_NODES_MAX / 2]) };
        let function = FunctionTy { params: vec![field], result: None };
        let mut budget = TypeBudget::default();
        assert_eq!(budget.take_function(&function), Ok(()));
        assert_eq!(budget.take_function(&function), Err(TypeBudgetError::Nodes));
    }
}
