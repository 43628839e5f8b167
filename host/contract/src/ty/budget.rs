//! How large the types of one component may be.
//!
//! Owns the bounds and the counting. A few bytes of a component can name a type that is as large as two to the power
//! of its depth once it is written out, and everything that is made of types (schemas, validators, values) is written
//! out. So they are counted as they would be written out, and the count ends at the bound.

use super::{FunctionTy, Ty};

/// Types, names of an `enum` or `flags` and cases without a payload, of all functions of a component together. The
/// largest tools that people write have some hundred.
pub const TYPE_NODES_MAX: usize = 10_000;

/// Types within each other. Most of what reads a type recurses by it, JSON readers among it, which give up at 128
/// levels: a record takes three for each of its own.
pub const TYPE_DEPTH_MAX: usize = 32;

/// Bytes of all names of fields, cases and the like. A name is written once for each use of its type.
pub const TYPE_BYTES_MAX: usize = 1 << 20;

/// Types that are larger than the host reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeBudgetError {
    /// Too many parts.
    #[error(
        "its types have more than {TYPE_NODES_MAX} parts when they are written out, each as often as it is used"
    )]
    Nodes,
    /// Too deep.
    #[error("its types are nested more than {TYPE_DEPTH_MAX} deep")]
    Depth,
    /// Too much text.
    #[error("the names in its types take more than {TYPE_BYTES_MAX} bytes, each as often as it is used")]
    Bytes,
}

/// What is left for the types of a component.
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
    /// Takes one part at a depth, counted from 1.
    ///
    /// # Errors
    /// When there is nothing left, or the depth is too great.
    pub fn take(&mut self, depth: usize) -> Result<(), TypeBudgetError> {
        if depth > TYPE_DEPTH_MAX {
            return Err(TypeBudgetError::Depth);
        }
        self.nodes = self.nodes.checked_sub(1).ok_or(TypeBudgetError::Nodes)?;
        Ok(())
    }

    /// Takes a name.
    ///
    /// # Errors
    /// When there is nothing left.
    pub fn take_name(&mut self, name: &str) -> Result<(), TypeBudgetError> {
        self.bytes = self.bytes.checked_sub(name.len()).ok_or(TypeBudgetError::Bytes)?;
        Ok(())
    }

    /// Takes a function's types.
    ///
    /// # Errors
    /// When there is not enough left.
    pub fn take_function(&mut self, function: &FunctionTy) -> Result<(), TypeBudgetError> {
        for param in &function.params {
            self.take_name(&param.name)?;
            self.take_type(&param.ty, 1)?;
        }
        function.result.as_ref().map_or(Ok(()), |ty| self.take_type(ty, 1))
    }

    fn take_type(&mut self, ty: &Ty, depth: usize) -> Result<(), TypeBudgetError> {
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
