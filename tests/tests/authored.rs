//! Components that are made from WIT and a contract alone. Their functions abort: they are for what happens before a tool runs.

use std::path::Path;

use airlock_contract::docs::{self, Source};
use airlock_contract::package::{Packed, embed};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// A component of the only world of this WIT, with the contract and the doc comments embedded.
pub(crate) fn component(wit: &str, contract: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str(Path::new("world.wit"), wit).unwrap_or_else(|err| panic!("{err}\n{wit}"));
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let bytes = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    let texts = [("world.wit".to_owned(), wit.to_owned())].into();
    let docs = docs::read(&Source { resolve, package, texts }, None).unwrap();
    embed(&bytes, &Packed { contract: contract.map(str::to_owned), docs }).unwrap()
}
