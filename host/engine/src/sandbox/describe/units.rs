//! What an instance of a component takes in the engine's pool, counted from its bytes.
//!
//! Owns the count over nested components, and the refusal of what can never fit. A component that gets core modules from
//! outside is not counted, and neither are the instances by which the engine connects the parts of a composition: the
//! engine refuses what this leaves.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef,
    Encoding, Instance, MemoryType, Payload, TableType,
};

use super::DescribeError;
use airlock_contract::component::Needs;
use airlock_types::limit::{
    CORE_INSTANCES_MAX, MEMORIES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};

/// Size of a page of a linear memory, as a power of two, where the memory does not say another one.
const PAGE_LOG2: u32 = 16;

/// What an instance takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Units {
    core_instances: u64,
    memories: u64,
    tables: u64,
    /// The initial size of the largest memory.
    memory_bytes: u64,
    /// The initial size of the largest table.
    table_elements: u64,
}

impl Units {
    /// Both together. A few bytes can instantiate a component two to the power of its depth times.
    fn plus(self, other: Units) -> Units {
        Units {
            core_instances: self.core_instances.saturating_add(other.core_instances),
            memories: self.memories.saturating_add(other.memories),
            tables: self.tables.saturating_add(other.tables),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            table_elements: self.table_elements.max(other.table_elements),
        }
    }

    fn memory(memory: MemoryType) -> Units {
        let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(PAGE_LOG2)).unwrap_or(u64::MAX);
        Units { memories: 1, memory_bytes: memory.initial.saturating_mul(page), ..Units::default() }
    }

    fn table(table: TableType) -> Units {
        Units { tables: 1, table_elements: table.initial, ..Units::default() }
    }
}

/// What an instance begins with: nothing where that is not known. Such a component is refused when it is linked.
///
/// # Errors
/// When no instance fits the engine's pool.
pub(super) fn needs(units: Option<Units>) -> Result<Needs, DescribeError> {
    let Units { core_instances, memories, tables, memory_bytes, table_elements } = units.unwrap_or_default();
    let counts = [
        (core_instances, "core instances", CORE_INSTANCES_MAX),
        (memories, "memories", MEMORIES_MAX),
        (tables, "tables", TABLES_MAX),
    ];
    for (count, what, max) in counts {
        if count > u64::from(max) {
            return Err(DescribeError::Oversized(format!(
                "{count} {what}, and at most {max} are possible; a composition has those of all its parts"
            )));
        }
    }
    let sizes = [
        (memory_bytes, "bytes in a memory", MEMORY_BYTES_MAX),
        (table_elements, "elements in a table", TABLE_ELEMENTS_MAX),
    ];
    for (size, what, max) in sizes {
        if size > max {
            return Err(DescribeError::Oversized(format!(
                "{size} {what} from the start, and at most {max} are possible"
            )));
        }
    }
    Ok(Needs { memory_bytes, table_elements })
}

/// A module or component that is being read.
#[derive(Default)]
struct Scope {
    is_module: bool,
    /// What an instance of it takes, as far as it was read.
    units: Option<Units>,
    /// The core modules and components of its index spaces.
    modules: Vec<Option<Units>>,
    components: Vec<Option<Units>>,
}

impl Scope {
    fn add(&mut self, other: Option<Units>) {
        self.units = self.units.zip(other).map(|(units, other)| units.plus(other));
    }
}

/// The modules and components that are open where the reader stands, the outermost first.
#[derive(Default)]
pub(super) struct Scopes {
    open: Vec<Scope>,
    outermost: Option<Units>,
}

impl Scopes {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the reader stands in the component itself and not in a part of it.
    pub(super) fn is_outermost(&self) -> bool {
        self.open.len() == 1
    }

    /// What an instance of the whole component takes, once all of it was read.
    pub(super) fn units(&self) -> Option<Units> {
        self.outermost
    }

    /// Takes note of a part that was validated.
    pub(super) fn see(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                let (is_module, units) = (*encoding == Encoding::Module, Some(Units::default()));
                self.open.push(Scope { is_module, units, ..Scope::default() });
            }
            Payload::End(_) => self.close(),
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    self.add(Some(Units::memory(memory?)));
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.add(Some(Units::table(table?.ty)));
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        let module = self.module(0, module_index);
                        self.add(module);
                        self.add(Some(Units { core_instances: 1, ..Units::default() }));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        let component = self.component(0, component_index);
                        self.add(component);
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.add_module(None),
                        ComponentTypeRef::Component(_) => self.add_component(None),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    // An export is one more index of what it exports.
                    match export.kind {
                        ComponentExternalKind::Module => self.add_module(self.module(0, export.index)),
                        ComponentExternalKind::Component => {
                            self.add_component(self.component(0, export.index));
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        use ComponentAlias::{InstanceExport, Outer};
        match *alias {
            // Which module an instance exports is known only where it is instantiated.
            InstanceExport { kind: ComponentExternalKind::Module, .. } => self.add_module(None),
            InstanceExport { kind: ComponentExternalKind::Component, .. } => self.add_component(None),
            Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                self.add_module(self.module(count, index));
            }
            Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                self.add_component(self.component(count, index));
            }
            _ => {}
        }
    }

    fn close(&mut self) {
        let Some(Scope { is_module, units, .. }) = self.open.pop() else { return };
        if self.open.is_empty() {
            self.outermost = units;
        } else if is_module {
            self.add_module(units);
        } else {
            self.add_component(units);
        }
    }

    fn add(&mut self, units: Option<Units>) {
        self.open.iter_mut().last().into_iter().for_each(|scope| scope.add(units));
    }

    fn add_module(&mut self, units: Option<Units>) {
        self.open.iter_mut().last().into_iter().for_each(|scope| scope.modules.push(units));
    }

    fn add_component(&mut self, units: Option<Units>) {
        self.open.iter_mut().last().into_iter().for_each(|scope| scope.components.push(units));
    }

    /// The module with this index, in the component that is `outer` levels outward.
    fn module(&self, outer: u32, index: u32) -> Option<Units> {
        let scope = self.open.iter().rev().nth(outer as usize)?;
        *scope.modules.get(index as usize)?
    }

    fn component(&self, outer: u32, index: u32) -> Option<Units> {
        let scope = self.open.iter().rev().nth(outer as usize)?;
        *scope.components.get(index as usize)?
    }
}
