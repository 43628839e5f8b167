//! `wasi:filesystem` as a guest sees it.
//!
//! Owns on which thread a function runs and how a change passes the gate. Work that may block runs on a thread of the tool's
//! lane. `descriptor` and `listing` hold the functions.

mod descriptor;
mod listing;

use std::io;

use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::{DynOutputStream, FsError, FsResult};

use super::Folders;
use super::changes::Change;
use super::fault::Fault;
use super::node::Node;
use super::sink::{FileSink, Target};
use super::taped::{self, Answered, Kept};
use super::write::At;
use crate::capability::Capability;
use crate::capability::dispatch::Clearance;
use crate::capability::gate::Gate;
use crate::tape::{Kind, Tape};
use airlock_types::grant::Access;

/// What a host function borrows during one call.
pub(crate) struct View<'a> {
    pub(in crate::capability) table: &'a mut ResourceTable,
    pub(in crate::capability) folders: &'a Folders,
    pub(in crate::capability) gate: &'a mut Gate,
}

/// The library's bindings use its own type for descriptors. The table holds a `Node` under the same number.
fn as_node(fd: &Resource<Descriptor>) -> Resource<Node> {
    Resource::new_borrow(fd.rep())
}

impl View<'_> {
    fn node(&self, fd: &Resource<Descriptor>) -> Result<Node, ResourceTableError> {
        self.table.get(&as_node(fd)).cloned()
    }

    fn push(&mut self, node: Node) -> Result<Resource<Descriptor>, ResourceTableError> {
        Ok(Resource::new_own(self.table.push(node)?.rep()))
    }

    pub(super) fn tape(&self) -> &Tape {
        &self.gate.tape
    }

    /// Asks the tape what a function answers. Each function of files asks before it does anything else.
    fn ask<T: Kept>(
        &self,
        import: &'static str,
        kind: Kind,
        node: &Node,
        args: impl serde::Serialize,
    ) -> FsResult<Answered<T>> {
        self.ask_as(import, kind, node, node.label().to_owned(), args)
    }

    /// The same, about something with another path than the descriptor's.
    fn ask_as<T: Kept>(
        &self,
        import: &'static str,
        kind: Kind,
        node: &Node,
        label: String,
        args: impl serde::Serialize,
    ) -> FsResult<Answered<T>> {
        let is_taped = matches!(node, Node::Taped(_));
        let kind = if is_taped && kind == Kind::Read { Kind::Follow } else { kind };
        taped::ask(self.tape(), import, kind, label, args)
    }

    /// Runs blocking work on a thread of the lane. The table is not borrowed meanwhile, since threads cannot share it.
    fn run<T, W>(&self, node: Node, work: W) -> impl Future<Output = FsResult<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Node) -> Result<T, Fault> + Send + 'static,
    {
        self.run_as(Access::Read, node, work)
    }

    /// The same, as a use of this kind.
    fn run_as<T, W>(
        &self,
        access: Access,
        node: Node,
        work: W,
    ) -> impl Future<Output = FsResult<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Node) -> Result<T, Fault> + Send + 'static,
    {
        let lane = self.folders.lane.clone();
        let work = move || node.granted().noting(access, work(&node));
        async move { Ok(lane.run(work).await.map_err(FsError::trap)??) }
    }

    /// Checks that the guest may change something beneath the folder that a node is in, and that a change may leave the
    /// call at all. The one place where files meet the gate.
    fn permit(&mut self, node: &Node) -> FsResult<Clearance> {
        let granted = node.granted();
        // Noted where it is refused; what is allowed is noted once it is done.
        if let Err(fault) = granted.writing() {
            return Ok(granted.noting(Access::ReadWrite, Err(fault))?);
        }
        let clearance = self.gate.clear(&Capability::Files.facts(), || granted.asked(Access::ReadWrite));
        clearance.map_err(|_| ErrorCode::NotPermitted.into())
    }

    /// Opens a change, see `changes`.
    fn begin(&mut self, node: &Node) -> FsResult<Change> {
        let clearance = self.permit(node)?;
        Ok(node.granted().writing()?.begin(&clearance)?)
    }

    /// Makes a change on a thread of the lane.
    fn change<T, W>(&mut self, node: Node, work: W) -> impl Future<Output = FsResult<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Node, &Change) -> Result<T, Fault> + Send + 'static,
    {
        let begun = self.begin(&node);
        let lane = self.folders.lane.clone();
        async move {
            let change = begun?;
            let work = move || node.granted().noting(Access::ReadWrite, work(&node, &change));
            Ok(lane.run(work).await.map_err(FsError::trap)??)
        }
    }

    /// Makes a change of names, all of which either happen or do not.
    fn alter<W>(&mut self, node: Node, work: W) -> impl Future<Output = FsResult<()>> + Send + use<W>
    where
        W: FnOnce(&Node) -> Result<(), Fault> + Send + 'static,
    {
        self.change(node, move |node, change| change.made(work(node)))
    }

    /// A stream that writes into a file.
    fn sink(&mut self, fd: &Resource<Descriptor>, at: At) -> FsResult<Resource<DynOutputStream>> {
        let node = self.node(fd)?;
        let target =
            match self.ask::<()>("wasi:filesystem/types#write-via-stream", Kind::Effect, &node, at)? {
                Answered::Taped(answer, _) => answer.map(|()| None)?,
                Answered::Live(note) => {
                    let target = self.target(&node);
                    note.keep(target.as_ref().map(|_| ()).map_err(Fault::code).map_err(FsError::from))?;
                    Some(target?)
                }
            };
        let label = node.label().to_owned();
        let sink: DynOutputStream = Box::new(FileSink::new(target, at, (self.tape().clone(), label)));
        Ok(self.table.push(sink)?)
    }

    /// A file that may be written.
    fn target(&mut self, node: &Node) -> Result<Target, Fault> {
        let granted = node.granted();
        let clearance =
            self.permit(node).map_err(|_| granted.writing().err().unwrap_or(Fault::NOT_GRANTED))?;
        let file = node.file()?;
        file.writing()?;
        Ok(Target { file: file.clone(), lane: self.folders.lane.clone(), clearance })
    }
}

impl preopens::Host for View<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let folders = self.folders;
        let names = || -> Vec<String> { folders.granted.iter().map(|(_, guest)| guest.clone()).collect() };
        let recorded =
            self.gate.tape.through("wasi:filesystem/preopens#get-directories", Kind::Read, (), names)?;
        if self.tape().is_closed() {
            let push = |guest: String| Ok((self.push(Node::taped(guest.clone(), true))?, guest));
            return recorded.into_iter().map(push).collect();
        }
        let mut directories = Vec::with_capacity(folders.granted.len());
        for (granted, guest) in &folders.granted {
            directories.push((self.push(Node::Granted(granted.clone()))?, guest.clone()));
        }
        Ok(directories)
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, err: FsError) -> wasmtime::Result<ErrorCode> {
        err.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        err: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let err = self.table.get(&err)?;
        // Writes fail with the one, reads with the other.
        let of_fault = err.downcast_ref::<Fault>().map(Fault::code);
        Ok(of_fault.or_else(|| err.downcast_ref::<io::Error>().map(ErrorCode::from)))
    }
}
