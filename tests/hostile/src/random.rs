//! Components that nobody wrote: modules of wasm-smith, worlds of wit-smith, and known components with changed bytes.
//!
//! Owns how each is made from a seed and a number, so that a finding can be made again. Any of them may be refused, and
//! any may run; none may harm the host.

use std::fmt;
use std::fmt::Write as _;

use anyhow::Context as _;
use arbitrary::Unstructured;
use wasm_encoder::{ComponentBuilder, ComponentExportKind, ExportKind};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{ManglingAndAbi, Resolve, World, WorldId, WorldItem};

/// Bytes from which one input is made.
const ENTROPY_BYTES: usize = 8 << 10;

/// Seeds that are tried until one makes an input: a generator refuses some.
const TRIES: u64 = 50;

/// Changes of one component, at most.
const CHANGES_MAX: u64 = 8;

/// A generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A core module of wasm-smith in a component that exports `run`.
    Module,
    /// A world of wit-smith, with a core module that traps.
    World,
    /// A known component, some bytes of which are changed.
    Mutant,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Module => "module",
            Kind::World => "world",
            Kind::Mutant => "mutant",
        })
    }
}

/// A component, with the further lines of its entry.
pub struct Input {
    /// The bytes of the component.
    pub bytes: Vec<u8>,
    /// Declarations of its imports.
    pub entry: String,
}

/// Makes input number `number` of a seed. `known` are the components that mutants are made of.
///
/// # Errors
/// When no try makes one.
pub fn input(kind: Kind, seed: u64, number: u64, known: &[Vec<u8>]) -> anyhow::Result<Input> {
    let made = (0..TRIES).find_map(|more| {
        let mut stream = Stream::new(seed ^ ((number << 8) | more) ^ ((kind as u64) << 56));
        match kind {
            Kind::Module => module(&mut stream).map(plain),
            Kind::World => world(&mut stream),
            Kind::Mutant => mutant(&mut stream, known).map(plain),
        }
    });
    made.with_context(|| format!("no {kind} from seed {seed}, number {number}"))
}

fn plain(bytes: Vec<u8>) -> Input {
    Input { bytes, entry: String::new() }
}

/// SplitMix64: any sequence of numbers will do, if it is the same each time.
struct Stream(u64);

impl Stream {
    fn new(seed: u64) -> Stream {
        Stream(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn module(stream: &mut Stream) -> Option<Vec<u8>> {
    // Each eighth uses all features, most of which the engine does not have.
    let all = stream.below(8) == 0;
    let exports = wat::parse_str(r#"(module (func (export "run") unreachable))"#).ok()?;
    let config = wasm_smith::Config {
        exports: Some(exports),
        max_imports: 0,
        max_instructions: 1_000,
        max_memories: if all { 4 } else { 1 },
        // Most fit the limits of an attempt, so that most run.
        max_memory32_bytes: if all { 1 << 32 } else { 32 << 20 },
        max_table_elements: if all { 1_000_000 } else { 10_000 },
        // References to the host, which the engine does not have.
        reference_types_enabled: all,
        exceptions_enabled: all,
        gc_enabled: all,
        memory64_enabled: all,
        threads_enabled: all,
        ..wasm_smith::Config::default()
    };
    let entropy = stream.bytes(ENTROPY_BYTES);
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(&entropy)).ok()?;
    Some(lifted(&module.to_bytes()))
}

/// A component that exports the function `run` of a core module.
fn lifted(module: &[u8]) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let module = component.core_module_raw(None, module);
    let instance = component.core_instantiate(None, module, []);
    let run = component.core_alias_export(None, instance, "run", ExportKind::Func);
    let (ty, mut function) = component.type_function(None);
    function.params([] as [(&str, wasm_encoder::PrimitiveValType); 0]).result(None);
    let run = component.lift_func(None, run, ty, []);
    component.export("run", ComponentExportKind::Func, run, None);
    component.finish()
}

fn world(stream: &mut Stream) -> Option<Input> {
    let entropy = stream.bytes(ENTROPY_BYTES);
    // Functions with resources are no tools, so most worlds have none.
    let max_resource_items = if stream.below(4) == 0 { 10 } else { 0 };
    let config = wit_smith::Config { max_resource_items, ..wit_smith::Config::default() };
    let package = wit_smith::smith(&config, &mut Unstructured::new(&entropy)).ok()?;
    let DecodedWasm::WitPackage(resolve, _) = decode(&package).ok()? else { return None };
    // A world without a function is refused as such, whatever else is in it.
    let shows = |world: &World| world.exports.values().any(|item| has_functions(&resolve, item));
    let worlds: Vec<WorldId> =
        resolve.worlds.iter().filter(|(_, world)| shows(world)).map(|(id, _)| id).collect();
    let world = *worlds.get(stream.below(worlds.len()))?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).ok()?;
    let bytes = ComponentEncoder::default().module(&module).ok()?.encode().ok()?;
    Some(Input { bytes, entry: declared(&resolve, world) })
}

/// Every import of a world that has functions, declared to trap.
fn declared(resolve: &Resolve, world: WorldId) -> String {
    let mut entry = String::new();
    for (key, item) in &resolve.worlds[world].imports {
        if has_functions(resolve, item) {
            // Writing to a string does not fail.
            let _ = writeln!(entry, "imports.\"{}\" = \"trap\"", resolve.name_world_key(key));
        }
    }
    entry
}

fn has_functions(resolve: &Resolve, item: &WorldItem) -> bool {
    match item {
        WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
        WorldItem::Function(_) => true,
        WorldItem::Type { .. } => false,
    }
}

fn mutant(stream: &mut Stream, known: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut bytes = known.get(stream.below(known.len()))?.clone();
    for _ in 0..=stream.next() % CHANGES_MAX {
        let at = stream.below(bytes.len());
        let end = bytes.len().min(at + 1 + stream.below(64));
        match stream.below(6) {
            0 => bytes[at] ^= 1 << stream.below(8),
            1 => bytes[at] = stream.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let more = stream.bytes(end - at);
                bytes.splice(at..at, more);
            }
            4 => {
                let again = bytes[at..end].to_vec();
                let to = stream.below(bytes.len());
                bytes.splice(to..to, again);
            }
            _ => bytes.truncate(at.max(8)),
        }
        if bytes.is_empty() {
            break;
        }
    }
    Some(bytes)
}
